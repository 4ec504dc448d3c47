"""The connection of another ASGI server, with the interface that an exchange needs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from channels_classic.log import logger
from interface_server.asgi_types import Event, Receive, Send
from interface_server.http.connection import Handler

WATCH_AFTER = 1.0
"""Seconds after which a task watches the client, so that a long exchange without a body ends when the client
leaves.

A short exchange does not get a task, which would cost too much.
"""

WAITING = 64 * 1024
"""Bytes that may wait for the server's ``send`` before the client counts as slow."""


class AsgiConnection:
    """Connects a ``Handler`` with ``receive`` and ``send`` of another server.

    Arguments:
        receive, send: as in ASGI 3.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._events: deque[Event] = deque()
        self._waiting = 0
        self._is_complete = False
        self._is_over = False
        self._change = asyncio.Event()
        self._may_read = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_writable(self) -> bool:
        """See ``Connection``."""
        return self._waiting < WAITING

    def send(self, events: Sequence[Event]) -> None:
        """See ``Connection``."""
        self._events += events
        self._waiting += sum(len(event.get("body", b"")) for event in events)
        self._change.set()

    def resume_reading(self) -> None:
        """See ``Connection``."""
        self._may_read.set()
        self._watch()

    def pause_reading(self) -> None:
        """See ``Connection``."""
        self._may_read.clear()

    def abort(self) -> None:
        """See ``Connection``. The server ends the connection when it sees an incomplete response."""
        self._end()

    async def run(self, handler: Handler) -> None:
        """Run the exchange to its end."""
        self._handler = handler
        timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self.resume_reading)
        try:
            handler.begin()
            while not self._is_over or self._events:
                await self._change.wait()
                self._change.clear()
                await self._send_events()
        finally:
            timer.cancel()
            if self._reading is not None:
                self._reading.cancel()
            handler.leave()

    async def _send_events(self) -> None:
        while self._events:
            event = self._events.popleft()
            try:
                await self._send(event)
            except Exception as error:
                # The client is gone. Servers raise different exceptions for this.
                logger.debug("Writing to a client failed: %r", error)
                self._events.clear()
                self._end()
                return
            was_writable = self.is_writable
            self._waiting -= len(event.get("body", b""))
            if event["type"] == "http.response.body" and not event["more_body"]:
                self._end()
            elif self.is_writable and not was_writable:
                self._handler.resume_writing()

    def _watch(self) -> None:
        if self._reading is None and not self._is_over:
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                await self._may_read.wait()
                event = await self._receive()
                if event["type"] == "http.disconnect":
                    self._handler.leave()
                    return
                if not self._is_complete:
                    more = event.get("more_body", False)
                    self._is_complete = not more
                    self._handler.receive_body(event.get("body", b""), more)
        finally:
            self._end()

    def _end(self) -> None:
        self._is_over = True
        self._change.set()
