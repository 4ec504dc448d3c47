"""SIGTERM and SIGINT for programs that run until they are stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from channels_classic.processes.signals import STOP, signals_in_a_thread


@contextmanager
def stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop``, in a thread of its own, when SIGTERM or SIGINT comes while the block runs.

    Python handles signals in the main thread only, so in any other thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with signals_in_a_thread(dict.fromkeys(STOP, stop)):
        yield
