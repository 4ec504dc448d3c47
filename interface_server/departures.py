"""``Departures``: ends the memberships and turns of clients that are gone."""

from __future__ import annotations

import asyncio
from collections import deque

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable
from channels_classic.layers.turns import EXTRA_PATIENCE
from channels_classic.log import logger

LATER_SECONDS = EXTRA_PATIENCE + 1
"""Seconds after the expiry of its last message at which a client is released for the second time.

By then no message of the client waits any longer for one that got lost.
"""


class Departures:
    """Releases the channels of clients that are gone, whether or not consumers discarded them from groups.

    Each channel is released twice: at once, and when all messages of the client have been handled or have expired,
    because until then a consumer may still add the client to a group. The layer also learns that the client's
    turns are no longer needed.

    Arguments:
        layer: the channel layer.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._loop = asyncio.get_running_loop()
        self._now: list[str] = []
        self._later: deque[tuple[float, str]] = deque()
        self._due = asyncio.Event()

    def add(self, reply_channel: str) -> None:
        """Release the channel of a client that is gone."""
        self._now.append(reply_channel)
        self._later.append((self._loop.time() + self._layer.expiry + LATER_SECONDS, reply_channel))
        self._due.set()

    async def run(self) -> None:
        """Release channels until cancelled."""
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
        """Release all remaining channels now."""
        self._now += [channel for _, channel in self._later]
        self._later.clear()
        try:
            await self._release()
        except LayerUnavailable as error:
            logger.debug("%d channels could not be released: %s", len(self._now), error)

    async def _wait(self) -> None:
        """Wait until a channel has to be released."""
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
