"""``LayerView``: a view of a channel layer, with its processes, channels and dead letters."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Process
from channels_classic.monitoring.status import Samples, Value
from channels_classic.redaction import one_line

FRESH_SECONDS = 1.0
"""Seconds for which a view is shown again, so that many requests do not load the server behind the layer."""

LOOK_SECONDS = 1.5
"""Seconds without an answer after which the layer counts as unreachable. A probe waits a few seconds."""

CHANNELS = ("http.request", "websocket.connect", "websocket.receive", "websocket.disconnect")
"""The channels that are always shown. The others are those that workers receive on."""

MOST_CHANNELS = 500
"""The most channels in a view."""


class View(NamedTuple):
    """What one look has found.

    Arguments:
        processes: the processes that are alive.
        channels: the ``channel_statistics`` of each channel.
        dead_letters: the number of dead letters.
    """

    processes: list[Process]
    channels: Mapping[str, Mapping[str, float]]
    dead_letters: int

    @property
    def workers(self) -> int:
        """The number of worker processes that are alive."""
        return self.of_kind("worker")

    def of_kind(self, kind: str) -> int:
        """The number of processes of a kind that are alive."""
        return sum(process.details.get("kind") == kind for process in self.processes)


class LayerView:
    """Looks at a layer in a thread of its own, so that a layer that hangs keeps nobody waiting for long.

    Arguments:
        layer: the channel layer.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._lock = threading.Lock()
        self._looking: threading.Event | None = None
        self._seen: View | LayerUnavailable = LayerUnavailable("Nobody has looked yet.")
        self._seen_at = -FRESH_SECONDS
        self._channels: dict[str, None] = dict.fromkeys(CHANNELS)

    @property
    def knows_processes(self) -> bool:
        """Whether the layer has a registry of processes."""
        return "processes" in self._layer.extensions

    def look(self) -> View:
        """Look at the layer. The result is at most ``FRESH_SECONDS`` old.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """
        with self._lock:
            looking = self._looking
            if looking is None and time.monotonic() - self._seen_at >= FRESH_SECONDS:
                looking = self._looking = threading.Event()
                threading.Thread(target=self._run, args=[looking], name="layer-view", daemon=True).start()
        if looking is not None and not looking.wait(LOOK_SECONDS):
            raise LayerUnavailable(f"The channel layer did not answer within {LOOK_SECONDS:g} s.")
        if isinstance(self._seen, LayerUnavailable):
            raise LayerUnavailable(one_line(self._seen))
        return self._seen

    def _run(self, looking: threading.Event) -> None:
        try:
            seen: View | LayerUnavailable = self._look()
        except LayerUnavailable as error:
            seen = error
        except Exception as error:
            seen = LayerUnavailable(f"The channel layer cannot be looked at: {error!r}")
        with self._lock:
            self._seen, self._seen_at, self._looking = seen, time.monotonic(), None
        looking.set()

    def _look(self) -> View:
        processes, dead_letters = [], 0
        if self.knows_processes:
            processes = self._layer.processes()
            dead_letters = self._layer.dead_letter_count()
        for process in processes:
            for channel in process.details.get("channels", ()):
                if len(self._channels) < MOST_CHANNELS:
                    self._channels[channel] = None
        channels: dict[str, Mapping[str, float]] = {}
        if "statistics" in self._layer.extensions:
            channels = {channel: self._layer.channel_statistics(channel) for channel in self._channels}
        return View(processes, channels, dead_letters)

    def samples(self, view: View | None) -> Samples:
        """The metrics of a view.

        Arguments:
            view: the view; ``None`` if the layer does not answer.
        """
        if view is None:
            return {("channels_layer_reachable",): 0}
        samples: dict[tuple[str, ...], Value] = {("channels_layer_reachable",): 1}
        if self.knows_processes:
            samples["channels_dead_letters",] = view.dead_letters
            for kind in ("interface", "worker"):
                samples["channels_processes", kind] = view.of_kind(kind)
        names = {
            "channels_channel_depth": "messages_pending",
            "channels_channel_oldest_seconds": "messages_max_age",
            "channels_channel_messages": "messages_count",
            "channels_channel_full": "channel_full_count",
        }
        for channel, statistics in view.channels.items():
            for metric, name in names.items():
                samples[metric, channel] = statistics[name]
        return samples
