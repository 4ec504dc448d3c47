"""A proxy before a Redis server that breaks connections on demand."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

from channels_classic.layers.redis.scripts import SCRIPTS

Cut = Literal["before", "after"] | None
"""The fate of a trip: the server does not get it, or the client does not get the answer."""

_DIGEST = hashlib.sha1(SCRIPTS["turns"]).hexdigest().encode()
_TURN_STEP = re.compile(rb"%b\r\n.*?\r\n(enter|end|suspend|release)\r\n" % _DIGEST, re.DOTALL)


def turn_step(trip: bytes) -> str | None:
    """The first step of a turn (``"enter"``, ``"end"``, …) that a trip carries, or ``None``."""
    found = _TURN_STEP.search(trip)
    return found[1].decode() if found else None


class RedisProxy:
    """Listens on a free port of 127.0.0.1 and passes on what it gets.

    Arguments:
        url: of the server.
        cut: called for each round trip, in the thread of its connection. A round trip has to fit into 64 KiB.
    """

    def __init__(self, url: str, cut: Callable[[bytes], Cut] = lambda trip: None) -> None:
        self.refused = 0
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        self._cut = cut
        self._away = False
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def cut_after(self, marker: bytes) -> None:
        """Break the connection over which ``marker`` comes next, instead of the answer, once."""
        found = threading.Event()

        def cut(trip: bytes) -> Cut:
            if marker in trip and not found.is_set():
                found.set()
                return "after"
            return None

        self._cut = cut

    def go_away(self, break_open: bool = True) -> None:
        """Break every new connection, which ``refused`` counts, and those that are open, until ``come_back``."""
        self._away = True
        if not break_open:
            return
        for one in list(self._sockets):
            _end(one)

    def lead_to(self, url: str) -> None:
        """Lead new connections to another server, and break those that are open: a failover behind one address."""
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        for one in list(self._sockets):
            _end(one)

    def come_back(self) -> None:
        """Pass on what comes, as before."""
        self._away = False

    def __enter__(self) -> RedisProxy:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._listener)
        self.go_away()
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:
                    return
                if self._away:
                    self.refused += 1
                    client.close()
                else:
                    self._start(self._pass_on, client)

    def _pass_on(self, client: socket.socket) -> None:
        target = self._target
        try:
            server = socket.create_connection(target)  # type: ignore[arg-type]
        except OSError:
            client.close()
            return
        with client, server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.add(one)
            unanswered = threading.Event()
            back = self._start(self._pass_back, server, client, unanswered)
            try:
                # It may have been told to go away, or to lead elsewhere, while this connection was made.
                while not self._away and target == self._target and (trip := client.recv(2**16)):
                    cut = self._cut(trip)
                    if cut == "before":
                        break
                    if cut == "after":
                        unanswered.set()
                    server.sendall(trip)
            except OSError:
                pass
            if not unanswered.is_set():
                _end(server)
            back.join()
            self._sockets -= {client, server}

    def _pass_back(self, server: socket.socket, client: socket.socket, unanswered: threading.Event) -> None:
        try:
            while (answer := server.recv(2**16)) and not unanswered.is_set():
                client.sendall(answer)
        except OSError:
            pass
        _end(client)


def _end(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
