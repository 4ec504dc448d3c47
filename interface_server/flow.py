"""``Flow``: makes senders wait for a client that reads slowly, by pausing its channel in the layer."""

from __future__ import annotations

import asyncio

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable
from channels_classic.log import logger


class Flow:
    """Pauses and resumes the reply channels of slow clients, in the order of the calls.

    Arguments:
        layer: the channel layer.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._wanted: dict[str, bool] = {}
        self._paused: set[str] = set()
        self._arrived = asyncio.Event()

    def pause(self, reply_channel: str) -> None:
        """Make the channel refuse messages."""
        self._paused.add(reply_channel)
        self._want(reply_channel, True)

    def resume(self, reply_channel: str) -> None:
        """Make the channel take messages again."""
        self._paused.discard(reply_channel)
        self._want(reply_channel, False)

    def repeat(self) -> None:
        """Pause all paused channels once more, because a server may have lost them."""
        for reply_channel in self._paused:
            self._want(reply_channel, True)

    async def run(self) -> None:
        """Pause and resume channels until cancelled."""
        backoff = Backoff()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            wanted, self._wanted = self._wanted, {}
            try:
                await self._layer.apause([channel for channel, paused in wanted.items() if paused])
                await self._layer.aresume([channel for channel, paused in wanted.items() if not paused])
            except Lapsed as error:
                logger.debug("These channels are gone: %s", error)
            except LayerUnavailable as error:
                logger.debug("Flow control has to wait: %s", error)
                self._wanted = {**wanted, **self._wanted}
                self._arrived.set()
                await asyncio.sleep(backoff.fail())
            else:
                backoff.succeed()

    def _want(self, reply_channel: str, paused: bool) -> None:
        self._wanted[reply_channel] = paused
        self._arrived.set()
