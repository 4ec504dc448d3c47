"""The watchdog: no message waits behind a consumer that takes unexpectedly long."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

PATIENCE = 0.05
"""Seconds a consumer may run before what its worker had taken along with its message is given back."""


class Relievable(Protocol):
    """A worker, as the watchdog sees it."""

    def relieve(self, patience: float) -> bool:
        """See ``Worker.relieve``."""


class Watchdog:
    """Looks after the workers of a process while messages wait behind others, and sleeps while none do."""

    def __init__(self) -> None:
        self._workers: Sequence[Relievable] = ()
        self._needed = threading.Event()
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="worker-watchdog", daemon=True)

    def start(self, workers: Sequence[Relievable]) -> None:
        """Begin to look after these workers."""
        self._workers = workers
        self.thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End, and wait for it up to ``timeout`` seconds: it may be talking to a layer that does not answer."""
        self._stopping.set()
        self._needed.set()
        if self.thread.is_alive():
            self.thread.join(timeout)

    def wake(self) -> None:
        """A worker has taken several messages at once."""
        if not self._needed.is_set():
            self._needed.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._needed.wait()
            self._needed.clear()
            at_work = True
            while at_work and not self._stopping.wait(PATIENCE):
                at_work = True in [worker.relieve(PATIENCE) for worker in self._workers]
