"""What a worker's consumers sent and what has not gone out yet."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from channels_classic.layers import BaseChannelLayer, Delivery, LayerUnavailable, Received

logger = logging.getLogger("django.channels")

RETRY_SECONDS = 2.0
"""How long a queued send to a full channel is tried again (specification, section 5)."""

RETRY_PAUSE = 0.02
"""Seconds between two tries when nothing else makes the worker talk to the layer."""


class Outbox:
    """Sends in batches, in order, and tries again what found its channel full.

    The worker's own thread uses it, and the watchdog's while a consumer takes long; never both at once.

    Arguments:
        layer: where the messages go.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._lock = threading.Lock()
        self._new: list[Delivery] = []
        self._refused: list[tuple[Delivery, float]] = []

    def add(self, delivery: Delivery) -> None:
        """Take a message to be sent with the next batch."""
        self._new.append(delivery)

    @property
    def retrying(self) -> bool:
        """Whether a message waits for room in its channel."""
        return bool(self._refused)

    def flush(self) -> None:
        """Send what is there."""
        with self._lock:
            if self._new or self._refused:
                deliveries, deadlines = self._take()
                try:
                    full = self._layer.send_batch(deliveries)
                except LayerUnavailable as error:
                    self._keep(deliveries, deadlines, error)
                    raise
                self._settle(deliveries, deadlines, full)

    def flush_and_receive(self, channels: Sequence[str], limit: int) -> list[Received]:
        """Send what is there and take up to ``limit`` messages, in one trip."""
        with self._lock:
            deliveries, deadlines = self._take()
            try:
                full, received = self._layer.send_and_receive(deliveries, channels, limit)
            except LayerUnavailable as error:
                self._keep(deliveries, deadlines, error)
                raise
            self._settle(deliveries, deadlines, full)
            return received

    def _take(self) -> tuple[list[Delivery], list[float]]:
        # Refused ones first: a channel that refuses once in a batch goes on refusing, so order is kept.
        new, self._new = self._new, []
        refused, self._refused = self._refused, []
        return [delivery for delivery, _ in refused] + new, [deadline for _, deadline in refused]

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
            deadlines += [now + RETRY_SECONDS] * (len(deliveries) - len(deadlines))
            kept = [pair for pair in zip(deliveries, deadlines, strict=True) if pair[1] > now]
            self._refused = kept + self._refused
            lost = len(deliveries) - len(kept)
        else:
            lost = len(deliveries)  # they may have arrived: sending them again could deliver them twice
        if lost:
            logger.error("The channel layer went away: %d messages were lost. %s", lost, error)
