"""Consumers that take longer than they should: logs where they are."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from channels_classic.log import logger


class RunningConsumer(NamedTuple):
    """A consumer that runs.

    Arguments:
        what: a text with its name, its channel, and its duration so far.
        since: its start, by ``time.monotonic``.
        key: identifies it.
        stack: gives the place where it is, as a traceback; ``None`` if it has just ended.
    """

    what: str
    since: float
    key: Hashable
    stack: Callable[[], str | None]


def stack_of_thread(thread: int) -> str | None:
    """The place where a thread is, as a traceback. ``thread`` is its ``threading.get_ident``."""
    frame = sys._current_frames().get(thread)
    return None if frame is None else "".join(traceback.format_stack(frame))


class ConsumerTimeout:
    """Watches for consumers that run too long, in a thread that sleeps until one could.

    Arguments:
        seconds: how long a consumer may run.
        running: gives the consumers that are running now.
        exceeded: called once for each that runs longer.
    """

    def __init__(
        self, seconds: float, running: Callable[[], Sequence[RunningConsumer]], exceeded: Callable[[], None]
    ) -> None:
        self._seconds = seconds
        self._running = running
        self._exceeded = exceeded
        self._told: set[tuple[Hashable, float]] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer-timeout", daemon=True)

    def start(self) -> None:
        """Start to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()

    def _run(self) -> None:
        pause = self._seconds
        while not self._stopping.wait(pause):
            # A consumer that starts after this look is not due before the next one.
            next_look = time.monotonic() + self._seconds
            running = self._running()
            self._told &= {(each.key, each.since) for each in running}
            for each in running:
                due = each.since + self._seconds
                if (each.key, each.since) in self._told:
                    continue
                if due > time.monotonic():
                    next_look = min(next_look, due)
                else:
                    self._told.add((each.key, each.since))
                    self._tell(each)
            pause = max(0.0, next_look - time.monotonic())

    def _tell(self, running: RunningConsumer) -> None:
        stack = running.stack()
        if stack is None:
            return  # it has just ended
        logger.error(
            "A consumer runs longer than %g s: %s. This is where it is:\n%s",
            self._seconds,
            running.what,
            stack.rstrip(),
        )
        self._exceeded()
