"""An ASGI application on a server of its own, in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

from interface_server.asgi_types import Application
from interface_server.transport.server import Server, ServerSettings
from tests.interface_server.hosted import DEADLINE


class Served:
    """Runs a server; a context manager that stops it.

    Arguments:
        application: of ASGI 3.
        make_connection: of the server.
        settings: of the server.
    """

    def __init__(
        self, application: Application, make_connection: Callable[[Server], asyncio.Protocol], **settings: Any
    ) -> None:
        self.server = Server(application, ServerSettings(**settings), make_connection)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.sock.getsockname()
        self.error: BaseException | None = None
        self.is_started = threading.Event()
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Served:
        assert self.is_started.wait(DEADLINE)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for client in self._clients:
            client.close()
        self.server.stop()
        error = self.join()
        if error is not None:
            raise error

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        client = socket.socket()
        self._clients.append(client)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(DEADLINE)
        client.connect(self.address)
        return client

    def join(self) -> BaseException | None:
        """Wait for its end; what it ended with."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        return self.error

    def _run(self) -> None:
        try:
            with self.sock:
                self.server.run([self.sock], self.is_started.set)
        except Exception as error:
            self.error = error
