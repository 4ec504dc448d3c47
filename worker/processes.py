"""Several worker processes under one: started, replaced when they die, and renewed without a gap."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

logger = logging.getLogger("django.channels")

# A new interpreter for each process: so that a renewed one runs the code that is on the disk by then.
_spawn = multiprocessing.get_context("spawn")

SHORT_LIFE = 1.0
"""A process that lives no longer than these seconds is replaced only after as many."""


class _Child:
    """One worker process, and the pipe on which it says that it is ready."""

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.ready, ours = _spawn.Pipe(duplex=False)
        self.process = _spawn.Process(target=target, args=(ours, *arguments))
        self.started = time.monotonic()
        self.process.start()
        ours.close()

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.terminate()


class Supervisor:
    """Keeps ``count`` processes running until SIGTERM or SIGINT comes.

    SIGHUP renews them: new ones start, and when they are ready the old ones finish what they run. If a new one
    cannot start (an error in the new code), the old ones stay.

    Arguments:
        target: a function at the top of a module, run in each process with the pipe to send ``True`` to when it
            is ready, and ``arguments``.
        arguments: anything that can be pickled.
        count: how many processes.
    """

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...], count: int) -> None:
        self._target = target
        self._arguments = arguments
        self._count = count
        self._children: list[_Child] = []
        self._renewed: list[_Child] = []
        self._woken, self._wake = os.pipe()
        self._stops = 0
        self._renewals = 0

    def run(self) -> None:
        """Start the processes, look after them, and return when all have ended."""
        for number, handler in (
            (signal.SIGTERM, self._on_stop),
            (signal.SIGINT, self._on_stop),
            (signal.SIGHUP, self._on_renew),
        ):
            signal.signal(number, handler)
        self._children = [self._start() for _ in range(self._count)]
        while not self._stops:
            self._look_after()
        self._end()

    def _start(self) -> _Child:
        return _Child(self._target, self._arguments)

    def _look_after(self) -> None:
        waited_on: list[Any] = [child.process.sentinel for child in self._children + self._renewed]
        waited_on += [child.ready for child in self._renewed if not child.ready.closed]
        wait([*waited_on, self._woken])
        if self._stops:
            return
        if self._renewals:
            self._renewals = 0
            os.read(self._woken, 1024)
            if not self._renewed:
                logger.info("Renewing %d worker processes.", self._count)
                self._renewed = [self._start() for _ in range(self._count)]
        self._take_over()
        for position, child in enumerate(self._children):
            if not child.process.is_alive():
                logger.error("A worker process ended with code %s; another takes its place.", child.process.exitcode)
                time.sleep(max(0.0, child.started + SHORT_LIFE - time.monotonic()))
                self._children[position] = self._start()

    def _take_over(self) -> None:
        """When the new processes are ready the old ones may go; when one of them died, the new ones go."""
        if not self._renewed:
            return
        if any(not child.process.is_alive() for child in self._renewed):
            logger.error("A new worker process could not start: the old ones stay.")
            self._stop_all(self._renewed)
            self._renewed = []
            return
        for child in self._renewed:
            if not child.ready.closed and child.ready.poll():
                _receive(child.ready)
        if all(child.ready.closed for child in self._renewed):
            old, self._children, self._renewed = self._children, self._renewed, []
            for child in old:
                child.stop()
            for child in old:
                child.process.join()
            logger.info("The worker processes are renewed.")

    def _end(self) -> None:
        children = self._children + self._renewed
        for child in children:
            child.stop()
        stops = self._stops
        while alive := [child.process.sentinel for child in children if child.process.is_alive()]:
            wait([*alive, self._woken])
            if self._stops > stops:
                logger.warning("Told to stop once more: not waiting for the consumers that run.")
                for child in children:
                    child.process.kill()
            else:
                os.read(self._woken, 1024) if wait([self._woken], 0) else None

    @staticmethod
    def _stop_all(children: list[_Child]) -> None:
        for child in children:
            child.stop()
        for child in children:
            child.process.join()

    def _on_stop(self, *_: Any) -> None:
        self._stops += 1
        os.write(self._wake, b"s")

    def _on_renew(self, *_: Any) -> None:
        self._renewals += 1
        os.write(self._wake, b"r")


def _receive(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        pass  # the process died: its sentinel tells as well
    pipe.close()
