"""``Portions``: passes on what a client sends in portions, one in each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PORTION = 16 * 1024
"""Bytes. They can hold thousands of frames or chunks, which take about 20 ms. Without a bound, uvloop reads 8 MB
of one client before it looks at the others."""


class Portions:
    """Passes on the bytes of a client, so that a flood of tiny frames or chunks lets the other clients have their
    turns. Nothing is read while some of what was read waits.

    Arguments:
        transport: the transport of the client.
        take: takes a portion.
    """

    def __init__(self, transport: asyncio.Transport, take: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._take = take
        self._rest = bytearray()
        self._next: asyncio.Handle | None = None
        self.is_paused = False
        """Whether nothing is passed on and read."""
        self._is_over = False

    def put(self, data: bytes) -> None:
        """Pass on ``data``, and the first portion of it at once if nothing else waits."""
        if len(data) <= PORTION and not (self._rest or self.is_paused):
            self._take(data)
            return
        self._rest += data
        if self._next is None and not self.is_paused:
            self._pass_on()

    def pause(self) -> None:
        """Pass nothing on, and read nothing more."""
        self.is_paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Pass on what waits, then read again."""
        self.is_paused = False
        if self._rest:
            if self._next is None:
                self._next = self._loop.call_soon(self._pass_on)
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def finish(self) -> None:
        """Pass on all that waits, because nothing more comes."""
        if data := self.take_rest():
            self._take(data)

    def take_rest(self) -> bytes:
        """Take all that waits, and pass nothing on any more."""
        self._is_over = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        data = bytes(self._rest)
        self._rest.clear()
        return data

    def _pass_on(self) -> None:
        self._next = None
        if self.is_paused:
            return
        portion = bytes(self._rest[:PORTION])
        del self._rest[:PORTION]
        self._take(portion)
        if self.is_paused or self._is_over or self._transport.is_closing():
            return
        if self._rest:
            self._transport.pause_reading()
            self._next = self._loop.call_soon(self._pass_on)
        else:
            self._transport.resume_reading()
