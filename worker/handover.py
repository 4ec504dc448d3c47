"""``Handover``: how a worker hands asynchronous consumers over to the event loop of its process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Received
from worker.connections import shared_connections
from worker.consume import Unfinished
from worker.held import HeldBatch, RunningAsync
from worker.host import WorkerHost
from worker.in_hand import InHand
from worker.place import Place
from worker.senders import Senders
from worker.watchdog import PATIENCE

ATTEND_SECONDS = 0.002
"""Seconds that a worker waits at most for the asynchronous consumers of its batch."""

NOTHING: frozenset[str] = frozenset()


class Handover:
    """Hands asynchronous consumers over, and keeps their batches in-flight until they are done.

    A worker waits a moment for the asynchronous consumers of its batch. Most are done by then, and their messages
    go out with those of the other consumers. The worker leaves the batch to the consumers that take longer; see
    ``HeldBatch``.

    Arguments:
        layer: the channel layer of the worker.
        in_hand: the batch of the worker.
        senders: the senders of the worker.
        place: the place of the worker in its process.
        stopping: set when the worker has to stop.
    """

    def __init__(
        self, layer: BaseChannelLayer, in_hand: InHand, senders: Senders, place: Place, stopping: threading.Event
    ) -> None:
        self._layer = layer
        self._in_hand = in_hand
        self._senders = senders
        self._place = place
        self._stopping = stopping
        self._loop = place.event_loop
        self._batch: HeldBatch | None = None
        self._left: list[tuple[HeldBatch, int]] = []

    def take(self, received: Received, unfinished: Unfinished, host: WorkerHost) -> bool:
        """Let a consumer continue.

        Arguments:
            host: the host that the consumer has used so far.

        Returns:
            Whether it continues in the event loop. If there is no event loop, it has run to its end here. If the
            system has no room for one, it has failed.
        """
        if self._loop is None:
            unfinished.run_here()
            return False
        hold = self._in_hand.hand.hold
        if self._batch is None:
            self._batch = HeldBatch(hold, shared_connections())
        own = WorkerHost(self._layer, self._loop.completions.senders.own, self._stopping, self._place.streams)
        own.lease = host.lease
        unfinished.pending.host = own
        try:
            self._loop.start(RunningAsync(received, unfinished, self._batch, hold.started - 1, own))
        except (OSError, RuntimeError) as error:
            unfinished.fail(error)
            if (lease := host.lease) is not None:  # the code that would have ended the turn does not run
                end = self._layer.end_of_turn(lease.reply_channel, lease.order)
                unfinished.pending.deliveries.append((self._layer, end))
            return False
        return True

    def has_room(self) -> bool:
        """Whether the next message may start. If that takes a while, the waiting messages are given back."""
        if self._loop is None or not self._loop.channels:
            return True
        if self._in_hand.next_channel not in self._loop.channels:
            return True
        if self._loop.has_room() or self._loop.has_room(PATIENCE):
            return True
        try:
            self._in_hand.put_back()
        except LayerUnavailable:
            pass  # the worker tries again before it takes anything else
        return False

    def closed_channels(self, wake: Callable[[], None]) -> frozenset[str]:
        """The channels from which nothing may be taken now. ``wake`` is called when that changes."""
        return NOTHING if self._loop is None else self._loop.closed_channels(wake)

    def leave_batch(self) -> None:
        """Leave the batch, which is done except for its asynchronous consumers."""
        if self._batch is None or self._in_hand.waiting:
            return
        hand, hold = self._in_hand.hand, self._batch.hold
        # If the process has lapsed, the worker has or gets another hand.
        if self._leave() and hand.hold is hold and (spare := self._place.spare_hold(hold)) is not None:
            hand.hold = spare
            self._senders.own.taker = hand.taker

    def end(self) -> bool:
        """End the worker's part. Returns whether its last batch is held, so that it must not be acknowledged."""
        return self._batch is not None and self._leave()

    def sent(self) -> None:
        """Note that all messages of the worker are on their way."""
        if self._loop is not None and self._left:
            for batch, started in self._left:
                self._loop.completions.release(batch, started)
            self._left.clear()

    def _leave(self) -> bool:
        assert self._loop is not None
        assert self._batch is not None
        batch, self._batch = self._batch, None
        completions = self._loop.completions
        self._loop.start_all()
        for run in completions.attend(batch, ATTEND_SECONDS):
            self._senders.add(run.unfinished.pending.deliveries, run.lease)
        is_held = completions.leave(batch)
        if is_held:
            self._left.append((batch, batch.hold.started))
        return is_held
