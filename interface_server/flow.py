"""``Flow``: makes those wait who send to a client that reads slowly. The layer does it."""

from __future__ import annotations

import asyncio

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable
from channels_classic.log import logger


class Flow:
    """Pauses and resumes the reply channels of slow clients, in the order asked for.

    Arguments:
        layer: where the channels are.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._wanted: dict[str, bool] = {}
        self._paused: set[str] = set()
        self._arrived = asyncio.Event()

    def pause(self, reply_channel: str) -> None:
        """Let the channel refuse messages."""
        self._paused.add(reply_channel)
        self._want(reply_channel, True)

    def resume(self, reply_channel: str) -> None:
        """Let the channel take messages again."""
        self._paused.discard(reply_channel)
        self._want(reply_channel, False)

    def repeat(self) -> None:
        """Tell the layer once more which channels are paused: its server may have lost that."""
        for reply_channel in self._paused:
            self._want(reply_channel, True)

    async def run(self) -> None:
        """Tell the layer, until cancelled."""
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
