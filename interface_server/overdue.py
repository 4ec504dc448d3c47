"""``Overdue``: notices an answer that does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Overdue:
    """A context manager that calls when what runs in it takes too long.

    One timer does for thousands of short runs, one after the other.

    Arguments:
        seconds: what is too long.
        call: called once for each run that is overdue.
    """

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._seconds = seconds
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def __exit__(self, *exc_info: object) -> None:
        self._since = None

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        left = self._since + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._call()
