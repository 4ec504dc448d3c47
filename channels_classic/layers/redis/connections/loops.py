"""Objects that belong to one event loop, until it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence

from channels_classic.layers.redis.connections.async_server import AsyncServer


class OfLoops:
    """The servers of each event loop that uses the layer.

    An event loop that is shut down properly, as by ``asyncio.run`` and ``async_to_sync``, closes the asynchronous
    generators that were started in it. So a generator closes the connections, in the loop that they belong to.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[asyncio.AbstractEventLoop, Sequence[AsyncServer]] = {}
        self._guards: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    def get(self) -> Sequence[AsyncServer] | None:
        """The servers of the running event loop; ``None`` if it has none yet."""
        return self._servers.get(asyncio.get_running_loop())

    async def begin(self, make: Callable[[], Sequence[AsyncServer]]) -> Sequence[AsyncServer]:
        """The servers of the running event loop. ``make`` makes them if there are none yet."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop in self._servers:
                return self._servers[loop]
            self._forget_closed()
            servers = self._servers[loop] = make()
            guard = self._guards[loop] = self._until_the_end(loop)
        await anext(guard)  # it reaches its yield without waiting for anything
        return servers

    async def end(self) -> None:
        """Close the connections of the running event loop."""
        if guard := self._guards.get(asyncio.get_running_loop()):
            await guard.aclose()

    async def _until_the_end(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            with self._lock:
                servers = self._servers.pop(loop, ())
                self._guards.pop(loop, None)
            for server in servers:
                await server.close()

    def forget_closed(self) -> None:
        """Forget event loops that were closed without a shutdown: nothing can be closed in them any more."""
        with self._lock:
            self._forget_closed()

    def _forget_closed(self) -> None:
        for loop in [loop for loop in self._servers if loop.is_closed()]:
            for server in self._servers.pop(loop):
                server.forget()
            del self._guards[loop]
