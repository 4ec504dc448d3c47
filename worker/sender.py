"""What a worker's consumers sent and what has not gone out yet."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from channels_classic.layers import BaseChannelLayer, Delivery, LayerUnavailable, Received
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
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._lock = threading.Lock()
        self._new: deque[tuple[Delivery, ...]] = deque()
        self._refused: list[tuple[Delivery, float]] = []
        self._open_turns: list[_OpenTurn] = []
        self._clients: set[str] = set()
        self._ended: deque[tuple[float, Delivery]] = deque(maxlen=MOST_REPEATED)

    def add(self, *deliveries: Delivery) -> None:
        """Take what one consumer sent, to go out with the next batch."""
        self._clients.update(delivery.name for delivery in deliveries if delivery.turn_end is not None)
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

    def flush(self) -> None:
        """Send what is there."""
        with self._lock:
            deliveries, deadlines = self._take()
            if deliveries:
                try:
                    full = self._layer.send_batch(deliveries)
                except LayerUnavailable as error:
                    self._keep(deliveries, deadlines, error)
                    raise
                self._settle(deliveries, deadlines, full)
            self._end_turns()

    def flush_and_receive(self, channels: Sequence[str], limit: int) -> list[Received]:
        """Send what is there and take up to ``limit`` messages, in one trip (and one more if a turn ends).

        Raises:
            LayerUnavailable: its ``received`` has the messages that were taken though sending failed.
        """
        with self._lock:
            deliveries, deadlines = self._take()
            try:
                full, received = self._layer.send_and_receive(deliveries, channels, limit)
            except LayerUnavailable as error:
                self._keep(deliveries, deadlines, error)
                raise
            self._settle(deliveries, deadlines, full)
            try:
                self._end_turns()
            except LayerUnavailable:
                pass  # tried again with the next batch; what was received must not be lost for it
            return received

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

    def _end_turns(self) -> None:
        if not self._open_turns:
            return
        unsettled = {id(delivery) for delivery, _ in self._refused}
        ended: list[_OpenTurn] = []
        left: list[_OpenTurn] = []
        for turn in self._open_turns:
            waits = any(id(delivery) in unsettled for delivery in turn.sends)
            (left if waits else ended).append(turn)
        if ended:
            self._layer.send_batch([turn.end for turn in ended])
            self._open_turns = left
            self._clients.difference_update(turn.end.name for turn in ended)
            now = time.monotonic()
            self._ended.extend((now, turn.end) for turn in ended)

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
