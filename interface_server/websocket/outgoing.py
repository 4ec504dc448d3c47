"""``Outgoing``: the messages of consumers to one WebSocket, sent as fast as its client reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from channels_classic.log import logger
from interface_server.asgi_types import Event, Send
from interface_server.backpressure import Amount, Backpressure, Bounds
from interface_server.flow import Flow

BOUNDS = Bounds(high=Amount(100, 2**20), low=Amount(25, 2**18), most=Amount(1000, 2**23))
"""The bounds, in events and bytes, of what waits for a client that reads slowly."""


class Outgoing:
    """The events for one socket. A task sends them, which exists only while there are events.

    Arguments:
        path: the path of the socket.
        send: as in ASGI 3.
        flow: pauses the channel of the socket while too much waits.
        reply_channel: the reply channel of the socket.
    """

    def __init__(self, path: str, send: Send, flow: Flow, reply_channel: str) -> None:
        self.close_code: int | None = None
        """The code with which this side has closed the socket."""
        self._path = path
        self._send = send
        self._waiting: list[Event] = []  # for most sockets always empty, and an empty deque takes 760 bytes
        self._backpressure = Backpressure(flow, reply_channel, BOUNDS)
        self._writer: asyncio.Task[None] | None = None
        self.is_idle = True
        """Whether nothing is on its way to the client."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits that messages from groups, which do not wait, have to be dropped."""
        return self._backpressure.is_full

    def put(self, events: Iterable[Event]) -> None:
        """Send events in their order."""
        for event in events:
            if event["type"] == "websocket.close":
                self.close_code = event["code"]
            self._waiting.append(event)
            self._backpressure.add(_size(event))
        if self._waiting and self._writer is None:
            self.is_idle = False
            self._writer = asyncio.get_running_loop().create_task(self._write())

    def release(self) -> None:
        """Resume the channel, because the socket has ended, and nothing more comes."""
        self._backpressure.clear()

    def clear(self) -> None:
        """Drop the events that wait."""
        self._waiting.clear()
        self._backpressure.clear()

    async def finish(self) -> None:
        """Wait until all is sent."""
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        try:
            while self._waiting:
                event = self._waiting.pop(0)
                self._backpressure.remove(_size(event))
                await self._hand_over(event)
        except Exception as error:
            # The client is gone. ``receive`` tells the same, and ends the socket.
            logger.debug("Writing to the WebSocket %s failed: %r", self._path, error)
            self.clear()
        finally:
            self._writer = None
            self.is_idle = True

    async def _hand_over(self, event: Event) -> None:
        try:
            await self._send(event)
        except Exception:
            if event["type"] != "websocket.close" or not 1001 <= event["code"] < 3000:
                raise
            # Some hosts, such as daphne, do not let an application send codes of the protocol itself.
            await self._send({**event, "code": 1000})


def _size(event: Event) -> int:
    return len(event.get("text") or event.get("bytes") or b"")
