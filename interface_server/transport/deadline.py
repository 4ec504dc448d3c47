"""Time limits of a connection, by timers that are seldom made."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Callable

if sys.platform == "linux":
    import fcntl
    import termios

NEVER = float("inf")

STALL_SECONDS = 60.0
"""A client that reads less than ``STALL_BYTES`` of what waits for it in this time is cut off."""

STALL_BYTES = 6000
"""100 bytes a second: more than any line that people would wait at, less than a trickle is worth."""


class Deadline:
    """Calls back at a time that may be moved often: a timer that finds it moved is only made again.

    Arguments:
        loop: whose time counts.
        callback: called when the time has come.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._moment = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Call back in so many seconds, and not at the time that was set before."""
        self._moment = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._moment:
            self.cancel_timer()
        if self._timer is None:
            self._timer = self._loop.call_at(self._moment, self._look)

    def clear(self) -> None:
        """Do not call back."""
        self._moment = NEVER

    def cancel_timer(self) -> None:
        """Keep no timer either, since the connection is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= self._moment:
            self._moment = NEVER
            self._callback()
        elif self._moment < NEVER:
            self._timer = self._loop.call_at(self._moment, self._look)


class StallWatch:
    """Sees to it that a client reads what is sent to it, however slowly.

    Arguments:
        transport: of the connection.
        stalled: called when the client has stopped reading.
    """

    def __init__(self, transport: asyncio.Transport, stalled: Callable[[], None]) -> None:
        self._transport = transport
        self._stalled = stalled
        self._deadline = Deadline(asyncio.get_running_loop(), self._look)
        self._unread = 0

    def begin(self) -> None:
        """Watch from now on."""
        self._unread = unread(self._transport)
        self._deadline.set(STALL_SECONDS)

    def end(self) -> None:
        """Watch no more: the client has caught up."""
        self._deadline.clear()

    def close(self) -> None:
        """The connection is over."""
        self._deadline.cancel_timer()

    def _look(self) -> None:
        if unread(self._transport) > self._unread - STALL_BYTES:
            self._stalled()
        else:
            self.begin()


def unread(transport: asyncio.Transport) -> int:
    """How many bytes the client has not received yet, those in the system's own buffer included.

    That buffer holds megabytes, and takes no more before a good part of it is empty: without a look into it, a
    client with a slow line would seem to read nothing for minutes.
    """
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sys.platform == "linux" and sock is not None and sock.fileno() >= 0:
        waiting += struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    return waiting
