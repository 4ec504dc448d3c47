"""Several processes of one kind under a supervisor: replaced when they die, renewed without a gap.

``channels-interface`` and ``runworker`` use it for ``--processes``; it knows nothing of either, nor of Django.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from channels_classic.backoff import Backoff
from channels_classic.log import logger

# A new interpreter for each process, so that a renewed one runs the code that is on the disk by then.
_spawn = multiprocessing.get_context("spawn")

STOP = {signal.SIGTERM, signal.SIGINT}
RENEW = {signal.SIGHUP}
PASSED_ON = {signal.SIGINT, signal.SIGHUP}
"""What a terminal sends to all processes at once, but only the supervisor is meant to act on."""

HURRY = signal.SIGUSR1
"""How the supervisor tells its processes not to wait any longer; one that does not handle it ends by it."""

Handler = Callable[[int, FrameType | None], object]
"""What is called, in the main thread, when a signal has come."""

SHORTEST_LIFE = 1.0
"""Seconds; a process that ended sooner is replaced only after so long."""

LONGEST_PAUSE = 30.0
"""Seconds; the longest back-off before a process that does not even get ready is tried again."""

GRACE = 5.0
"""Seconds that a process has to end by itself after its time is over, and to say what it did not wait for."""

Target = Callable[..., None]


class _Child:
    """One process, and the pipe on which it says that it is ready."""

    def __init__(self, target: Target, arguments: tuple[Any, ...]) -> None:
        self._pipe, theirs = _spawn.Pipe(duplex=False)
        self._process = _spawn.Process(target=_run, args=(target, theirs, arguments))
        self.started = time.monotonic()
        self.is_ready = False
        self.end_by: float | None = None
        """When it has to have ended, by ``time.monotonic``; ``None`` while it may run, and after it was killed."""
        self._is_hurried = False
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

    def stop(self, timeout: float | None) -> None:
        """Tell it to end within ``timeout`` seconds; it knows that time itself, and has a little more."""
        self.end_by = None if timeout is None else time.monotonic() + timeout + GRACE
        self._process.terminate()

    def hurry(self) -> None:
        """Tell it not to wait any longer for what it does."""
        if not self._is_hurried:
            self._is_hurried = True
            self.end_by = time.monotonic() + GRACE
            self._send(HURRY)

    def end_in_time(self, name: str) -> None:
        """When its time is over, tell it to hurry; when that time is over too, kill it."""
        if self.end_by is None or time.monotonic() < self.end_by:
            return
        if self._is_hurried:
            logger.error("A %s process (%s) does not end: it is killed.", name, self._process.pid)
            self.end_by = None
            self._process.kill()
        else:
            self.hurry()

    def _send(self, number: signal.Signals) -> None:
        if self._process.pid is not None and self.is_alive:
            os.kill(self._process.pid, number)

    def forget(self) -> None:
        """Give back what the system keeps of a process that has ended."""
        self._pipe.close()
        self._process.join()
        self._process.close()


class Supervisor:
    """Keeps processes running until SIGTERM or SIGINT comes; after a second one it does not wait for what they do.

    SIGHUP renews them: new ones start, and when all of them are ready the old ones are told to stop. If a new one
    cannot start (an error in the new code), the old ones stay. A process whose supervisor is gone stops as well.

    Arguments:
        target: a function at the top of a module, run in each process with a function to call when it is ready
            and ``arguments``. It has to end at SIGTERM.
        arguments: anything that can be pickled.
        count: how many processes.
        name: what they are, for the log: "worker".
        stop_timeout: seconds that they have to end when they are told to, for as long as they need by default.
            One that needs more is told to hurry, and killed soon after.
        serving: called with the number of processes that are ready, each time it may have changed.
        stopping: called when the processes are told to stop for good.
    """

    def __init__(
        self,
        target: Target,
        arguments: tuple[Any, ...],
        count: int,
        name: str,
        stop_timeout: float | None = None,
        serving: Callable[[int], None] = lambda ready: None,
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._say_serving = serving
        self._say_stopping = stopping
        self._target = target
        self._arguments = arguments
        self._count = count
        self._name = name
        self._stop_timeout = stop_timeout
        self._serving: list[_Child] = []
        self._coming: list[_Child] = []
        self._leaving: list[_Child] = []
        self._backoff = Backoff(SHORTEST_LIFE, LONGEST_PAUSE)
        self._start_at = 0.0
        self._renewal_wanted = False
        self._ended_in_order = True

    def run(self) -> int:
        """Start the processes, look after them, and return when all have ended.

        Returns:
            The status to end with: 0, or 1 if one of them did not end in order when it was told to.
        """
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
                self._say_serving(sum(child.is_ready for child in self._serving))
            self._say_stopping()
            return self._end(signals)

    def _start(self, number: int) -> list[_Child]:
        """Start processes; fewer, if the system has no room for them now."""
        started: list[_Child] = []
        try:
            while len(started) < number:
                started.append(_Child(self._target, self._arguments))
        except OSError as error:
            pause = self._backoff.fail()
            self._start_at = time.monotonic() + pause
            logger.error("A %s process cannot be started; trying again in %.0f s. %s", self._name, pause, error)
        return started

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
            if len(self._coming) < self._count:
                logger.error("The %s processes are not renewed: the old ones stay.", self._name)
                self._dismiss(self._coming)
                self._coming = []

    def _wait(self, signals: int) -> set[int]:
        """Wait until something happens; the signals that came, if that is what happened."""
        children = self._serving + self._coming + self._leaving
        times = [child.end_by for child in self._leaving if child.end_by is not None]
        if len(self._serving) < self._count:
            times.append(self._start_at)
        timeout = max(0.0, min(times) - time.monotonic()) if times else None
        happened = wait([signals, *(event for child in children for event in child.events)], timeout)
        for child in children:
            child.look()
        if any(child.is_ready for child in self._serving):
            self._backoff.succeed()
        return set(os.read(signals, 1024)) if signals in happened else set()

    def _reap(self) -> None:
        for child in [child for child in self._serving if not child.is_alive]:
            self._serving.remove(child)
            pause = self._pause_after(child)
            self._start_at = max(self._start_at, time.monotonic() + pause)
            when = f"in {pause:.0f} s" if pause >= 0.5 else "now"
            logger.error("A %s process ended with status %s; another starts %s.", self._name, child.exitcode, when)
            child.forget()
        for child in [child for child in self._leaving if not child.is_alive]:
            self._leaving.remove(child)
            # A process that is told to stop before it has a handler dies of the signal.
            self._ended_in_order &= child.exitcode in (0, -signal.SIGTERM)
            child.forget()
        for child in self._leaving:
            child.end_in_time(self._name)

    def _pause_after(self, child: _Child) -> float:
        if child.is_ready:
            return max(0.0, child.started + SHORTEST_LIFE - time.monotonic())
        return self._backoff.fail()

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
            child.stop(self._stop_timeout)
        self._leaving += children

    def _end(self, signals: int) -> int:
        self._ended_in_order = True
        self._dismiss(self._serving + self._coming)
        self._serving, self._coming, self._count = [], [], 0
        while self._leaving:
            if self._wait(signals) & STOP:
                logger.warning("Told to stop again: not waiting for the %s processes.", self._name)
                for child in self._leaving:
                    child.hurry()
            self._reap()
        return 0 if self._ended_in_order else 1


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
def handled_signals(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Let ``handlers`` handle these signals while the block runs; only the main thread can do this."""
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


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
    try:
        with handled_signals(dict.fromkeys(numbers, lambda *_: None)):
            yield readable
    finally:
        signal.set_wakeup_fd(former_descriptor)
        os.close(readable)
        os.close(writable)
