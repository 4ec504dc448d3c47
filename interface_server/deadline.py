"""``Deadline``: a time limit that moves often, and seldom needs a new timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

NEVER = float("inf")


class Deadline:
    """Calls a function at a time that may be moved often. The timer is made again only when it fires too early.

    Arguments:
        loop: the event loop.
        callback: called when the time has come.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._moment = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Call back in ``seconds``, instead of at the time that was set before."""
        self._moment = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._moment:
            self.cancel_timer()
        if self._timer is None:
            self._timer = self._loop.call_at(self._moment, self._look)

    def clear(self) -> None:
        """Do not call back."""
        self._moment = NEVER

    def cancel_timer(self) -> None:
        """Drop the timer, too, because this deadline is no longer needed."""
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
