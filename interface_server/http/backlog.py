"""The part of an answer that waits for a client that reads slowly."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from interface_server.asgi_types import Event
from interface_server.backpressure import Amount, Backpressure, Bounds
from interface_server.flow import Flow
from interface_server.http.connection import Connection
from interface_server.spool import PIECE, Spool, Storage

MEMORY = 4 * 2**20
"""Bytes of an answer that wait in memory. More bytes wait in a temporary file."""

IN_FLIGHT = 64 * 2**20
"""Bytes that are kept beyond the limit, for messages that are on their way when the channel is paused, and from
groups."""


def bounds(limit: int) -> Bounds:
    """The bounds of an answer of which ``limit`` bytes may wait."""
    any_number = sys.maxsize  # small parts are joined, so only bytes count
    return Bounds(Amount(any_number, limit), Amount(any_number, limit // 2), Amount(any_number, limit + IN_FLIGHT))


WHEN_SCARCE = bounds(2**20)
"""The bounds while the answers of the process have filled their storage."""


class Backlog:
    """Takes an answer as fast as the worker sends it, and sends it as fast as the client reads.

    Arguments:
        storage: the storage of all answers that wait.
        limit: bytes that may wait before the sender has to wait.
        flow: pauses and resumes the channel.
        reply_channel: the reply channel of the exchange.
        connection: the connection to the client.
        emptied: called when everything was sent.
        failed: called when the temporary file cannot be used.
    """

    def __init__(
        self,
        storage: Storage,
        limit: int,
        flow: Flow,
        reply_channel: str,
        connection: Connection,
        emptied: Callable[[], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._storage = storage
        self._bounds = bounds(limit)
        self._backpressure = Backpressure(flow, reply_channel, self._bounds)
        self._spool = Spool(storage, MEMORY)
        self._connection = connection
        self._emptied = emptied
        self._failed = failed
        self._start: list[Event] = []
        self._more = True
        self._fetching: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everything was sent."""
        return self._spool.size == 0 and not self._start and self._fetching is None

    @property
    def is_full(self) -> bool:
        """Whether as much waits as is kept at most."""
        return self._backpressure.is_full

    def put(self, events: list[Event]) -> None:
        """Add the next events of the answer. The last of them has content."""
        self._start += events[:-1]
        content, self._more = events[-1]["body"], events[-1]["more_body"]
        for start in range(0, len(content), PIECE):
            self._spool.put(content[start : start + PIECE])
        self._backpressure.bounds = WHEN_SCARCE if self._storage.is_full else self._bounds
        self._backpressure.add(len(content), 0)
        self.send()

    def send(self) -> None:
        """Send as much as the client can take now."""
        while self._connection.is_writable and self._fetching is None:
            data = self._spool.take_from_memory()
            if not data and self._spool.size:
                self._fetching = asyncio.create_task(self._fetch())
                return
            if not self._hand_over(data):
                return

    def close(self) -> None:
        """Drop what waits."""
        if self._fetching is not None:
            self._fetching.cancel()
        self._backpressure.clear()
        self._spool.close()

    async def _fetch(self) -> None:
        try:
            data = await self._spool.take()
        except OSError as error:
            self._failed(error)
            return
        self._fetching = None
        if self._hand_over(data):
            self.send()

    def _hand_over(self, data: bytes) -> bool:
        """Send ``data``. Returns whether there is more to send."""
        start, self._start = self._start, []
        self._backpressure.remove(len(data), 0)
        is_last = not self._spool.size
        more = self._more or not is_last
        self._connection.send([*start, {"type": "http.response.body", "body": data, "more_body": more}])
        if is_last:
            self._emptied()
        return not is_last
