"""``Memberships``: keeps clients in their groups while they are connected, and no longer."""

from __future__ import annotations

import asyncio
from itertools import islice

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger
from interface_server.reader import Reader

RENEWALS_PER_LIFE = 3
"""How many times a membership is renewed in the time in which it would end, so that one renewal may fail."""

SEARCH_SECONDS = 1.0
"""Seconds after which the memberships of a client that has left are searched for, together with those of
others."""

LATE_SECONDS = 60.0
"""Seconds between two searches when nobody leaves, because a consumer may add a client that has already left."""

COMPARE_SECONDS = 2.0
"""Seconds between the two comparisons with the layer after an outage."""

CHANNELS_AT_ONCE = 500
"""How many channels one call has, so that other calls come in between."""


class Memberships:
    """Renews the memberships of connected clients, and ends those of clients that have left.

    It finds memberships in what the layer knows about this process, so clients without groups cost nothing.
    Sockets do not wait for this: ``Departures`` releases them at once.

    Arguments:
        layer: the channel layer.
        reader: knows the clients.
    """

    def __init__(self, layer: BaseChannelLayer, reader: Reader) -> None:
        self._layer = layer
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._renew_at = self._loop.time() + self._renewal_seconds
        self._compares = 0

    @property
    def _renewal_seconds(self) -> float:
        return self._layer.group_expiry / RENEWALS_PER_LIFE

    def compare(self) -> None:
        """After an outage, check that the layer still has all memberships."""
        self._compares = 2
        self._renew_at = self._loop.time()
        self._reader.left.set()

    async def run(self) -> None:
        """Renew and end memberships until cancelled."""
        backoff = Backoff()
        while True:
            await self._wait(min(self._renew_at, self._loop.time() + LATE_SECONDS))
            try:
                await self._release_strays()
                if self._loop.time() >= self._renew_at:
                    await self._renew()
                    self._compares = max(0, self._compares - 1)
                    seconds = COMPARE_SECONDS if self._compares else self._renewal_seconds
                    self._renew_at = self._loop.time() + seconds
            except LayerUnavailable as error:
                logger.debug("Memberships have to wait: %s", error)
                await asyncio.sleep(backoff.fail())
                self._reader.left.set()
            else:
                backoff.succeed()

    async def _wait(self, until: float) -> None:
        """Wait until a client has left, and a moment for others, or until the time ``until``."""
        left = self._reader.left
        timer = self._loop.call_at(until, left.set)
        try:
            await left.wait()
        finally:
            timer.cancel()
        await asyncio.sleep(max(0.0, min(SEARCH_SECONDS, self._renew_at - self._loop.time())))
        left.clear()

    async def _renew(self) -> None:
        channels = iter([channel for channel in self._layer.joined() if self._reader.has(channel)])
        while some := list(islice(channels, CHANNELS_AT_ONCE)):
            await self._layer.arenew(some)

    async def _release_strays(self) -> None:
        process = self._reader.process_channel
        strays = [
            channel
            for channel in self._layer.joined()
            if channel.startswith(process) and not self._reader.has(channel)
        ]
        if strays:
            await self._layer.arelease(strays)
