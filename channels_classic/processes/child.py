"""One process of a ``Supervisor``, as both sides see it, and the pipe between them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from channels_classic.log import logger
from channels_classic.processes.signals import HURRY, PASSED_ON, held_back

# Each process has a new interpreter, so that a renewed one runs the code that is on the disk by then.
_spawn = multiprocessing.get_context("spawn")

GRACE = 5.0
"""Seconds that a process has, after its time is over, to end by itself and log what it did not wait for."""

Target = Callable[..., None]
"""The function that runs in the process. It is at the top of a module, and is called with a ``Supervised`` and
arguments."""


class Supervised:
    """A process's connection to its supervisor. Any thread may use it.

    Arguments:
        pipe: the pipe to the supervisor.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Tell the supervisor that the process works from now on."""
        self._tell("is_ready", True)

    def retire(self) -> None:
        """Ask to be replaced. The process goes on until its successor is ready, and is stopped then."""
        self._tell("wants_to_retire", True)

    def introduce(self, identity: object) -> None:
        """Give the supervisor a picklable value to pass to ``died`` if this process dies."""
        self._tell("identity", identity)

    def _tell(self, name: str, value: object) -> None:
        try:
            with self._lock:
                self._pipe.send((name, value))
        except OSError:
            pass  # the supervisor is gone, and this process is about to stop


class Child:
    """A process, for its supervisor."""

    def __init__(self, target: Target, arguments: tuple[Any, ...]) -> None:
        self._pipe, theirs = _spawn.Pipe(duplex=False)
        self._process = _spawn.Process(target=_run, args=(target, theirs, arguments))
        self.started = time.monotonic()
        self.is_ready = False
        self.wants_to_retire = False
        self.identity: Any = None
        """The value that the process passed to ``introduce``; ``None`` if it has not."""
        self.end_by: float | None = None
        """The time by which it must have ended, by ``time.monotonic``; ``None`` while it may run, and after it was
        killed."""
        self._is_hurried = False
        with held_back(PASSED_ON):
            self._process.start()
        theirs.close()

    @property
    def events(self) -> list[Any]:
        """The objects to ``wait`` for: the end of the process, and the pipe while it is open."""
        return [self._process.sentinel] if self._pipe.closed else [self._process.sentinel, self._pipe]

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.is_alive()

    @property
    def exitcode(self) -> int | None:
        """Its exit status, or minus the number of the signal that ended it."""
        return self._process.exitcode

    def look(self) -> None:
        """Read what the process has sent."""
        try:
            while not self._pipe.closed and self._pipe.poll():
                name, value = self._pipe.recv()
                setattr(self, name, value)
        except (EOFError, OSError):
            self._pipe.close()  # the process has ended

    def stop(self, timeout: float | None) -> None:
        """Tell the process to end within ``timeout`` seconds. It knows this time, and gets a little more."""
        self.end_by = None if timeout is None else time.monotonic() + timeout + GRACE
        self._process.terminate()

    def hurry(self) -> None:
        """Tell the process not to wait any longer for what it does."""
        if not self._is_hurried:
            self._is_hurried = True
            self.end_by = time.monotonic() + GRACE
            self._send(HURRY)

    def end_in_time(self, name: str) -> None:
        """When its time is over, tell it to hurry. When that time is over, too, kill it."""
        if self.end_by is None or time.monotonic() < self.end_by:
            return
        if self._is_hurried:
            logger.error("One %s process (%s) does not end: it is killed.", name, self._process.pid)
            self.end_by = None
            self._process.kill()
        else:
            self.hurry()

    def _send(self, number: signal.Signals) -> None:
        if self._process.pid is not None and self.is_alive:
            os.kill(self._process.pid, number)

    def forget(self) -> None:
        """Free what the system keeps of a process that has ended."""
        self._pipe.close()
        self._process.join()
        self._process.close()


def _run(target: Target, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    """The main function of a child."""
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    threading.Thread(target=_follow_supervisor, name="supervisor", daemon=True).start()

    target(Supervised(pipe), *arguments)


def _follow_supervisor() -> None:
    """Stop when the supervisor is gone, because nobody else would stop this process."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
