"""``Alarm`` calls a function at a time that can be changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Alarm:
    """Calls ``ring`` at a time that can be changed, in a thread of its own.

    Redis ends a blocking call up to a tenth of a second late, so code that has to be punctual is woken by this.

    Arguments:
        ring: the function to call. It must not raise.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._changed = threading.Condition()
        self._time: float | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="alarm", daemon=True)

    def start(self) -> None:
        """Start the thread. A stopped alarm cannot be started again."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. The alarm does not ring any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def set(self, seconds: float) -> None:
        """Ring once, in ``seconds`` from now, instead of at the time that was set before."""
        with self._changed:
            self._time = time.monotonic() + seconds
            self._changed.notify()

    def clear(self) -> None:
        """Do not ring until the next ``set``."""
        with self._changed:
            self._time = None

    def _run(self) -> None:
        while self._wait():
            self._ring()

    def _wait(self) -> bool:
        """Wait until it is time to ring. Returns false if the alarm was stopped."""
        with self._changed:
            while not self._stopped:
                left = None if self._time is None else self._time - time.monotonic()
                if left is not None and left <= 0:
                    self._time = None
                    return True
                self._changed.wait(left)
            return False
