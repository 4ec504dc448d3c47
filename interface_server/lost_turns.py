"""``LostTurns``: lets sockets go on when Redis has lost some of their messages, or their turns."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from channels_classic.layers import BaseChannelLayer

ORDERED_CHANNEL = "websocket.receive"
"""The channel of the numbered messages of open sockets."""

DRAIN_SECONDS = 0.5
"""Seconds between two checks whether workers have taken all messages from before the loss."""

SETTLE_SECONDS = 1.0
"""Seconds that a taken message may need until it has asked for its turn. A batch is a few milliseconds of work,
and messages behind a slow consumer are given back."""

ROUNDS = 2
"""How many times this is done for one loss: the outbox may have sent to the old server while the reader noticed
the loss."""


class LostTurns:
    """Passes over the turns of messages that were lost.

    A message from before the loss is in its queue, has been taken by a worker, waits for its turn, or is lost. So
    when nothing in the queue is older than the loss, and the workers have had a moment, all messages that have not
    asked for their turn are lost.

    Arguments:
        layer: the channel layer.
        next_orders: gives, for each client that numbers its messages, the order of the first one that the layer
            has not taken yet.
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
        """Begin, because a server behind the layer has lost data, or may have."""
        self._rounds = ROUNDS
        self._begin_round()

    async def look_after(self) -> float:
        """Do what is due. Returns the seconds until something is due again, which may be infinite.

        Raises:
            LayerUnavailable: the layer does not answer. The same is due again.
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
