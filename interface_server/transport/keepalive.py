"""Pings to WebSockets: one timer for all of them, so that thousands of idle sockets cost next to nothing."""

from __future__ import annotations

import asyncio
import weakref
from typing import Protocol

TICK = 1.0
"""Seconds between two looks at who is due; what became due in between is pinged in one go."""

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
