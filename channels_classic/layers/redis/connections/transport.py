"""Carries out the steps of a call on the servers of a layer, in a thread or in an event loop."""

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
    """Carries out steps on servers. Servers for threads and for each event loop are made at first use.

    Arguments:
        find: gives a source of connections for each server. It is called at first use, and again if it raised
            ``LayerUnavailable``.
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
        """The identity of the server that the last new connection led to, if it is known; see ``SetUp``."""
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
        """As ``run``, in the running event loop.

        Arguments:
            undo: makes the steps that give back what ``steps`` took. If the task is cancelled after they may have
                taken something, they run to their end, which comes soon, and ``undo`` gives their result back.
                Then the cancellation goes on.
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
        """Close the connections of all threads."""
        for server in self._servers:
            server.close()
        self._of_loops.forget_closed()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._of_loops.end()

    async def ready(self) -> None:
        """Find the servers without blocking the event loop.

        Raises:
            LayerUnavailable: nobody can tell where they are.
        """
        if not self._servers:
            await asyncio.to_thread(lambda: self.servers)

    async def _of_this_loop(self) -> Sequence[AsyncServer]:
        await self.ready()
        return await self._of_loops.begin(self._make_async)

    def _make_async(self) -> Sequence[AsyncServer]:
        # The set-up of a server holds for all event loops, so a loop that lives for a single call need not repeat
        # it.
        return [
            AsyncServer(source.pool(redis.asyncio), str(source), server.set_up)
            for source, server in zip(self._sources, self._servers, strict=True)
        ]
