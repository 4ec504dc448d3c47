"""``Departures``: what clients leave behind, memberships in groups above all, ends when they are gone."""

from __future__ import annotations

import asyncio
from collections import deque

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable
from channels_classic.layers.turns import EXTRA_PATIENCE
from channels_classic.log import logger

LATER_SECONDS = EXTRA_PATIENCE + 1
"""How long after the expiry of its last message a client is released for the second time.

By then none of its messages has to wait any more for one that got lost.
"""


class Departures:
    """Releases the channels of clients that are gone, whether or not the application discarded them.

    Each is released twice: at once, and when every message that the client sent has been handled or has expired,
    because a consumer may still add a client to a group that has left in the meantime. The layer also learns that
    nobody needs the client's turns any more.

    Arguments:
        layer: where the groups are.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._loop = asyncio.get_running_loop()
        self._now: list[str] = []
        self._later: deque[tuple[float, str]] = deque()
        self._due = asyncio.Event()

    def add(self, reply_channel: str) -> None:
        """A client is gone."""
        self._now.append(reply_channel)
        self._later.append((self._loop.time() + self._layer.expiry + LATER_SECONDS, reply_channel))
        self._due.set()

    async def run(self) -> None:
        """Release, until cancelled."""
        backoff = Backoff()
        while True:
            await self._wait()
            try:
                await self._release()
            except LayerUnavailable as error:
                logger.debug("%d channels could not be released for now: %s", len(self._now), error)
                await asyncio.sleep(backoff.fail())
            else:
                backoff.succeed()

    async def finish(self) -> None:
        """Release all that is left, now."""
        self._now += [channel for _, channel in self._later]
        self._later.clear()
        try:
            await self._release()
        except LayerUnavailable as error:
            logger.debug("%d channels could not be released: %s", len(self._now), error)

    async def _wait(self) -> None:
        """Wait until there is something to release."""
        while not self._now and not (self._later and self._later[0][0] <= self._loop.time()):
            self._due.clear()
            timer = self._loop.call_at(self._later[0][0], self._due.set) if self._later else None
            try:
                await self._due.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    async def _release(self) -> None:
        while self._later and self._later[0][0] <= self._loop.time():
            self._now.append(self._later.popleft()[1])
        channels, self._now = self._now, []
        if channels:
            try:
                await self._layer.arelease(channels)
            except Lapsed as error:
                logger.debug("These channels are released already: %s", error)
            except LayerUnavailable:
                self._now = channels + self._now
                raise
