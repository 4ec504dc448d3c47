"""What clients leave behind: memberships in groups, which end when the client is gone."""

from __future__ import annotations

import asyncio
from collections import deque

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.layers.turns import EXTRA_PATIENCE
from channels_classic.log import logger

LATER_SECONDS = EXTRA_PATIENCE + 1
"""How long after the expiry of its last message a client is released for the second time.

By then none of its messages has to wait any more for one that got lost.
"""


class Departures:
    """Releases the channels of clients that are gone, whether or not the application discarded them.

    Each is released twice: at once, and when every message that the client sent has been handled or has
    expired, because a consumer may still add a client to a group that has left in the meantime. It also tells the
    layer that nobody needs the client's turns any more.

    Arguments:
        layer: where the groups are.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._loop = asyncio.get_running_loop()
        self._now: list[str] = []
        self._later: deque[tuple[float, str]] = deque()
        self._arrival: asyncio.Future[None] | None = None

    def add(self, reply_channel: str) -> None:
        """A client is gone."""
        self._now.append(reply_channel)
        self._later.append((self._loop.time() + self._layer.expiry + LATER_SECONDS, reply_channel))
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def run(self) -> None:
        """Release, until cancelled."""
        while True:
            if not self._now:
                await self._wait()
            await self._release()

    async def finish(self) -> None:
        """Release all that is left, now."""
        self._now += [channel for _, channel in self._later]
        self._later.clear()
        await self._release()

    async def _wait(self) -> None:
        self._arrival = self._loop.create_future()
        timeout = self._later[0][0] - self._loop.time() if self._later else None
        try:
            await asyncio.wait_for(self._arrival, timeout)
        except TimeoutError:
            pass
        finally:
            self._arrival = None

    async def _release(self) -> None:
        channels, self._now = self._now, []
        while self._later and self._later[0][0] <= self._loop.time():
            channels.append(self._later.popleft()[1])
        if channels:
            try:
                await self._layer.arelease(channels)
            except LayerUnavailable as error:
                logger.debug("%d channels could not be released: %s", len(channels), error)
