"""Pings to WebSockets: one timer for all of them, so that thousands of idle sockets cost next to nothing."""

from __future__ import annotations

import asyncio
import secrets
import weakref
from typing import Protocol

from websockets.frames import Frame, Opcode

TICK = 1.0
"""Seconds between two rounds of pings. Each goes to all clients that have become due since the last one."""

PING_PAYLOAD = secrets.token_bytes(4)
PING = Frame(Opcode.PING, PING_PAYLOAD).serialize(mask=False)
"""The ping of this process, whose answer no client can give unasked."""

PONG_BYTE = Frame(Opcode.PONG, b"").serialize(mask=False)[:1]
"""The first byte of every pong."""

_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Keepalive] = weakref.WeakKeyDictionary()


class Connection(Protocol):
    """A connection that is kept alive."""

    def keep_alive(self, now: float) -> None:
        """Send a ping if it is time to, or end the connection if the last one was not answered in time."""


class Keepalive:
    """Looks after the connections of one event loop.

    Arguments:
        loop: whose time counts.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of_loop(cls, loop: asyncio.AbstractEventLoop) -> Keepalive:
        """The one of ``loop``."""
        if loop not in _by_loop:
            _by_loop[loop] = cls(loop)
        return _by_loop[loop]

    def add(self, connection: Connection) -> None:
        """Look after ``connection`` from now on."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._look)

    def discard(self, connection: Connection) -> None:
        """Look after it no more."""
        self._connections.discard(connection)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            connection.keep_alive(now)
        self._timer = self._loop.call_later(TICK, self._look) if self._connections else None


class Pings:
    """When one client is due for a ping, and whether it answers.

    Arguments:
        interval: seconds between pings.
        timeout: seconds that the client may be silent after a ping.
        now: by the loop's clock.
    """

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._next = now + interval
        self._sent_at = 0.0
        self._heard_at = now

    def hear(self, now: float) -> None:
        """The client lives, whatever it said."""
        self._heard_at = now

    def answer(self, payload: bytes) -> None:
        """Take a pong; only the answer to our ping counts."""
        if self._sent_at and payload == PING_PAYLOAD:
            self._next = self._sent_at + self._interval
            self._sent_at = 0.0

    def begin(self, now: float) -> bool:
        """Whether it is time to send a ping; the time limit for its answer begins then."""
        if self._sent_at or now < self._next:
            return False
        self._sent_at = now
        return True

    def is_overdue(self, now: float) -> bool:
        """Whether the client has been silent for too long."""
        return bool(self._sent_at) and now - max(self._heard_at, self._sent_at) >= self._timeout
