"""The deadlines of round trips in an event loop.

``asyncio.timeout`` sets a timer for each round trip, which takes uvloop a tenth of the time of a round trip. Here
all round trips of a server share one timer, because hardly any of them ever reaches its deadline.
"""

from __future__ import annotations

import asyncio


class Deadline:
    """The time at which a task is cancelled."""

    __slots__ = ("ends", "is_over", "task")

    def __init__(self, ends: float, task: asyncio.Task[object] | None) -> None:
        self.ends = ends
        self.task = task
        self.is_over = False

    def end(self) -> None:
        """Cancel the task: its time is over."""
        self.is_over = True
        if self.task is not None:
            self.task.cancel()

    def meaning(self, error: BaseException) -> BaseException:
        """Translate an error in the task: a timeout, unless somebody else has cancelled the task as well."""
        if self.is_over and isinstance(error, asyncio.CancelledError) and self.task is not None:
            if self.task.uncancel() == 0:
                return TimeoutError()
        return error


class Deadlines:
    """The deadlines of all round trips that are under way in the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings = 0.0

    def begin(self, seconds: float) -> Deadline:
        """Cancel the running task after ``seconds``, unless ``close`` is called before."""
        deadline = Deadline(self._loop.time() + seconds, asyncio.current_task(self._loop))
        self._open.add(deadline)
        if self._timer is None or deadline.ends < self._rings:
            self._ring_at(deadline.ends)
        return deadline

    def close(self, deadline: Deadline) -> None:
        """Drop the deadline, because the task is done."""
        self._open.discard(deadline)

    def _ring_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = when
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        for deadline in [deadline for deadline in self._open if deadline.ends <= now]:
            self._open.discard(deadline)
            deadline.end()
        if self._open:
            self._ring_at(min(deadline.ends for deadline in self._open))
