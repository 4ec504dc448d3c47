"""HTTP/1.1 over persistent connections: each sends its next request when the answer has arrived."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import cast

import httptools

from benchmarks.clients.recorder import Recorder

FINISH_TIMEOUT = 10.0
"""Seconds to wait for the last answers."""


class HttpConnection(asyncio.Protocol):
    """One connection in a closed loop.

    :param load: the load it is part of.
    """

    def __init__(self, load: HttpLoad) -> None:
        """Make a connection, which is not connected yet."""
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at = 0.0
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        """Send the request."""
        self.waiting = True
        self._sent_at = perf_counter()
        self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        """Hand the bytes to the parser, which calls :meth:`on_message_complete`."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Note the latency and send the next request."""
        load = self._load
        load.recorder.latencies.append(perf_counter() - self._sent_at)
        if self._parser.get_status_code() != 200:
            load.recorder.fail(f"HTTP status {self._parser.get_status_code()}")
        if load.finishing:
            self.waiting = False
            load.answered()
        else:
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        """Note a connection that the server has closed as a failure."""
        if not self._load.finishing or self.waiting:
            self._load.recorder.fail("the server closed a kept connection")


class HttpLoad:
    """A number of connections that ask for one path again and again.

    :param port: the server's port on 127.0.0.1.
    :param path: what is asked for.
    :param connections: how many at once.
    :param recorder: what is told of each answer.
    """

    def __init__(self, port: int, path: str, connections: int, recorder: Recorder) -> None:
        """Make the load, which is not connected yet."""
        self.recorder = recorder
        self.request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode()
        self.finishing = False
        self._port = port
        self._count = connections
        self._connections: list[HttpConnection] = []
        self._all_answered = asyncio.Event()

    async def open(self) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(self._count):
            _, connection = await loop.create_connection(lambda: HttpConnection(self), "127.0.0.1", self._port)
            self._connections.append(connection)

    def begin(self) -> None:
        """Send the first request on each connection."""
        for connection in self._connections:
            connection.send()

    def answered(self) -> None:
        """Note that a connection has stopped. A connection calls this."""
        if not self._waiting():
            self._all_answered.set()

    async def finish(self) -> None:
        """Wait for the last answers, unless the load has failed, then close the connections."""
        self.finishing = True
        if self._waiting() and not self.recorder.failure:
            try:
                await asyncio.wait_for(self._all_answered.wait(), FINISH_TIMEOUT)
            except TimeoutError:
                self.recorder.fail(f"{self._waiting()} requests got no answer within {FINISH_TIMEOUT:g} s")
        for connection in self._connections:
            connection.waiting = False
            connection.transport.close()

    def _waiting(self) -> int:
        return sum(connection.waiting for connection in self._connections)
