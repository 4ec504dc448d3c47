"""Several processes of one kind under a supervisor: replaced when they die, renewed without a gap.

``channels-interface`` and ``runworker`` use it for ``--processes``; it knows nothing of either, nor of Django.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from channels_classic.log import logger

# A new interpreter for each process, so that a renewed one runs the code that is on the disk by then.
_spawn = multiprocessing.get_context("spawn")

STOP = {signal.SIGTERM, signal.SIGINT}
RENEW = {signal.SIGHUP}
PASSED_ON = {signal.SIGINT, signal.SIGHUP}
"""What a terminal sends to all processes at once, but only the supervisor is meant to act on."""

SHORTEST_LIFE = 1.0
"""Seconds; a process that ended sooner is replaced only after so long."""

LONGEST_PAUSE = 30.0
"""Seconds; the pause before a process that does not even get ready is tried again grows up to this."""

Target = Callable[..., None]


class _Child:
    """One process, and the pipe on which it says that it is ready."""

    def __init__(self, target: Target, arguments: tuple[Any, ...]) -> None:
        self._pipe, theirs = _spawn.Pipe(duplex=False)
        self._process = _spawn.Process(target=_run, args=(target, theirs, arguments))
        self.started = time.monotonic()
        self.is_ready = False
        with _held_back(PASSED_ON):
            self._process.start()
        theirs.close()

    @property
    def events(self) -> list[Any]:
        """What ``wait`` has to look at: its end, and the pipe as long as that may bring news."""
        return [self._process.sentinel] if self._pipe.closed else [self._process.sentinel, self._pipe]

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    @property
    def exitcode(self) -> int | None:
        return self._process.exitcode

    def look(self) -> None:
        """Take notice of what it said."""
        if not self._pipe.closed and self._pipe.poll():
            try:
                self.is_ready = bool(self._pipe.recv())
            except EOFError:
                pass  # it ended without having been ready
            self._pipe.close()

    def stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def forget(self) -> None:
        """Give back what the system keeps of a process that has ended."""
        self._pipe.close()
        self._process.join()
        self._process.close()


class Supervisor:
    """Keeps processes running until SIGTERM or SIGINT comes; a second one does not wait for what they do.

    SIGHUP renews them: new ones start, and when all of them are ready the old ones are told to stop. If a new one
    cannot start (an error in the new code), the old ones stay. A process whose supervisor is gone stops as well.

    Arguments:
        target: a function at the top of a module, run in each process with a function to call when it is ready
            and ``arguments``. It has to end at SIGTERM.
        arguments: anything that can be pickled.
        count: how many processes.
        name: what they are, for the log: "worker".
    """

    def __init__(self, target: Target, arguments: tuple[Any, ...], count: int, name: str) -> None:
        self._target = target
        self._arguments = arguments
        self._count = count
        self._name = name
        self._serving: list[_Child] = []
        self._coming: list[_Child] = []
        self._leaving: list[_Child] = []
        self._failures = 0
        self._start_at = 0.0
        self._renewal_wanted = False

    def run(self) -> None:
        """Start the processes, look after them, and return when all have ended."""
        # First, because it would undo what _held_back does.
        resource_tracker.ensure_running()
        with _received_signals(STOP | RENEW) as signals:
            told = set[int]()
            while not told & STOP:
                self._renewal_wanted |= bool(told & RENEW)
                self._fill()
                self._renew()
                told = self._wait(signals)
                self._reap()
                self._take_over()
            self._end(signals)

    def _start(self, number: int) -> list[_Child]:
        return [_Child(self._target, self._arguments) for _ in range(number)]

    def _fill(self) -> None:
        missing = self._count - len(self._serving)
        if missing and time.monotonic() >= self._start_at:
            self._serving += self._start(missing)

    def _renew(self) -> None:
        # One that is asked for while another is under way comes after it: the code may have changed once more.
        if self._renewal_wanted and not self._coming:
            self._renewal_wanted = False
            logger.info("Renewing %d %s processes.", self._count, self._name)
            self._coming = self._start(self._count)

    def _wait(self, signals: int) -> set[int]:
        """Wait until something happens; the signals that came, if that is what happened."""
        children = self._serving + self._coming + self._leaving
        timeout = None
        if len(self._serving) < self._count:
            timeout = max(0.0, self._start_at - time.monotonic())
        happened = wait([signals, *(event for child in children for event in child.events)], timeout)
        for child in children:
            child.look()
        if any(child.is_ready for child in self._serving):
            self._failures = 0
        return set(os.read(signals, 1024)) if signals in happened else set()

    def _reap(self) -> None:
        for child in [child for child in self._serving if not child.is_alive]:
            self._serving.remove(child)
            pause = self._pause_after(child)
            self._start_at = max(self._start_at, time.monotonic() + pause)
            when = f"in {pause:.0f} s" if pause >= 1 else "now"
            logger.error("A %s process ended with status %s; another starts %s.", self._name, child.exitcode, when)
            child.forget()
        for child in [child for child in self._leaving if not child.is_alive]:
            self._leaving.remove(child)
            child.forget()

    def _pause_after(self, child: _Child) -> float:
        if child.is_ready:
            return max(0.0, child.started + SHORTEST_LIFE - time.monotonic())
        self._failures += 1
        return min(LONGEST_PAUSE, SHORTEST_LIFE * 2.0 ** (self._failures - 1))

    def _take_over(self) -> None:
        """When the new processes are ready the old ones may go; when one of them died, the new ones go."""
        if any(not child.is_alive for child in self._coming):
            logger.error("A new %s process could not start: the old ones stay.", self._name)
            self._dismiss(self._coming)
            self._coming = []
        elif self._coming and all(child.is_ready for child in self._coming):
            self._dismiss(self._serving)
            self._serving, self._coming = self._coming, []
            self._start_at = 0.0
            logger.info("The %s processes are renewed.", self._name)

    def _dismiss(self, children: list[_Child]) -> None:
        for child in children:
            child.stop()
        self._leaving += children

    def _end(self, signals: int) -> None:
        self._dismiss(self._serving + self._coming)
        self._serving, self._coming, self._count = [], [], 0
        while self._leaving:
            if self._wait(signals) & STOP:
                logger.warning("Told to stop once more: not waiting for what the %s processes do.", self._name)
                for child in self._leaving:
                    child.kill()
            self._reap()


def _run(target: Target, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    """What a child does."""
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    threading.Thread(target=_follow_supervisor, name="supervisor", daemon=True).start()

    def ready() -> None:
        pipe.send(True)
        pipe.close()

    target(ready, *arguments)


def _follow_supervisor() -> None:
    """Stop when the supervisor is gone: nobody else would ever stop this process."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _held_back(numbers: set[signal.Signals]) -> Iterator[None]:
    """Let these signals wait; a process that is started meanwhile lets them wait until it says otherwise."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def _received_signals(numbers: set[signal.Signals]) -> Iterator[int]:
    """A file descriptor from which the numbers of these signals can be read, as bytes, when they have come."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    former_descriptor = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    former = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield readable
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former_descriptor)
        os.close(readable)
        os.close(writable)
