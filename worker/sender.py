"""``Sender``: the messages that consumers of a worker have sent, until they have gone out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from channels_classic.counters import counters
from channels_classic.layers import BaseChannelLayer, Delivery, Lapsed, LayerUnavailable, Lease, Received
from channels_classic.layers.takers import Taker
from channels_classic.log import logger

RETRY_SECONDS = 2.0
"""Seconds for which a message to a full channel is tried again (specification, section 5)."""

OUTAGE_SECONDS = 10.0
"""Seconds for which a worker that ends waits for a layer that is unreachable."""

REPEAT_SECONDS = 10.0
MOST_REPEATED = 1000
"""The ends of turns of these last seconds, at most so many, are sent once more after an outage.

A replica that has taken over may lack them, and would let the client wait for the whole lease.
"""

RETRY_PAUSE = 0.02
"""Seconds between two attempts if nothing else makes the worker call the layer."""


class _Batch(NamedTuple):
    """Messages that go out together.

    Arguments:
        deadlines: for each message that was refused before, when it is given up; the other messages come behind.
        taker: the taker that sends them, if the layer knows takers.
        ends: when they are given up if the layer stays unavailable, by ``time.monotonic``; ``None`` before that.
    """

    deliveries: list[Delivery]
    deadlines: list[float]
    taker: Taker | None
    ends: float | None = None


class _OpenTurn(NamedTuple):
    """The end of a turn, and the messages that have to be settled before it may go out."""

    end: Delivery
    sends: Sequence[Delivery]


class Sender:
    """Sends messages in batches, in order, and tries again those that found their channel full.

    The end of a turn goes out when all messages of its consumer have been taken or given up. From then on the next
    message of the client may run anywhere, and its replies come behind these.

    The thread of the worker uses it, and the watchdog's thread while a consumer takes long; never both at the same
    time.

    Arguments:
        layer: the layer to send to.
        taker: the taker with which the worker takes messages from this layer, if it does. Its messages must not go
            out after its process has lapsed.
    """

    def __init__(self, layer: BaseChannelLayer, taker: Taker | None = None) -> None:
        self.taker = taker
        self._layer = layer
        self._lock = threading.Lock()
        self._new: deque[tuple[Sequence[Delivery], Sequence[Delivery]]] = deque()
        """For each consumer its messages, and the ends of turns that come behind them."""
        self._refused: list[tuple[Delivery, float]] = []
        self._unconfirmed: _Batch | None = None
        self._open_turns: list[_OpenTurn] = []
        self._clients: dict[str, Lease | None] = {}
        self._ended: deque[tuple[float, Delivery]] = deque(maxlen=MOST_REPEATED)

    def add(self, deliveries: Sequence[Delivery], lease: Lease | None = None) -> None:
        """Add the messages of one consumer, to go out with the next batch.

        Arguments:
            deliveries: at least one. The ends of turns among them come behind the messages.
            lease: the lease of the turn whose end is among them.
        """
        ends: Sequence[Delivery] = ()
        if deliveries[-1].turn_end is not None:
            ends = [delivery for delivery in deliveries if delivery.turn_end is not None]
            deliveries = [delivery for delivery in deliveries if delivery.turn_end is None]
            for end in ends:
                self._clients[end.name] = lease
        self._new.append((deliveries, ends))

    @property
    def retrying(self) -> bool:
        """Whether a message waits for room in its channel or for the layer, or an end of a turn waits for one."""
        return bool(self._refused or self._open_turns or self._unconfirmed)

    @property
    def unsent(self) -> int:
        """The number of messages that wait here."""
        new = sum(len(sends) for sends, _ in self._new)
        unconfirmed = 0 if self._unconfirmed is None else len(self._unconfirmed.deliveries)
        return new + len(self._refused) + unconfirmed

    @property
    def open_turns(self) -> int:
        """The number of turns that still have to end."""
        new = sum(len(ends) for _, ends in self._new)
        return new + len(self._open_turns)

    @property
    def leases(self) -> list[Lease]:
        """The leases of turns that still have to end. Any thread may call this."""
        return [lease for lease in list(self._clients.values()) if lease is not None]

    def settle_turn(self, reply_channel: str) -> None:
        """End the last turn of a client, if it was here, before its next message asks for one."""
        if reply_channel in self._clients:
            self.flush()

    def repeat_ends(self) -> None:
        """Send the last ends of turns once more with the next batch: an outage may have lost them."""
        since = time.monotonic() - REPEAT_SECONDS
        with self._lock:
            self._open_turns = [
                *(_OpenTurn(end, ()) for ended_at, end in self._ended if ended_at >= since),
                *self._open_turns,
            ]
            self._ended.clear()

    def drop(self) -> None:
        """Drop all messages, because the process has lapsed, and others have answered the clients."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self.unsent:
            logger.error(
                "%d messages that consumers had sent were dropped: their process had lapsed.", self.unsent
            )
        for waiting in (self._new, self._refused, self._open_turns, self._clients, self._ended):
            waiting.clear()
        self._unconfirmed = None

    def flush(self) -> None:
        """Send what waits here."""
        with self._lock:
            self._repeat()
            batch = self._take()
            if batch.deliveries or self._open_turns:
                self._send(batch)

    def flush_and_receive(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        """Send what waits here, and take up to ``limit`` messages, in one round trip.

        Arguments:
            timeout: seconds to wait for the first message. It does not wait while something has to be sent again.

        Raises:
            Lapsed: nothing was sent or taken, and all messages here were dropped.
            LayerUnavailable: sending failed; ``received`` has the messages that were taken all the same.
        """
        with self._lock:
            self._repeat()
            batch = self._take()
            if self.taker is not None:
                return self._send(batch, channels, limit, timeout)
            # Without a taker, the ends of turns have to go out before the wait.
            received: list[Received] = []
            if batch.deliveries or self._open_turns:
                received = self._send(batch, channels, limit)
        return received if received or self.retrying else self.receive(channels, limit, timeout)

    def receive(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """Take messages, and send nothing."""
        if self.taker is None:
            return self._layer.receive_batch(channels, limit, timeout)
        return self._layer.receive_batch(channels, limit, timeout, self.taker)

    def _repeat(self) -> None:
        """Send the batch that was on its way when the layer became unavailable, before anything else."""
        batch, self._unconfirmed = self._unconfirmed, None
        if batch is not None:
            self._send(batch)

    def _take(self) -> _Batch:
        # Refused messages come first. A channel that refuses one of a batch refuses all later ones, so the order
        # is kept.
        refused, self._refused = self._refused, []
        deliveries = [delivery for delivery, _ in refused]
        while self._new:
            sends, ends = self._new.popleft()
            deliveries += sends
            if ends:
                self._open_turns += [_OpenTurn(end, sends) for end in ends]
        return _Batch(deliveries, [deadline for _, deadline in refused], self.taker)

    def _send(
        self, batch: _Batch, channels: Sequence[str] = (), limit: int = 0, timeout: float = 0
    ) -> list[Received]:
        deliveries, deadlines, taker, _ = batch
        # The layer carries out ends of turns only if it refuses no message of this round trip.
        ends = [turn.end for turn in self._open_turns] if taker is not None else []
        try:
            full, received = self._trip(taker, [*deliveries, *ends], channels, limit, timeout)
        except LayerUnavailable as error:
            self._keep(batch, error)
            raise
        self._count(deliveries, full)
        self._settle(deliveries, deadlines, [position for position in full if position < len(deliveries)])
        if ends and not full:
            self._note_ended(self._open_turns)
            self._open_turns = []
        try:
            self._end_settled_turns()
        except Lapsed:
            raise
        except LayerUnavailable:
            if not received:
                raise
            # The next batch tries again. What was received must not be lost because of this.
        return received

    def _trip(
        self,
        taker: Taker | None,
        deliveries: Sequence[Delivery],
        channels: Sequence[str] = (),
        limit: int = 0,
        timeout: float = 0,
    ) -> tuple[list[int], list[Received]]:
        if taker is not None:
            return self._layer.send_and_receive(deliveries, channels, limit, timeout, taker)
        if channels:
            return self._layer.send_and_receive(deliveries, channels, limit)
        return self._layer.send_batch(deliveries) if deliveries else [], []

    def _end_settled_turns(self) -> None:
        """End the turns without messages that wait for room, in a round trip of their own."""
        if not self._open_turns:
            return
        unsettled = {id(delivery) for delivery, _ in self._refused}
        settled: list[_OpenTurn] = []
        left: list[_OpenTurn] = []
        for turn in self._open_turns:
            waits = any(id(delivery) in unsettled for delivery in turn.sends)
            (left if waits else settled).append(turn)
        if settled:
            self._trip(self.taker, [turn.end for turn in settled])
            self._open_turns = left
            self._note_ended(settled)

    def _note_ended(self, turns: Sequence[_OpenTurn]) -> None:
        now = time.monotonic()
        for turn in turns:
            self._clients.pop(turn.end.name, None)
            self._ended.append((now, turn.end))

    def _count(self, deliveries: list[Delivery], full: list[int]) -> None:
        refused = sum(position < len(deliveries) for position in full) if full else 0
        counters.sent += len(deliveries) - refused
        counters.full += refused
        counters.broadcasts += sum([delivery.to_group for delivery in deliveries])

    def _settle(self, deliveries: list[Delivery], deadlines: list[float], full: list[int]) -> None:
        if not full:
            return
        now = time.monotonic()
        for position in full:
            deadline = deadlines[position] if position < len(deadlines) else now + RETRY_SECONDS
            if now < deadline:
                self._refused.append((deliveries[position], deadline))
            else:
                logger.error(
                    "A message was dropped after %s seconds of trying. %s",
                    RETRY_SECONDS,
                    self._layer.full_text(deliveries[position].name),
                )

    def _keep(self, batch: _Batch, error: LayerUnavailable) -> None:
        if isinstance(error, Lapsed):
            self._unconfirmed = batch
            self._drop()
            return
        if not batch.deliveries:
            return
        now = time.monotonic()
        ends = now + self._layer.expiry if batch.ends is None else batch.ends
        if now < ends and (error.nothing_done or error.repeatable):
            self._unconfirmed = batch._replace(ends=ends)
        else:
            # Without a taker they may have arrived, so to send them again could deliver them twice.
            logger.error("%d messages were lost with the channel layer. %s", len(batch.deliveries), error)
