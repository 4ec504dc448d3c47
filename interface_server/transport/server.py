"""The server: listens, makes a connection for each client, and stops properly."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from channels_classic.log import logger, printable
from interface_server.asgi_types import Application
from interface_server.messages import MAX_MESSAGE_SIZE
from interface_server.transport.lifespan import Lifespan
from interface_server.transport.port import Port
from interface_server.transport.proxy import TrustedProxies

try:
    from uvloop import new_event_loop
except ImportError:  # uvloop does not exist for Windows
    from asyncio import new_event_loop  # type: ignore[assignment]

LIFESPAN_SECONDS = 15.0
"""Seconds that the application may take to stop when no client is left."""

ABORT_SECONDS = 1.0
"""Seconds that tasks may take to end after they were cancelled."""

STOPPING_TICK = 0.02
"""Seconds between two checks of what still runs while the server stops. It waits for many different things."""


class Connection(Protocol):
    """A connection, for its server. It is in ``Server.connections`` while it is open.

    ``str(connection)`` tells what it does, such as ``GET /page``.
    """

    def shutdown(self) -> None:
        """Finish the running exchange, or end it if it is endless, then close."""

    def abort(self) -> None:
        """Close now, even if something is unfinished."""


@dataclass(frozen=True)
class ServerSettings:
    """The settings that all connections of a server share."""

    root_path: str = ""
    """The path prefix that a proxy removes, such as ``/app``, without a slash at its end."""

    trusted_proxies: TrustedProxies | None = None
    """The proxies whose X-Forwarded headers are used; ``None`` for none."""

    ping_interval: float = 30
    """Seconds between pings to a WebSocket; 0 for none. Many proxies cut connections that are idle for 60 s."""

    ping_timeout: float = 30
    """Seconds that a ping may go unanswered."""

    max_message_size: int = MAX_MESSAGE_SIZE
    """The most bytes in one WebSocket message, in any number of frames."""

    per_message_deflate: bool = False
    """Whether WebSocket messages are compressed. This takes 64 KiB per socket and most of the time of a frame."""

    tls: ssl.SSLContext | None = None
    """For TLS."""

    drain: float = 0
    """Seconds over which the server spreads the closing of connections when it stops."""

    shutdown_timeout: float = 30
    """Seconds that exchanges may take to finish when the server stops."""

    @property
    def is_tls(self) -> bool:
        """Whether clients connect by TLS."""
        return self.tls is not None


class ServerFailed(Exception):
    """The server did not stop properly. The text says why."""


class CutOff(ServerFailed):
    """Something did not finish in time when the server stopped. The text says what."""


class Server:
    """Serves an ASGI 3 application on listening sockets.

    It stops in this order: the port refuses new clients; idle connections, WebSockets and endless streams close,
    one after another over the drain time; exchanges finish; the application stops. What still runs after
    ``shutdown_timeout`` is cut off.

    An application whose lifespan ends before the shutdown has died. Then the server stops, and reports it.

    Arguments:
        application: the ASGI 3 application.
        settings: the settings of its connections.
        make_connection: makes the protocol of a new connection. It is called with this server.
    """

    def __init__(
        self,
        application: Application,
        settings: ServerSettings,
        make_connection: Callable[[Server], asyncio.Protocol],
    ) -> None:
        self.application = application
        self.settings = settings
        self.connections: set[Connection] = set()
        """The open connections. Each adds and removes itself."""
        self.tasks: set[asyncio.Task[None]] = set()
        """The running calls of the application. Each connection adds its own calls, and removes them when they
        end."""
        self._told = set[Connection]()
        self._make_connection = make_connection
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told_to_stop = asyncio.Event()
        self.is_stopping = False
        """Whether it is stopping, so that no connection serves another request."""

    def run(self, sockets: Sequence[socket.socket], started: Callable[[], None] | None = None) -> None:
        """Serve until ``stop`` is called, in an event loop of its own. See ``serve``."""
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self.serve(sockets, started))

    async def serve(self, sockets: Sequence[socket.socket], started: Callable[[], None] | None = None) -> None:
        """Serve until ``stop`` is called.

        Arguments:
            sockets: bound sockets, so that the caller can report errors about addresses.
            started: called when clients can be served.

        Raises:
            StartupFailed: the application could not start.
            CutOff: something did not finish in time.
            ServerFailed: it cannot listen, or the application died or did not stop in time.
        """
        self._loop = asyncio.get_running_loop()
        if self.is_stopping:
            return
        lifespan = Lifespan(self.application)
        await lifespan.startup()
        ports = [Port(sock, lambda: self._make_connection(self), self.settings.tls) for sock in sockets]
        try:
            for port in ports:
                await port.open()
        except OSError as error:
            await lifespan.shutdown()
            raise ServerFailed(f"Cannot listen: {error.strerror}.") from error
        if started is not None:
            started()
        death = await self._wait_for_the_end(lifespan)
        self.is_stopping = True
        logger.debug("The server stops; connections that are open: %d.", len(self.connections))
        for port in ports:
            for task in port.close():
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        drain = 0 if death is not None else self.settings.drain
        end = self._loop.time() + drain + self.settings.shutdown_timeout
        unfinished = await self._close_connections(drain, end)
        await self._stop_application(lifespan, end)
        if death is not None:
            raise ServerFailed(f"The application died: {death!r}") from death
        if unfinished:
            raise CutOff(f"Cut off after {self.settings.shutdown_timeout:g} s: {unfinished}.")

    def stop(self) -> None:
        """Stop serving soon. Any thread and any signal handler may call this, any number of times."""
        self.is_stopping = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told_to_stop.set)

    def describe_running(self) -> str:
        """A text about what runs at the moment: ``GET /page, 2 WebSockets``. Any thread may call this."""
        names = sorted(printable(str(connection)) for connection in self.connections.copy())
        shown = ", ".join(names[:10])
        return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")

    async def _wait_for_the_end(self, lifespan: Lifespan) -> BaseException | None:
        """Wait until ``stop`` is called, or the application dies. Returns the error that it died of."""
        told = asyncio.ensure_future(self._told_to_stop.wait())
        died = asyncio.ensure_future(lifespan.died())
        if self.is_stopping:  # ``stop`` was called before there was an event loop
            self._told_to_stop.set()
        await asyncio.wait([told, died], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if died.done():
            return died.result()
        died.cancel()
        return None

    async def _close_connections(self, drain: float, end: float) -> str:
        """Let the connections finish until ``end``. Returns those that had to be cut off."""
        try:
            async with asyncio.timeout_at(end):
                await self._tell(drain)
                while self.connections or self.tasks:
                    await asyncio.sleep(STOPPING_TICK)
                    # Connections that were accepted at the last moment, or have become WebSockets meanwhile.
                    await self._tell(0)
                return ""
        except TimeoutError:
            unfinished = self.describe_running() or ", ".join(sorted(task.get_name() for task in self.tasks))
        for connection in list(self.connections):
            connection.abort()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=ABORT_SECONDS)
        return unfinished

    async def _tell(self, seconds: float) -> None:
        """Shut down the connections that were not shut down yet, spread evenly over ``seconds``."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        connections = list(self.connections - self._told)
        for number, connection in enumerate(connections):
            due = began + seconds * number / len(connections)
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            self._told.add(connection)
            if connection in self.connections:
                connection.shutdown()
        self._told &= self.connections

    async def _stop_application(self, lifespan: Lifespan, end: float) -> None:
        """Stop the application, which has time until ``end``, and ``APPLICATION_PATIENCE`` at least."""
        began = asyncio.get_running_loop().time()
        end = max(end, began + LIFESPAN_SECONDS)
        try:
            async with asyncio.timeout_at(end):
                await lifespan.shutdown()
        except TimeoutError:
            raise ServerFailed(f"The application did not stop within {end - began:.0f} s.") from None
