"""The retirement of a worker process: it asks to be replaced, and works on until its successor is ready."""

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
"""Seconds between two looks at the memory of a process that works."""

LEAST_PART = 0.9
"""Each process draws its limits at random between this part of the given ones and all, so that not all end
together."""


class Retirement:
    """Asks once to replace this process.

    Arguments:
        ask: called when it is time.
        max_messages: the number of messages after which it is time.
        max_memory: the bytes of memory from which on it is time.
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
        """Note that a consumer is done. This is the receiver of ``consumer_finished``; any thread may call it."""
        if self._is_asked_for:
            return
        if self._max_messages is not None and next(self._count) >= self._max_messages:
            self.begin(f"it has handled {self._max_messages} messages")
        elif self._max_memory is not None and (now := time.monotonic()) >= self._look_at:
            self._look_at = now + MEMORY_SECONDS
            if (memory := memory_of_this_process()) >= self._max_memory:
                self.begin(f"it takes {mebibytes(memory)} of memory")

    def begin(self, reason: str) -> None:
        """Ask now, unless it has asked before."""
        if not self._is_asked_for:
            self._is_asked_for = True
            logger.info("Worker %d is to be replaced: %s.", os.getpid(), reason)
            self._ask()


def memory_of_this_process() -> int:
    """The memory of this process in bytes; if the system does not tell it, the most that it ever took."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
