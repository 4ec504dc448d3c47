"""``StallWatch``: notices a client that stops reading."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Callable

from interface_server.deadline import Deadline

if sys.platform == "linux":
    import fcntl
    import termios

STALL_SECONDS = 60.0
"""Seconds. A client that reads less than ``STALL_BYTES`` in this time, while more waits for it, is cut off."""

STALL_BYTES = 6000
"""100 bytes a second. Any usable line is faster."""


class StallWatch:
    """Watches whether a client reads what is sent to it, however slowly.

    Arguments:
        transport: the transport of the connection.
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
        """Stop watching, because the client has caught up."""
        self._deadline.clear()

    def close(self) -> None:
        """Stop watching for good, because the connection is over."""
        self._deadline.cancel_timer()

    def _look(self) -> None:
        if unread(self._transport) > self._unread - STALL_BYTES:
            self._stalled()
        else:
            self.begin()


def unread(transport: asyncio.Transport) -> int:
    """The number of bytes that the client has not received yet, including those in the buffer of the system.

    That buffer holds megabytes, and takes no more before a good part of it is empty. Without it, a client with a
    slow line would seem to read nothing for minutes.
    """
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sys.platform == "linux" and sock is not None and sock.fileno() >= 0:
        waiting += struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    return waiting
