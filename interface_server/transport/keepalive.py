"""Pings to WebSockets, with one timer for all, so that thousands of idle sockets cost almost nothing."""

from __future__ import annotations

import asyncio
import secrets
import weakref
from typing import Protocol

from websockets.frames import Frame, Opcode

TICK = 1.0
"""Seconds between two rounds of pings. A round goes to all clients that have become due since the last one."""

PING_PAYLOAD = secrets.token_bytes(4)
PING = Frame(Opcode.PING, PING_PAYLOAD).serialize(mask=False)
"""The payload of this process's pings. It is random, so that no client can answer before it was asked."""

PONG_BYTE = Frame(Opcode.PONG, b"").serialize(mask=False)[:1]
"""The first byte of every pong."""

_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Keepalive] = weakref.WeakKeyDictionary()


class Connection(Protocol):
    """A connection that gets pings."""

    def keep_alive(self, now: float) -> None:
        """Send a ping if it is due, or end the connection if the last one was not answered in time."""


class Keepalive:
    """Pings the connections of one event loop.

    Arguments:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of_loop(cls, loop: asyncio.AbstractEventLoop) -> Keepalive:
        """The ``Keepalive`` of ``loop``."""
        if loop not in _by_loop:
            _by_loop[loop] = cls(loop)
        return _by_loop[loop]

    def add(self, connection: Connection) -> None:
        """Ping ``connection`` from now on."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._look)

    def discard(self, connection: Connection) -> None:
        """Stop pinging ``connection``."""
        self._connections.discard(connection)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            connection.keep_alive(now)
        self._timer = self._loop.call_later(TICK, self._look) if self._connections else None


class Pings:
    """The times of pings to one client.

    Arguments:
        interval: seconds between pings.
        timeout: seconds that the client may be silent after a ping.
        now: the time, by the clock of the event loop.
    """

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._next = now + interval
        self._sent_at = 0.0
        self._heard_at = now

    def hear(self, now: float) -> None:
        """Note that the client has sent something, so it is alive."""
        self._heard_at = now

    def answer(self, payload: bytes) -> None:
        """Take a pong. Only an answer to a ping of this process counts."""
        if self._sent_at and payload == PING_PAYLOAD:
            self._next = self._sent_at + self._interval
            self._sent_at = 0.0

    def begin(self, now: float) -> bool:
        """Whether a ping is due. If so, the time limit for its answer begins."""
        if self._sent_at or now < self._next:
            return False
        self._sent_at = now
        return True

    def is_overdue(self, now: float) -> bool:
        """Whether the client has been silent for too long."""
        return bool(self._sent_at) and now - max(self._heard_at, self._sent_at) >= self._timeout
