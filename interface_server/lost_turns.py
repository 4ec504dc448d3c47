"""``LostTurns``: ordered sockets go on when Redis has lost some of their messages, or whose turn it is."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from channels_classic.layers import BaseChannelLayer

ORDERED_CHANNEL = "websocket.receive"
"""The channel of the messages that open sockets number."""

DRAIN_SECONDS = 0.5
"""How often to look whether workers have taken all that was sent before the loss."""

SETTLE_SECONDS = 1.0
"""How long what workers have taken may need until it has asked for its turn: a batch is work for milliseconds, and
what waits behind a slow consumer is given back."""

ROUNDS = 2
"""How often it is done for one loss: the outbox may have sent to the old server while the reader learned of it."""


class LostTurns:
    """Passes over turns that will never come, because their messages were lost.

    A message from before the loss is in its queue, or with a worker, or waits for its turn, or it is lost. So when
    nothing in the queue is older than the loss, and the workers have had a moment, only what waits for its turn by
    then is waited for.

    Arguments:
        layer: that may lose its data.
        next_orders: tells for each client that numbers its messages the order of the first that the layer has not
            taken yet.
    """

    def __init__(self, layer: BaseChannelLayer, next_orders: Callable[[], dict[str, int]]) -> None:
        self._layer = layer
        self._next_orders = next_orders
        self._loop = asyncio.get_running_loop()
        self._rounds = 0
        self._orders: dict[str, int] = {}
        self._since = 0.0
        self._is_drained = False
        self._due = math.inf

    def begin(self) -> None:
        """A server behind the layer has lost data, or may have."""
        self._rounds = ROUNDS
        self._begin_round()

    async def look_after(self) -> float:
        """Do what is due; seconds until something is due again, which may be infinite.

        Raises:
            LayerUnavailable: the layer does not answer; it is due again.
        """
        if self._due <= self._loop.time():
            if not self._is_drained:
                await self._look_whether_drained()
            else:
                await self._layer.aresume_turns(self._orders, settled=True)
                self._rounds -= 1
                self._begin_round()
        return max(0.0, self._due - self._loop.time())

    def _begin_round(self) -> None:
        self._orders = self._next_orders() if self._rounds else {}
        self._since = self._loop.time()
        self._is_drained = False
        self._due = self._since + DRAIN_SECONDS if self._orders else math.inf

    async def _look_whether_drained(self) -> None:
        asked = self._loop.time()
        statistics = await asyncio.to_thread(self._layer.channel_statistics, ORDERED_CHANNEL)
        self._is_drained = statistics["messages_max_age"] < asked - self._since
        self._due = asked + (SETTLE_SECONDS if self._is_drained else DRAIN_SECONDS)
