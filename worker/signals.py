"""SIGTERM and SIGINT, for whatever runs until it is told to stop."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop``, in a thread of its own, when one of ``STOP_SIGNALS`` comes while the block runs.

    Only the main thread hears of signals: in any other one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler interrupts the main thread anywhere, with any lock in its hands. To put into such a queue is all
    # that is sure not to wait for one.
    told: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def wait() -> None:
        while told.get():
            stop()

    waiting = threading.Thread(target=wait, name="stopping-at-signals", daemon=True)
    waiting.start()
    former = [signal.signal(number, lambda *_: told.put(True)) for number in STOP_SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(STOP_SIGNALS, former, strict=True):
            signal.signal(number, handler)
        told.put(False)
        waiting.join()
