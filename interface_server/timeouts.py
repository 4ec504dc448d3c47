"""``Timeouts``: one time limit for many objects that wait for progress, with a single timer."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Waiting(Protocol):
    """An object that waits for progress."""

    def time_out(self) -> None:
        """Handle the end of the time limit."""


class Timeouts:
    """Objects that wait, in the order in which their time runs out. All have the same time limit.

    Arguments:
        seconds: the time that each of them has from ``restart`` on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._deadlines: dict[Waiting, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._deadlines)

    def restart(self, waiting: Waiting) -> None:
        """Give ``waiting`` the whole time again, from now on."""
        self._deadlines.pop(waiting, None)
        self._deadlines[waiting] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def stop(self, waiting: Waiting) -> None:
        """End the time limit of ``waiting``."""
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
