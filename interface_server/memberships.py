"""``Memberships``: clients stay in their groups as long as they are connected, and no longer."""

from __future__ import annotations

import asyncio
from itertools import islice

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger
from interface_server.reader import Reader

RENEWALS_PER_LIFE = 3
"""How often a membership is renewed in the time in which it would end: one renewal may fail unnoticed."""

SEARCH_SECONDS = 1.0
"""How long after a client has left its memberships are searched for, together with those of others that leave."""

LATE_SECONDS = 60.0
"""How often they are searched for when nobody leaves: a consumer may add a client that has left already."""

COMPARE_SECONDS = 2.0
"""Between the two times after an outage that the layer is asked which memberships it has lost."""

CHANNELS_AT_ONCE = 500
"""For how many channels one call is made. Other calls come in between."""


class Memberships:
    """Renews the memberships of the clients that are there and ends those of clients that are not.

    What it ends it finds in what the layer knows of this process, so that most clients, which join no group, cost
    nothing. Sockets do not wait for that: ``Departures`` releases them at once.

    Arguments:
        layer: where the groups are.
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
        """Check that the layer still has all memberships, after an outage."""
        self._compares = 2
        self._renew_at = self._loop.time()
        self._reader.left.set()

    async def run(self) -> None:
        """Look after them, until cancelled."""
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
        """Wait until a client has left, and a moment for others, or until a certain time."""
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
