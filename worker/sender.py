"""The messages that a worker's consumers sent and that have not gone out yet."""

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
"""How long a queued send to a full channel is tried again (specification, section 5)."""

OUTAGE_SECONDS = 10.0
"""How long messages are kept for a layer that cannot be reached, and how long a worker that ends waits for it."""

REPEAT_SECONDS = 10.0
MOST_REPEATED = 1000
"""The ends of turns that are sent once more after an outage: of so many seconds, and so many at most.

A replica that took over may not have them yet, and would keep the client waiting for the whole lease.
"""

RETRY_PAUSE = 0.02
"""Seconds between two tries when nothing else makes the worker talk to the layer."""


class _OpenTurn(NamedTuple):
    """The end of a turn, and what has to be settled before it may go out."""

    end: Delivery
    sends: Sequence[Delivery]


class Sender:
    """Sends in batches, in order, and tries again what found its channel full.

    The end of a turn goes out when all that its consumer sent has been taken or given up: so the replies to a
    client's next message, which may run anywhere from then on, come behind it.

    The worker's own thread uses it, and the watchdog's while a consumer takes long; never both at once.

    Arguments:
        layer: where the messages go.
        taker: what the worker takes messages with from this layer, if it does. What it sends must not go out any
            more when its process has lapsed.
    """

    def __init__(self, layer: BaseChannelLayer, taker: Taker | None = None) -> None:
        self.taker = taker
        self._layer = layer
        self._lock = threading.Lock()
        self._new: deque[tuple[Delivery, ...]] = deque()
        self._refused: list[tuple[Delivery, float]] = []
        self._open_turns: list[_OpenTurn] = []
        self._clients: dict[str, Lease | None] = {}
        self._ended: deque[tuple[float, Delivery]] = deque(maxlen=MOST_REPEATED)

    def add(self, *deliveries: Delivery, lease: Lease | None = None) -> None:
        """Take what one consumer sent, to go out with the next batch.

        Arguments:
            lease: of the turn whose end is among it.
        """
        self._clients.update((delivery.name, lease) for delivery in deliveries if delivery.turn_end is not None)
        self._new.append(deliveries)

    @property
    def retrying(self) -> bool:
        """Whether a message waits for room in its channel, or the end of a turn for such a message."""
        return bool(self._refused or self._open_turns)

    @property
    def unsent(self) -> int:
        """How many messages wait here."""
        new = sum(delivery.turn_end is None for sent in self._new for delivery in sent)
        return new + len(self._refused)

    @property
    def open_turns(self) -> int:
        """How many turns have still to end."""
        new = sum(delivery.turn_end is not None for sent in self._new for delivery in sent)
        return new + len(self._open_turns)

    @property
    def leases(self) -> list[Lease]:
        """Those of the turns that have still to end. Any thread may ask."""
        return [lease for lease in list(self._clients.values()) if lease is not None]

    def settle_turn(self, reply_channel: str) -> None:
        """Let the last turn of a client come to its end, if it was here, before its next message asks for one."""
        if reply_channel in self._clients:
            self.flush()

    def repeat_ends(self) -> None:
        """Send the last ends of turns once more, with the next batch: a layer that was away may have lost them."""
        since = time.monotonic() - REPEAT_SECONDS
        with self._lock:
            self._open_turns = [
                *(_OpenTurn(end, ()) for ended_at, end in self._ended if ended_at >= since),
                *self._open_turns,
            ]
            self._ended.clear()

    def drop(self) -> None:
        """Drop what is there, because the process has lapsed: others have told the clients something else."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self.unsent:
            logger.error(
                "%d messages that consumers had sent were dropped: their process had lapsed.", self.unsent
            )
        for waiting in (self._new, self._refused, self._open_turns, self._clients, self._ended):
            waiting.clear()

    def flush(self) -> None:
        """Send what is there."""
        with self._lock:
            deliveries, deadlines = self._take()
            if deliveries or self._open_turns:
                self._send(deliveries, deadlines)

    def flush_and_receive(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        """Send what is there and take up to ``limit`` messages, in one trip.

        Arguments:
            timeout: seconds to wait for the first message; nobody waits while something has to be sent again.

        Raises:
            Lapsed: nothing was sent or taken, and nothing is kept here.
            LayerUnavailable: its ``received`` has the messages that were taken though sending failed.
        """
        with self._lock:
            deliveries, deadlines = self._take()
            if self.taker is not None:
                return self._send(deliveries, deadlines, channels, limit, timeout)
            # A layer that does not know takers has to be told the ends of turns before anybody waits.
            received: list[Received] = []
            if deliveries or self._open_turns:
                received = self._send(deliveries, deadlines, channels, limit)
        return received if received or self.retrying else self.receive(channels, limit, timeout)

    def receive(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """Take messages, and leave what is to be sent for later."""
        if self.taker is None:
            return self._layer.receive_batch(channels, limit, timeout)
        return self._layer.receive_batch(channels, limit, timeout, self.taker)

    def _take(self) -> tuple[list[Delivery], list[float]]:
        # Refused ones first: a channel that refuses once in a batch goes on refusing, so order is kept.
        refused, self._refused = self._refused, []
        deliveries = [delivery for delivery, _ in refused]
        while self._new:
            sent = self._new.popleft()
            ends = [delivery for delivery in sent if delivery.turn_end is not None]
            if ends:
                sent = tuple(delivery for delivery in sent if delivery.turn_end is None)
                self._open_turns += [_OpenTurn(end, sent) for end in ends]
            deliveries += sent
        return deliveries, [deadline for _, deadline in refused]

    def _send(
        self,
        deliveries: list[Delivery],
        deadlines: list[float],
        channels: Sequence[str] = (),
        limit: int = 0,
        timeout: float = 0,
    ) -> list[Received]:
        # The ends of turns go along. The layer carries them out only if it refuses no message of this trip.
        ends = [turn.end for turn in self._open_turns] if self.taker is not None else []
        try:
            full, received = self._trip([*deliveries, *ends], channels, limit, timeout)
        except LayerUnavailable as error:
            self._keep(deliveries, deadlines, error)
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
            # It is tried again with the next batch; what was received must not be lost for it.
        return received

    def _trip(
        self, deliveries: Sequence[Delivery], channels: Sequence[str] = (), limit: int = 0, timeout: float = 0
    ) -> tuple[list[int], list[Received]]:
        if self.taker is not None:
            return self._layer.send_and_receive(deliveries, channels, limit, timeout, self.taker)
        if channels:
            return self._layer.send_and_receive(deliveries, channels, limit)
        return self._layer.send_batch(deliveries) if deliveries else [], []

    def _end_settled_turns(self) -> None:
        """End those turns of which no message waits for room, in a trip of their own."""
        if not self._open_turns:
            return
        unsettled = {id(delivery) for delivery, _ in self._refused}
        settled: list[_OpenTurn] = []
        left: list[_OpenTurn] = []
        for turn in self._open_turns:
            waits = any(id(delivery) in unsettled for delivery in turn.sends)
            (left if waits else settled).append(turn)
        if settled:
            self._trip([turn.end for turn in settled])
            self._open_turns = left
            self._note_ended(settled)

    def _note_ended(self, turns: Sequence[_OpenTurn]) -> None:
        now = time.monotonic()
        for turn in turns:
            self._clients.pop(turn.end.name, None)
            self._ended.append((now, turn.end))

    def _count(self, deliveries: list[Delivery], full: list[int]) -> None:
        refused = sum(position < len(deliveries) for position in full)
        counters.sent += len(deliveries) - refused
        counters.full += refused
        counters.broadcasts += sum(delivery.to_group for delivery in deliveries)

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

    def _keep(self, deliveries: list[Delivery], deadlines: list[float], error: LayerUnavailable) -> None:
        if isinstance(error, Lapsed):
            self._new.extend([tuple(deliveries)])
            self._drop()
            return
        if error.nothing_done:
            now = time.monotonic()
            deadlines += [now + OUTAGE_SECONDS] * (len(deliveries) - len(deadlines))
            kept = [pair for pair in zip(deliveries, deadlines, strict=True) if pair[1] > now]
            self._refused = kept + self._refused
            lost = len(deliveries) - len(kept)
        else:
            lost = len(deliveries)  # they may have arrived: sending them again could deliver them twice
        if lost:
            logger.error("%d messages were lost with the channel layer. %s", lost, error)
