"""A server that speaks the protocol of Redis but is not one, for answers that no Redis at hand would give."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO

Answer = Callable[[list[bytes]], bytes]


class RespServer:
    """Listens on a free port of 127.0.0.1.

    Arguments:
        answer: takes a command with its arguments and returns the bytes to answer with.
    """

    def __init__(self, answer: Answer) -> None:
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(answer))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"redis://127.0.0.1:{self._server.server_address[1]}/0"

    def __enter__(self) -> RespServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(answer: Answer) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while command := _read_command(self.rfile):  # type: ignore[arg-type]
                self.wfile.write(answer(command))

    return Handler


def _read_command(stream: BinaryIO) -> list[bytes]:
    try:
        line = stream.readline()
        parts = []
        for _ in range(int(line[1:] or 0)):
            length = int(stream.readline()[1:])
            parts.append(stream.read(length + 2)[:-2])
        return parts
    except ConnectionError:
        return []
