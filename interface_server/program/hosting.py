"""Hosting an ``InterfaceServer`` on uvicorn: the one place where options become a running server."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from interface_server.application import InterfaceServer
from interface_server.transport.http_protocol import HttpProtocol
from interface_server.transport.socket_protocol import SocketProtocol


class Host(uvicorn.Server):
    """uvicorn, which returns when a signal ends it instead of raising the signal once more.

    What runs beside it in the process (the workers of ``runserver``) can then end in its turn. And while nothing
    happens it does nothing, where uvicorn looks ten times a second whether it was told to stop.

    Arguments:
        config: of uvicorn.
        started: called when clients can be served.
    """

    def __init__(self, config: uvicorn.Config, started: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self._say_started = started
        self._wake: Callable[[], object] = lambda: None

    def stop(self) -> None:
        """Stop serving soon. Any thread may call this."""
        self.should_exit = True
        self._wake()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        super().handle_exit(sig, frame)
        self._wake()

    async def main_loop(self) -> None:
        """Wait for the end."""
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(told.set)
        if not self.should_exit:
            await told.wait()
        self._wake = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self._say_started is not None:
            self._say_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def serve(
    application: InterfaceServer,
    sockets: Sequence[socket.socket],
    started: Callable[[], None] | None = None,
    **options: Any,
) -> None:
    """Serve until a signal comes.

    Arguments:
        application: the interface server.
        sockets: bound already, so that errors about addresses are the caller's to report.
        started: called when clients can be served.
        options: for ``uvicorn.Config``, over the ones that fit an interface server.
    """
    Host(make_config(application, application.context.options.max_message_size, **options), started).run(
        list(sockets)
    )


def make_config(application: InterfaceServer, max_message_size: int, **options: Any) -> uvicorn.Config:
    """A configuration of uvicorn that fits an interface server.

    Arguments:
        application: the interface server.
        max_message_size: bytes of one WebSocket frame.
        options: for ``uvicorn.Config``, over the ones that fit.
    """
    settings: dict[str, Any] = {
        "lifespan": "on",
        "http": HttpProtocol,
        "ws": SocketProtocol,
        # Half of what proxies and routers give an idle connection at the least.
        "ws_ping_interval": 30,
        "ws_ping_timeout": 30,
        "ws_max_size": max_message_size,
        # Compression takes 64 KiB per socket and more time than all the rest of a frame's way.
        "ws_per_message_deflate": False,
        "access_log": False,
        "log_config": None,
        "proxy_headers": False,
        "server_header": False,
        "timeout_graceful_shutdown": 30,
    }
    return uvicorn.Config(application, **{**settings, **options})
