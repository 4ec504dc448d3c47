"""When a worker process has grown old: it asks to be replaced, and works on until its successor is ready."""

from __future__ import annotations

import itertools
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from channels_classic.log import logger
from worker.options import mebibytes

MEMORY_SECONDS = 1.0
"""How often a process that does something looks at the memory it takes."""

LEAST_PART = 0.9
"""Each process draws its own limits, between this part of what was said and all of it: not all end together."""


class Retirement:
    """Asks once that this process be replaced.

    Arguments:
        ask: called when it is time.
        max_messages: how many messages the process handles before.
        max_memory: how many bytes of memory it takes before.
    """

    def __init__(
        self, ask: Callable[[], None], max_messages: int | None = None, max_memory: int | None = None
    ) -> None:
        part = random.uniform(LEAST_PART, 1)
        self._ask = ask
        self._max_messages = None if max_messages is None else max(1, round(max_messages * part))
        self._max_memory = None if max_memory is None else int(max_memory * part)
        self._count = itertools.count(1)
        self._look_at = 0.0
        self._is_asked_for = False

    def note(self, **_: object) -> None:
        """A consumer is done: the receiver of ``consumer_finished``. Any thread may call this."""
        if self._is_asked_for:
            return
        if self._max_messages is not None and next(self._count) >= self._max_messages:
            self.begin(f"it has handled {self._max_messages} messages")
        elif self._max_memory is not None and (now := time.monotonic()) >= self._look_at:
            self._look_at = now + MEMORY_SECONDS
            if (memory := memory_of_this_process()) >= self._max_memory:
                self.begin(f"it takes {mebibytes(memory)} of memory")

    def begin(self, reason: str) -> None:
        """Ask now, if that was not done before."""
        if not self._is_asked_for:
            self._is_asked_for = True
            logger.info("Worker %d is to be replaced: %s.", os.getpid(), reason)
            self._ask()


def memory_of_this_process() -> int:
    """Bytes of memory that this process takes; where the system does not tell, the most that it ever took."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
