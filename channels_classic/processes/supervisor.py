"""``Supervisor``: runs several processes of one kind, replaces dead ones, and renews all without a gap.

``channels-interface`` and ``runworker`` use it for ``--processes``. It knows nothing about them, or about Django.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

from channels_classic.backoff import Backoff
from channels_classic.log import logger
from channels_classic.processes.child import GRACE, Child, Target
from channels_classic.processes.signals import RENEW, STOP, received_signals

SHORTEST_LIFE = 1.0
"""Seconds. A process that ends sooner is replaced only after this time."""

LONGEST_PAUSE = 30.0
"""Seconds: the longest back-off for a process that does not get ready."""


class Supervisor:
    """Keeps processes running until SIGTERM or SIGINT. A second signal ends them without waiting for what they do.

    SIGHUP renews them: new processes start, and when all of them are ready the old ones stop. If a new one cannot
    start (an error in the new code), the old ones stay. A process that asks to retire is replaced in the same way,
    one at a time. A process whose supervisor is gone gets SIGTERM, and so stops properly.

    Arguments:
        target: a function at the top of a module. It is called in each process with a ``Supervised`` and
            ``arguments``, reports when it is ready, and has to end at SIGTERM.
        arguments: any picklable values.
        count: the number of processes.
        name: their name in the log, such as "worker".
        stop_timeout: seconds that a process has to end after SIGTERM; without a limit by default. One that takes
            longer is told to hurry, and killed soon afterwards.
        serving: called with the number of ready processes, each time it may have changed.
        stopping: called when the processes are stopped for good.
        died: called, in a thread of its own, with the value that a dead process gave to ``introduce``.
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
        died: Callable[[Any], None] = lambda identity: None,
    ) -> None:
        self._say_serving = serving
        self._say_stopping = stopping
        self._say_died = died
        self._after_deaths: list[threading.Thread] = []
        self._target = target
        self._arguments = arguments
        self._count = count
        self._name = name
        self._stop_timeout = stop_timeout
        self._serving: list[Child] = []
        self._coming: list[Child] = []
        self._succession: tuple[Child, Child] | None = None
        """A process that asked to retire, and its successor."""
        self._leaving: list[Child] = []
        self._backoff = Backoff(SHORTEST_LIFE, LONGEST_PAUSE)
        self._start_at = 0.0
        self._renewal_wanted = False
        self._ended_in_order = True

    def run(self) -> int:
        """Start and supervise the processes, and return when all have ended.

        Returns:
            The exit status: 0, or 1 if a process did not end properly when it was stopped.
        """
        # This comes first, because it would undo what held_back does.
        resource_tracker.ensure_running()
        # A process may have forked others, which keep open what tells of its end: the system's signal always does.
        with received_signals(STOP | RENEW | {signal.SIGCHLD}) as signals:
            told = set[int]()
            while not told & STOP:
                self._renewal_wanted |= bool(told & RENEW)
                self._fill()
                self._renew()
                self._begin_succession()
                told = self._wait(signals)
                self._reap()
                self._take_over()
                self._end_succession()
                self._say_serving(sum(child.is_ready for child in self._serving))
            self._say_stopping()
            return self._end(signals)

    def _start(self, number: int) -> list[Child]:
        """Start ``number`` processes, or fewer if the system has no room for them now."""
        started: list[Child] = []
        try:
            while len(started) < number:
                started.append(Child(self._target, self._arguments))
        except OSError as error:
            pause = self._backoff.fail()
            self._start_at = time.monotonic() + pause
            logger.error("No %s process can be started; trying again in %.0f s. %s", self._name, pause, error)
        return started

    def _fill(self) -> None:
        missing = self._count - len(self._serving)
        if missing and time.monotonic() >= self._start_at:
            self._serving += self._start(missing)

    def _renew(self) -> None:
        # A renewal that is asked for during another one comes after it, because the code may have changed again.
        if self._renewal_wanted and not self._coming and self._succession is None:
            self._renewal_wanted = False
            logger.info("Renewing %d %s processes.", self._count, self._name)
            self._coming = self._start(self._count)
            if len(self._coming) < self._count:
                logger.error("The %s processes are not renewed: the old ones stay.", self._name)
                self._dismiss(self._coming)
                self._coming = []

    @property
    def _successors(self) -> list[Child]:
        return [] if self._succession is None else [self._succession[1]]

    @property
    def _retiring(self) -> list[Child]:
        return [child for child in self._serving if child.wants_to_retire]

    def _begin_succession(self) -> None:
        # One process at a time is replaced, so that not all are new at the same moment.
        is_free = self._succession is None and not self._coming
        if is_free and self._retiring and time.monotonic() >= self._start_at:
            for successor in self._start(1):
                self._succession = self._retiring[0], successor

    def _end_succession(self) -> None:
        if self._succession is None:
            return
        retiring, successor = self._succession
        if not successor.is_alive:
            self._succession = None
            pause = self._backoff.fail()
            self._start_at = time.monotonic() + pause
            logger.error(
                "A new %s process could not start: the old one stays for now. Trying again in %.0f s.",
                self._name,
                pause,
            )
            self._dismiss([successor])
        elif successor.is_ready:
            self._succession = None
            self._serving.append(successor)
            self._serving.remove(retiring)
            self._dismiss([retiring])
            logger.info("One %s process has been replaced.", self._name)

    def _wait(self, signals: int) -> set[int]:
        """Wait until something happens. Returns the signals that have come."""
        children = [*self._serving, *self._coming, *self._successors, *self._leaving]
        times = [child.end_by for child in self._leaving if child.end_by is not None]
        if len(self._serving) < self._count or (self._retiring and self._succession is None):
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
            self._follow_up(child)
            if self._succession is not None and self._succession[0] is child:
                # The successor takes the place of the dead process, ready or not.
                self._serving += self._successors
                self._succession = None
            pause = self._pause_after(child)
            self._start_at = max(self._start_at, time.monotonic() + pause)
            when = f"in {pause:.0f} s" if pause >= 0.5 else "now"
            logger.error(
                "One %s process ended with status %s; another starts %s.", self._name, child.exitcode, when
            )
            child.forget()
        for child in [child for child in self._leaving if not child.is_alive]:
            self._leaving.remove(child)
            # A process that is stopped before it has a handler dies of the signal.
            if child.exitcode not in (0, -signal.SIGTERM):
                self._ended_in_order = False
                self._follow_up(child)
            child.forget()
        for child in self._leaving:
            child.end_in_time(self._name)

    def _follow_up(self, child: Child) -> None:
        """Call ``died`` for a dead process, in a thread, because this may take long."""
        child.look()
        if child.identity is not None:
            thread = threading.Thread(
                target=self._say_died, args=[child.identity], name="after-death", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                logger.error("A dead %s process is left to other processes. %s", self._name, error)
                return
            self._after_deaths = [*(each for each in self._after_deaths if each.is_alive()), thread]

    def _pause_after(self, child: Child) -> float:
        if child.is_ready:
            return max(0.0, child.started + SHORTEST_LIFE - time.monotonic())
        return self._backoff.fail()

    def _take_over(self) -> None:
        """When the new processes are ready, stop the old ones. If a new one has died, stop the new ones."""
        if any(not child.is_alive for child in self._coming):
            logger.error("A new %s process could not start: the old ones stay.", self._name)
            self._dismiss(self._coming)
            self._coming = []
        elif self._coming and all(child.is_ready for child in self._coming):
            self._dismiss(self._serving)
            self._serving, self._coming = self._coming, []
            self._start_at = 0.0
            logger.info("The %s processes are renewed.", self._name)

    def _dismiss(self, children: list[Child]) -> None:
        for child in children:
            child.stop(self._stop_timeout)
        self._leaving += children

    def _end(self, signals: int) -> int:
        self._ended_in_order = True
        self._dismiss([*self._serving, *self._coming, *self._successors])
        self._serving, self._coming, self._succession, self._count = [], [], None, 0
        while self._leaving:
            if self._wait(signals) & STOP:
                logger.warning("Told to stop again: not waiting for the %s processes.", self._name)
                for child in self._leaving:
                    child.hurry()
            self._reap()
        give_up_at = time.monotonic() + GRACE
        for thread in self._after_deaths:
            thread.join(max(0.0, give_up_at - time.monotonic()))
        return 0 if self._ended_in_order else 1
