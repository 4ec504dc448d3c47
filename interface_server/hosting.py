"""Hosting an ``InterfaceServer`` on uvicorn: the one place where options become a running server."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from interface_server.http_protocol import HttpProtocol
from interface_server.server import InterfaceServer
from interface_server.socket_protocol import SocketProtocol


class Host(uvicorn.Server):
    """uvicorn, which returns when a signal ends it instead of raising the signal once more.

    What runs beside it in the process (the workers of ``runserver``) can then end in its turn.
    """

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


def serve(application: InterfaceServer, sockets: Sequence[socket.socket], **options: Any) -> None:
    """Serve until a signal comes.

    Arguments:
        application: the interface server.
        sockets: bound already, so that errors about addresses are the caller's to report.
        options: for ``uvicorn.Config``, over the ones that fit an interface server.
    """
    Host(make_config(application, application.max_message_size, **options)).run(list(sockets))


def make_config(application: InterfaceServer | str, max_message_size: int, **options: Any) -> uvicorn.Config:
    """A configuration of uvicorn that fits an interface server.

    Arguments:
        application: itself, or ``module:name`` to import it from.
        max_message_size: bytes of one WebSocket frame.
        options: for ``uvicorn.Config``, over the ones that fit.
    """
    settings: dict[str, Any] = {
        "lifespan": "on",
        "http": HttpProtocol,
        "ws": SocketProtocol,
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
