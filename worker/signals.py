"""SIGTERM and SIGINT, for whatever runs until it is told to stop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from channels_classic.process_signals import STOP, handled_signals


@contextmanager
def stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop``, in a thread of its own, when SIGTERM or SIGINT comes while the block runs.

    Signals arrive in the main thread only. In any other thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler interrupts the main thread anywhere, whatever locks it holds. A put into this kind of queue never
    # waits for a lock.
    told: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def wait() -> None:
        while told.get():
            stop()

    waiting = threading.Thread(target=wait, name="stopping-at-signals", daemon=True)
    waiting.start()
    try:
        with handled_signals(dict.fromkeys(STOP, lambda *_: told.put(True))):
            yield
    finally:
        told.put(False)
        waiting.join()
