"""``Reader``: the only way from the channel layer to the clients of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from channels_classic.backoff import Backoff
from channels_classic.counters import counters
from channels_classic.layers import BaseChannelLayer, LayerUnavailable, Received
from channels_classic.layers.capacity import INTERFACE_PREFIX
from channels_classic.layers.gone import tell_gone
from channels_classic.layers.names import random_part
from channels_classic.log import logger
from interface_server.lost_turns import LostTurns

BATCH_LIMIT = 1000
"""The most messages that are taken at once."""

DELIVERIES_AT_ONCE = 500
"""How many deliveries are made before the event loop can do something else, so that a large group does not block
it."""

WAIT_SECONDS = 30.0
"""Seconds that one call to the layer waits for a message. A message ends it at once."""


class Client(Protocol):
    """A client that waits for messages on its reply channel."""

    @property
    def next_order(self) -> int | None:
        """The order of its first message that the layer has not taken; ``None`` without turns."""

    def deliver(self, content: dict[str, Any]) -> None:
        """Take a message. Do not change its content, because other clients may share it."""

    @property
    def registration(self) -> tuple[int, bytes] | None:
        """For the registry: the order of the last message that the layer has taken, and the packed will."""

    def abort(self) -> None:
        """End as well as possible, because the process cannot go on, and no message will come any more."""

    def lapse(self) -> None:
        """End, and send nothing more, because the layer has declared the process dead, and has told workers."""


class Reader:
    """Receives on the channel of this process, and passes each message to its client.

    Arguments:
        layer: the channel layer.
        lost: called when a server behind the layer has lost its data.
        name: the name of the process.
    """

    def __init__(
        self, layer: BaseChannelLayer, lost: Callable[[], None] = lambda: None, name: str | None = None
    ) -> None:
        self._layer = layer
        self._lost = lost
        self._losses = layer.losses
        self._lost_turns = LostTurns(layer, self.next_orders)
        self.process_channel = f"{name or INTERFACE_PREFIX + random_part()}!"
        self.late: Callable[[str, dict[str, Any]], None] | None = None
        """Called with the channel and the content of each message for a client that is gone."""
        self.received: Callable[[Sequence[Received]], None] | None = None
        """Called with each batch after its messages have been passed to the clients."""
        self.left = asyncio.Event()
        """Set when a client has left."""
        self._clients: dict[str, Client] = {}

    @property
    def clients(self) -> int:
        """The number of clients."""
        return len(self._clients)

    def next_orders(self) -> dict[str, int]:
        """For each client whose messages have turns, the order of the first one that the layer has not taken."""
        orders = {channel: client.next_order for channel, client in self._clients.items()}
        return {channel: order for channel, order in orders.items() if order is not None}

    def registrations(self) -> dict[str, tuple[int, bytes]]:
        """The registrations of all clients that have a will."""
        known = {channel: client.registration for channel, client in self._clients.items()}
        return {channel: registration for channel, registration in known.items() if registration is not None}

    def has(self, reply_channel: str) -> bool:
        """Whether there is a client with this reply channel."""
        return reply_channel in self._clients

    def join(self, client: Client) -> str:
        """Add a client, and return its new reply channel."""
        reply_channel = self.process_channel + random_part()
        self._clients[reply_channel] = client
        return reply_channel

    def leave(self, reply_channel: str) -> None:
        """Remove a client that is gone. It gets no more messages."""
        self._clients.pop(reply_channel, None)
        self.left.set()

    def abort_all(self) -> None:
        """End all clients, because nothing can be received any more."""
        self._end_clients(lambda client: client.abort())

    def begin_again(self, name: str) -> None:
        """End all clients, because the process was declared dead. New clients get channels under the new name.

        The caller has to start ``run`` again.

        Arguments:
            name: the new name of the process.
        """
        self._end_clients(lambda client: client.lapse())
        self._clients.clear()
        self._lost_turns = LostTurns(self._layer, self.next_orders)
        self.process_channel = f"{name}!"

    def _end_clients(self, end: Callable[[Client], None]) -> None:
        for reply_channel, client in list(self._clients.items()):
            try:
                end(client)
            except Exception:
                logger.exception("The client of %s could not be ended:", reply_channel)

    async def run(self) -> None:
        """Receive until cancelled."""
        backoff = Backoff()
        while True:
            try:
                await self._look_for_losses()
                wait = min(WAIT_SECONDS, await self._lost_turns.look_after())
                batch = await self._layer.areceive_own(self.process_channel[:-1], BATCH_LIMIT, wait)
            except LayerUnavailable as error:
                logger.debug("No replies for now: %s", error)
                await asyncio.sleep(backoff.fail())
                continue
            backoff.succeed()
            late: list[Received] = []
            for start in range(0, len(batch), DELIVERIES_AT_ONCE):
                if start:
                    await asyncio.sleep(0)
                late += self._deliver(batch[start : start + DELIVERIES_AT_ONCE])
            counters.received += len(batch)
            counters.delivered += len(batch) - len(late)
            if self.received is not None:
                self.received(batch)
            if late:
                await self._take_late(late)
            await asyncio.sleep(0)

    def _deliver(self, batch: Sequence[Received]) -> list[Received]:
        """Pass messages to their clients. Returns those whose clients are gone."""
        late = []
        client_of = self._clients.get
        for received in batch:
            client = client_of(received.channel)
            if client is None:
                late.append(received)
                if self.late is not None:
                    self.late(received.channel, received.content)
                continue
            try:
                client.deliver(received.content)
            except Exception:
                logger.exception("A message for %s could not be delivered:", received.channel)
        return late

    async def _take_late(self, late: Sequence[Received]) -> None:
        """Deal with messages for clients that are gone."""
        await self._release({received.channel for received in late})
        streams = {received.channel for received in late if received.content.get("more_content")}
        if streams:
            await self._end(streams)

    async def _look_for_losses(self) -> None:
        losses = self._layer.losses
        if losses != self._losses:
            await self._layer.aregister_clients(self.process_channel[:-1], self.registrations())
            self._losses = losses
            self._lost_turns.begin()
            self._lost()

    async def _release(self, channels: set[str]) -> None:
        """End the memberships that channels of departed clients still have."""
        try:
            await self._layer.arelease(channels)
        except LayerUnavailable as error:
            logger.debug("Could not release %d channels: %s", len(channels), error)

    async def _end(self, streams: set[str]) -> None:
        """Tell workers that still stream answers to departed clients."""
        try:
            await asyncio.to_thread(tell_gone, self._layer, streams)
        except LayerUnavailable as error:
            logger.debug("Could not tell that %d clients are gone: %s", len(streams), error)
