"""One time limit for many: a single timer for all that wait for progress."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Waiting(Protocol):
    """Something that waits for progress."""

    def time_out(self) -> None:
        """Nothing came about in time."""


class Timeouts:
    """What waits, in the order in which time runs out: all have the same time limit.

    Arguments:
        seconds: that each of them has from ``restart`` on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._deadlines: dict[Waiting, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._deadlines)

    def restart(self, waiting: Waiting) -> None:
        """Give ``waiting`` the whole time again, beginning now."""
        self._deadlines.pop(waiting, None)
        self._deadlines[waiting] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def stop(self, waiting: Waiting) -> None:
        """It waits no more, or for something that has no time limit."""
        self._deadlines.pop(waiting, None)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._deadlines:
            waiting, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                self._timer = self._loop.call_at(deadline, self._look)
                return
            del self._deadlines[waiting]
            waiting.time_out()
