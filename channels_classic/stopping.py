"""``Stopping``: an event that also wakes threads that wait for something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopping(threading.Event):
    """An event that is set when a worker stops."""

    def __init__(self) -> None:
        super().__init__()
        self.is_abandoned = False
        """Whether to send nothing more, because another process has told the client that its answer has ended."""
        self._lock = threading.Lock()
        self._wakers: set[Callable[[], None]] = set()

    def set(self) -> None:
        """Set the event, and call all wake functions."""
        super().set()
        with self._lock:
            for wake in self._wakers:
                wake()

    def abandon(self) -> None:
        """Set the event, and ``is_abandoned``."""
        self.is_abandoned = True
        self.set()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While the block runs, ``set`` calls ``wake``. If the event is already set, ``wake`` is called at once.

        Arguments:
            wake: called in any thread. It must not wait for anything.
        """
        with self._lock:
            self._wakers.add(wake)
            if self.is_set():
                wake()
        try:
            yield
        finally:
            with self._lock:
                self._wakers.discard(wake)
