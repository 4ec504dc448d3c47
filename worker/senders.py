"""``Senders``: the messages that consumers of one worker have sent to any channel layer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from channels_classic.layers import BaseChannelLayer, Delivery, LayerUnavailable, Lease, Received
from channels_classic.layers.takers import Taker
from channels_classic.log import logger
from worker.sender import RETRY_PAUSE, Sender

REST = 3
"""How many times as long as an attempt to reach another layer has taken in vain the next attempt waits. So a layer
that hangs takes a quarter of the worker's time at the most."""


class Senders:
    """A ``Sender`` for the worker's own channel layer, and one for every other that a consumer sends to.

    Messages to the worker's own layer go out in the round trip that receives. Other layers have their own round
    trips. The worker does not wait until such a layer is back.

    Arguments:
        layer: the channel layer of the worker.
        taker: the taker with which the worker takes messages from it, if it does.
    """

    def __init__(self, layer: BaseChannelLayer, taker: Taker | None = None) -> None:
        self.own = Sender(layer, taker)
        self._own_layer = layer
        self._others: dict[BaseChannelLayer, Sender] = {}
        self._unreachable: dict[Sender, float] = {}
        """When to try the next time, by ``time.monotonic``."""

    def __iter__(self) -> Iterator[Sender]:
        return iter([self.own, *self._others.values()])

    def add(self, sent: Sequence[tuple[Any, Delivery]], lease: Lease | None = None) -> None:
        """Add the messages of one consumer, each with its channel layer, in order.

        Arguments:
            lease: the lease of the turn that the consumer's message had on the worker's own layer.
        """
        own = []
        for layer, delivery in sent:
            if layer is self._own_layer:
                own.append(delivery)
                continue
            bare: BaseChannelLayer = getattr(layer, "channel_layer", layer)
            if bare is self._own_layer:
                own.append(delivery)
            else:
                self._others.setdefault(bare, Sender(bare)).add([delivery])
        if self._others:
            self.flush_others()
        if own:
            self.own.add(own, lease)

    def flush_and_receive(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """Send what waits, and receive from the worker's own layer in the same round trip; see ``Sender``."""
        self.flush_others()
        if timeout > RETRY_PAUSE and any(sender.retrying for sender in self._others.values()):
            timeout = RETRY_PAUSE
        return self.own.flush_and_receive(channels, limit, timeout)

    def flush_others(self, at_once: bool = False) -> None:
        """Send what waits for other layers. Later calls try again those that are unreachable.

        Arguments:
            at_once: whether to try these now, however long that takes.
        """
        for sender in self._others.values():
            began = time.monotonic()
            if not at_once and began < self._unreachable.get(sender, 0):
                continue
            try:
                sender.flush()
                self._unreachable.pop(sender, None)
            except LayerUnavailable as error:
                if sender not in self._unreachable:
                    logger.error("Another channel layer cannot be reached; trying again. %s", error)
                now = time.monotonic()
                self._unreachable[sender] = now + REST * (now - began)

    @property
    def retrying(self) -> bool:
        """Whether something has to be sent again soon."""
        return self.own.retrying or any(sender.retrying for sender in self._others.values())

    @property
    def others_unreachable(self) -> bool:
        """Whether a layer other than the worker's own is unreachable."""
        return bool(self._unreachable)
