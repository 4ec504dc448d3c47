"""The watchdog, which gives back messages that wait behind a consumer that takes unexpectedly long."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from channels_classic.log import logger

PATIENCE = 0.05
"""Seconds that a consumer may run before the messages that wait behind it are given back."""

FAULT_PAUSE = 1.0
"""Seconds to wait after an error that nobody foresaw, so that one that stays does not fill the log."""


class Relievable(Protocol):
    """A worker, as the watchdog sees it."""

    def relieve(self, patience: float) -> bool:
        """See ``Worker.relieve``."""


class Watchdog:
    """Watches the workers of a process while messages wait behind others, and sleeps otherwise."""

    def __init__(self) -> None:
        self._workers: Sequence[Relievable] = ()
        self._needed = threading.Event()
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="worker-watchdog", daemon=True)

    def start(self, workers: Sequence[Relievable]) -> None:
        """Start to watch these workers."""
        self._workers = workers
        self.thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread, and wait for that up to ``timeout`` seconds: a layer may not answer."""
        self._stopping.set()
        self._needed.set()
        if self.thread.is_alive():
            self.thread.join(timeout)

    def wake(self) -> None:
        """Note that a worker has taken several messages at once."""
        if not self._needed.is_set():
            self._needed.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._needed.wait()
            self._needed.clear()
            pause = PATIENCE
            while pause and not self._stopping.wait(pause):
                try:
                    at_work = True in [worker.relieve(PATIENCE) for worker in self._workers]
                    pause = PATIENCE if at_work else 0
                except Exception:
                    logger.exception(
                        "Messages behind a consumer that takes long cannot be given back; trying again:"
                    )
                    pause = FAULT_PAUSE
