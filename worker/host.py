"""``WorkerHost``: what a worker does for the code that a consumer calls."""

from __future__ import annotations

import threading

from channels_classic.asynchronous import is_in_event_loop
from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Lease
from channels_classic.outages import log_outage
from channels_classic.pending import Work
from channels_classic.stopping import Stopping
from worker.sender import Sender
from worker.streams import StreamThreads


class WorkerHost:
    """The ``pending.Host`` of a worker's consumers.

    Arguments:
        layer: the channel layer of the worker.
        sender: the sender for that layer.
        stopping: set when the worker has to stop.
        streams: runs streaming answers. Without it they keep the worker busy until they end.
    """

    def __init__(
        self,
        layer: BaseChannelLayer,
        sender: Sender,
        stopping: threading.Event,
        streams: StreamThreads | None,
    ) -> None:
        self.lease: Lease | None = None
        """The lease of the turn of the message that runs, if it has one."""
        self._layer = layer
        self._sender = sender
        self._stopping = stopping
        self._streams = streams

    @property
    def leases(self) -> list[Lease]:
        """The leases of turns that run, or whose ends still have to be sent. Any thread may call this."""
        lease = self.lease
        return [*self._sender.leases, lease] if lease is not None else self._sender.leases

    def settle_turn(self, reply_channel: str) -> None:
        """See ``pending.Host``."""
        self._sender.settle_turn(reply_channel)

    def turn_began(self, lease: Lease) -> None:
        """See ``pending.Host``."""
        self.lease = lease

    def wait_out(self, error: LayerUnavailable, backoff: Backoff) -> bool:
        """See ``pending.Host``, but not while the worker stops, and not in an event loop."""
        if is_in_event_loop():
            return False
        pause = backoff.fail()
        if backoff.is_news:
            log_outage(self._layer, error)
        if error.received:
            return True  # to go on may help: if Redis is full, taking messages makes room
        return not self._stopping.wait(pause)

    def hand_over(self, name: str, reply_channel: str, work: Work) -> bool:
        """See ``pending.Host``."""
        if self._streams is None:
            work(Stopping())
            return True
        return self._streams.start(name, reply_channel, work)
