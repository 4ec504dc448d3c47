"""The one way from the channel layer to the clients of this process."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Protocol

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.layers.capacity import INTERFACE_PREFIX
from channels_classic.layers.gone import tell_gone
from channels_classic.layers.names import random_part
from channels_classic.log import logger

BATCH_LIMIT = 1000
"""How many messages are taken at once at the most."""

DELIVERIES_PER_TURN = 500
"""After so many deliveries the event loop gets its turn, so that a large group does not stop everything else."""

WAIT_SECONDS = 30.0
"""How long one call to the layer waits for a message; it ends at once when there is one."""

UNAVAILABLE_PAUSE = (0.1, 5.0)
"""The shortest and the longest pause before an unreachable layer is tried again."""


class Client(Protocol):
    """Who waits for messages on a reply channel."""

    def deliver(self, content: dict[str, Any]) -> None:
        """Take a message; its content may be shared with others and must not be changed."""


class Reader:
    """Receives on the channel of this process and hands each message to the client it is for.

    Arguments:
        layer: where the messages come from.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self.process_channel = f"{INTERFACE_PREFIX}{random_part()}!"
        self._clients: dict[str, Client] = {}

    @property
    def clients(self) -> int:
        """How many clients there are."""
        return len(self._clients)

    def join(self, client: Client) -> str:
        """A reply channel for a new client."""
        reply_channel = self.process_channel + random_part()
        self._clients[reply_channel] = client
        return reply_channel

    def take_over(self, reply_channel: str, client: Client) -> None:
        """Deliver to another client from now on."""
        self._clients[reply_channel] = client

    def leave(self, reply_channel: str) -> None:
        """The client is gone; nothing is delivered to it any more."""
        self._clients.pop(reply_channel, None)

    async def run(self) -> None:
        """Receive, until cancelled."""
        failures = 0
        while True:
            try:
                batch = await self._layer.areceive_batch([self.process_channel], BATCH_LIMIT, WAIT_SECONDS)
                failures = 0
            except LayerUnavailable as error:
                failures += 1
                shortest, longest = UNAVAILABLE_PAUSE
                logger.debug("No replies for now: %s", error)
                pause = min(longest, shortest * 2**failures)
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                continue
            strangers = set()
            streams = set()
            for position, received in enumerate(batch, 1):
                client = self._clients.get(received.channel)
                if client is None:
                    strangers.add(received.channel)
                    if received.content.get("more_content"):
                        streams.add(received.channel)
                    continue
                try:
                    client.deliver(received.content)
                except Exception:
                    logger.exception("A message for %s could not be delivered:", received.channel)
                if position % DELIVERIES_PER_TURN == 0:
                    await asyncio.sleep(0)
            if strangers:
                await self._release(strangers)
            if streams:
                await self._end(streams)
            await asyncio.sleep(0)

    async def _release(self, channels: set[str]) -> None:
        """End what memberships the channels of departed clients still have."""
        try:
            await self._layer.arelease(channels)
        except LayerUnavailable as error:
            logger.debug("Could not release %d channels: %s", len(channels), error)

    async def _end(self, streams: set[str]) -> None:
        """Tell who still makes answers for departed clients."""
        try:
            await asyncio.to_thread(tell_gone, self._layer, streams)
        except LayerUnavailable as error:
            logger.debug("Could not tell that %d clients are gone: %s", len(streams), error)
