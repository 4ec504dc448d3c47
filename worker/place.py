"""``Place``: the parts of a process that a worker uses."""

from __future__ import annotations

from dataclasses import dataclass

from worker.asynchronous import ConsumerLoop
from worker.hold import Hold
from worker.presence import Hand, Presence
from worker.streams import StreamThreads
from worker.watchdog import Watchdog


@dataclass(frozen=True)
class Place:
    """The parts of its process that a worker uses. A worker that runs alone has none of them.

    Arguments:
        watchdog: the watchdog; told when messages wait behind the one that runs.
        event_loop: runs asynchronous consumers. Without it they keep the worker busy until they end.
        streams: runs streaming answers. Without it they keep the worker busy until they end.
        presence: the presence of the process in the registry of the layer.
        number: the number of the worker in its process, from 0.
    """

    watchdog: Watchdog | None = None
    event_loop: ConsumerLoop | None = None
    streams: StreamThreads | None = None
    presence: Presence | None = None
    number: int = 0

    def hand(self) -> Hand:
        """The hand with which the worker takes messages. It may become invalid."""
        return Hand() if self.presence is None else self.presence.hand(self.number)

    def spare_hold(self, held: Hold) -> Hold | None:
        """A hold for the next batch while the last one is held; ``None`` if the process has lapsed since."""
        return Hold() if self.presence is None else self.presence.take_spare(held)

    def confirm(self, hand: Hand) -> Hand:
        """A valid hand: the same one, or a new one if the process had lapsed.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        if self.presence is not None:
            self.presence.confirm(hand)
        return self.hand()
