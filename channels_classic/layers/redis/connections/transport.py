"""The servers of a layer, and how the steps of a call are carried out on them: by a thread or by an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import redis
import redis.asyncio

from channels_classic.layers.cancellation import to_the_end
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.addresses import PoolSource
from channels_classic.layers.redis.connections.async_server import AsyncServer
from channels_classic.layers.redis.connections.calls import Call
from channels_classic.layers.redis.connections.loops import OfLoops
from channels_classic.layers.redis.connections.server import Server
from channels_classic.layers.redis.connections.steps import Result, Steps


class Transport:
    """Carries out steps on servers: those for threads are made at first use, those for an event loop when it asks.

    Arguments:
        find: tells where the connections come from, one source for each server. Asked at first use; again, if
            that raises ``LayerUnavailable``.
    """

    def __init__(self, find: Callable[[], Sequence[PoolSource]]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._sources: Sequence[PoolSource] = ()
        self._servers: list[Server] = []
        self._of_loops = OfLoops()

    @property
    def servers(self) -> list[Server]:
        """The servers for threads.

        Raises:
            LayerUnavailable: nobody can tell where they are.
        """
        if not self._servers:
            with self._lock:
                if not self._servers:
                    self._sources = self._find()
                    self._servers = [Server(source.pool(redis), str(source)) for source in self._sources]
        return self._servers

    def describe(self) -> str:
        """The addresses of the servers, for people; empty if they are unknown."""
        try:
            return ", ".join(str(source) for source in self._sources or self._find())
        except LayerUnavailable:
            return ""

    def run_id(self, server: int) -> bytes:
        """Which server the last new connection led to, as far as is known; see ``SetUp``."""
        return self._servers[server].set_up.run_id

    def run(self, steps: Steps[Result]) -> Result:
        """Carry out the steps of a call.

        Raises:
            LayerUnavailable: as the steps have it.
        """
        servers = self.servers
        try:
            trips = next(steps)
            while True:
                answers = {
                    number: servers[number].round_trip(commands, trips.wait)
                    for number, commands in trips.commands.items()
                }
                failure = trips.failure(answers)
                trips = steps.send(answers) if failure is None else steps.throw(failure)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    async def arun(self, steps: Steps[Result], undo: Callable[[Result], Steps[None]] | None = None) -> Result:
        """As ``run``, on the event loop that runs.

        Arguments:
            undo: gives back what the steps took. If the task is cancelled when they may have taken something,
                they go on to their end, which comes soon, and their result is given back. Then the cancellation
                goes on.
        """
        call = Call(self._of_loops.get() or await self._of_this_loop(), steps, takes=undo is not None)
        try:
            return await call.run()
        except asyncio.CancelledError:
            if undo is not None and call.has_answers:
                await to_the_end(self._undo(call, undo))
            raise

    async def _undo(self, call: Call[Result], undo: Callable[[Result], Steps[None]]) -> None:
        with suppress(LayerUnavailable):
            await self.arun(undo(await call.run()))

    def close(self) -> None:
        """Let go of the connections of all threads."""
        for server in self._servers:
            server.close()

    async def aclose(self) -> None:
        """Let go of the connections of the event loop that runs."""
        await self._of_loops.end()

    async def ready(self) -> None:
        """Make sure that the servers are found, without holding up the event loop.

        Raises:
            LayerUnavailable: nobody can tell where they are.
        """
        if not self._servers:
            await asyncio.to_thread(lambda: self.servers)

    async def _of_this_loop(self) -> Sequence[AsyncServer]:
        await self.ready()
        return await self._of_loops.begin(self._make_async)

    def _make_async(self) -> Sequence[AsyncServer]:
        # What a server was asked and told holds for all loops, so one that lives for a single call need not begin
        # with it.
        return [
            AsyncServer(source.pool(redis.asyncio), str(source), server.set_up)
            for source, server in zip(self._sources, self._servers, strict=True)
        ]
