"""A connection to Redis that can break at the worst moment: when a command has been done and not yet answered."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

from tests.redis_server import RedisServer


class RedisProxy:
    """Stands before a server, on a free port of 127.0.0.1.

    Arguments:
        server: where it passes on what clients send.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]
        self._lock = threading.Lock()
        self._marker: bytes | None = None
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def cut_after(self, marker: bytes) -> None:
        """Break the connection over which ``marker`` comes next, in place of the answer; only once."""
        self._marker = marker

    def __enter__(self) -> RedisProxy:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            for connection in [self._listener, *self._connections]:
                _shut(connection)
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._server.host, self._server.port))
            cut = threading.Event()
            threads = [
                threading.Thread(target=self._pass_on, args=(client, server, cut)),
                threading.Thread(target=self._answer, args=(server, client, cut)),
            ]
            with self._lock:
                self._connections += [client, server]
                self._threads += threads
            for thread in threads:
                thread.start()

    def _pass_on(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(2**20):
                if self._marker is not None and self._marker in data:
                    self._marker = None
                    cut.set()
                server.sendall(data)
        _shut(server)

    def _answer(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while (data := server.recv(2**20)) and not cut.is_set():
                client.sendall(data)
        _shut(client)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
