"""``MonitorServer``: the small HTTP server behind ``--monitor``, in a thread of its own."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from channels_classic.log import logger, printable
from channels_classic.monitoring.metrics import CONTENT_TYPE, text_of
from channels_classic.monitoring.status import Status, added
from channels_classic.unix_sockets import SocketFile, bind_unix

CLIENT_SECONDS = 5.0
"""Seconds that a client may take to send its request."""

MOST_CLIENTS = 16
"""The most requests that are answered at the same time. More are refused."""

HELP = "Serve /livez, /readyz and /metrics there: PORT, HOST:PORT, or the PATH of a Unix socket."


class BadMonitor(ValueError):
    """The monitor cannot listen at its address. The text tells why, and what was expected."""


class MonitorServer:
    """Answers ``/livez``, ``/readyz``, ``/metrics`` and ``/status`` until it is closed.

    Arguments:
        where: a port (on 127.0.0.1), ``HOST:PORT``, or the path of a unix socket.
        status: returns the status.

    Raises:
        BadMonitor: it cannot listen there.
    """

    def __init__(self, where: str, status: Callable[[], Status]) -> None:
        sock = _listening(where)
        self._file = SocketFile(where) if "/" in where else None
        self._server = _Server(sock, status)
        threading.Thread(target=self._server.accept_all, name="monitor", daemon=True).start()

    @property
    def port(self) -> int:
        """The port; 0 for a unix socket."""
        address = self._server.socket.getsockname()
        return address[1] if isinstance(address, tuple) else 0

    def close(self) -> None:
        """Stop listening."""
        if self._file is not None:
            self._file.remove()
        self._server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, sock: socket.socket, status: Callable[[], Status]) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.socket.listen(self.request_queue_size)
        self._status = status
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MOST_CLIENTS)
        self._stopping = threading.Event()

    def accept_all(self) -> None:
        """Serve until ``stop``. The loop of the base class would check twice a second whether to stop."""
        while not self._stopping.is_set():
            try:
                request, address = self.get_request()
            except OSError:
                self._stopping.wait(0.1)  # for example, no file descriptor is left
            else:
                self.process_request(request, address)
        self.server_close()

    def stop(self) -> None:
        """End ``accept_all``."""
        self._stopping.set()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # ends the wait for a client

    def status(self) -> Status:
        """The status. Only one thread at a time computes it, so that nothing is added twice."""
        with self._lock:
            return self._status()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there are not too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Handle a client that has left, or an unexpected error."""
        logger.debug("A request to the monitor failed:", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_SECONDS
    server_version = "channels-classic"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        path = self.path.partition("?")[0]
        if path == "/livez":
            dead = self.server.status().dead
            self._answer_health(dead)
        elif path == "/readyz":
            status = self.server.status()
            draining = ["it is about to stop"] if status.draining else []
            self._answer_health([*status.dead, *draining, *status.unready])
        elif path == "/metrics":
            status = self.server.status()
            self._answer(200, text_of(added([status.samples, status.layer])), CONTENT_TYPE)
        elif path == "/status":
            self._answer(200, json.dumps(self.server.status().as_json()).encode(), "application/json")
        else:
            self._answer(404, b"There are /livez, /readyz, /metrics and /status.\n")

    do_HEAD = do_GET  # noqa: N815

    def address_string(self) -> str:
        """A placeholder, because a unix socket has no addresses."""
        return "-"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing for requests."""
        logger.debug("Monitor: %s", printable(format % args))

    def _answer_health(self, wrong: list[str]) -> None:
        text = "ok" if not wrong else "\n".join(map(printable, wrong))
        self._answer(503 if wrong else 200, f"{text}\n".encode())

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _listening(where: str) -> socket.socket:
    """Make a socket that is bound to the address of ``--monitor``."""
    try:
        if "/" in where:
            return bind_unix(where)
        host, colon, port = where.rpartition(":")
        if not port.isascii() or not port.isdigit() or int(port) > 65535 or (colon and not host):
            raise BadMonitor(f"--monitor must be PORT, HOST:PORT or the PATH of a socket, not {where!r}.")
        return _bound(host.strip("[]") or "127.0.0.1", int(port))
    except OSError as error:
        raise BadMonitor(f"--monitor {where}: cannot listen there: {error.strerror or error}.") from error


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
