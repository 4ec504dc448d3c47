"""Pings to WebSockets, with one timer for all, so that thousands of idle sockets cost almost nothing."""

from __future__ import annotations

import asyncio
import math
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

    def keep_alive(self, now: float) -> float | None:
        """Send a ping if it is due, or end the connection if the last one was not answered in time.

        Returns:
            When to call this again at the earliest; ``None`` for never.
        """


class Keepalive:
    """Pings the connections of one event loop. A round looks only at those that may need something by then.

    Arguments:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last_round = 0
        """The number of a round is its time, in ticks."""
        self._rounds: dict[int, set[Connection]] = {}
        """The connections to look at in each round."""
        self._round_of: dict[Connection, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of_loop(cls, loop: asyncio.AbstractEventLoop) -> Keepalive:
        """The ``Keepalive`` of ``loop``."""
        if loop not in _by_loop:
            _by_loop[loop] = cls(loop)
        return _by_loop[loop]

    def add(self, connection: Connection) -> None:
        """Ping ``connection`` from now on."""
        if self._timer is None:
            self._last_round = int(self._loop.time() / TICK)
            self._begin_round()
        self._plan(connection, 0)

    def discard(self, connection: Connection) -> None:
        """Stop pinging ``connection``."""
        number = self._round_of.pop(connection, 0)
        if number in self._rounds:
            self._rounds[number].discard(connection)

    def _plan(self, connection: Connection, when: float) -> None:
        number = max(self._last_round + 1, math.ceil(when / TICK))
        self._round_of[connection] = number
        self._rounds.setdefault(number, set()).add(connection)

    def _begin_round(self) -> None:
        self._timer = self._loop.call_at((self._last_round + 1) * TICK, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self._last_round = round(now / TICK)  # a timer may fire a little too early
        for number in [number for number in self._rounds if number <= self._last_round]:
            for connection in self._rounds.pop(number):
                self._round_of.pop(connection, None)
                when = connection.keep_alive(now)
                if when is not None:
                    self._plan(connection, when)
        if self._round_of:
            self._begin_round()
        else:
            self._timer = None


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

    @property
    def next_look(self) -> float:
        """When something may be due: at once while a ping is not answered, or with the next ping."""
        return 0.0 if self._sent_at else self._next

    def is_overdue(self, now: float) -> bool:
        """Whether the client has been silent for too long."""
        return bool(self._sent_at) and now - max(self._heard_at, self._sent_at) >= self._timeout
