"""Flow control: senders to a client that reads slowly are made to wait, by way of the layer."""

from __future__ import annotations

import asyncio

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger


class Flow:
    """Pauses and resumes the reply channels of slow clients, in the order asked for.

    Arguments:
        layer: where the channels are.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[str, bool] = {}
        self._arrival: asyncio.Future[None] | None = None

    def pause(self, reply_channel: str) -> None:
        """Let the channel refuse messages."""
        self._want(reply_channel, True)

    def resume(self, reply_channel: str) -> None:
        """Let the channel take messages again."""
        self._want(reply_channel, False)

    async def run(self) -> None:
        """Tell the layer, until cancelled."""
        while True:
            if not self._wanted:
                self._arrival = self._loop.create_future()
                await self._arrival
                self._arrival = None
            wanted, self._wanted = self._wanted, {}
            try:
                await self._layer.apause([channel for channel, paused in wanted.items() if paused])
                await self._layer.aresume([channel for channel, paused in wanted.items() if not paused])
            except LayerUnavailable as error:
                logger.debug("Flow control has to wait: %s", error)
                self._wanted = {**wanted, **self._wanted}
                await asyncio.sleep(1)

    def _want(self, reply_channel: str, paused: bool) -> None:
        self._wanted[reply_channel] = paused
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
