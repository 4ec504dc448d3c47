"""Waiting in memory: a sender wakes the threads and event loops that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Arrivals:
    """The threads and tasks that wait for an entry in a queue.

    Arguments:
        lock: the lock of the layer, under which entries arrive.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._threads = threading.Condition(lock)
        self._loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def __len__(self) -> int:
        return len(self._loops)

    def tell(self) -> None:
        """Wake all threads and tasks that wait. The caller holds the lock."""
        self._threads.notify_all()
        loops, self._loops = self._loops, []
        for loop, arrived in loops:
            with suppress(RuntimeError):  # that loop is closed, so nothing waits there
                loop.call_soon_threadsafe(arrived.set)

    def wait_for(self, take: Callable[[], bool], seconds: float) -> None:
        """Wait in this thread until ``take`` returns true, up to ``seconds``. The caller holds the lock."""
        self._threads.wait_for(take, seconds)

    async def wait_until(self, take: Callable[[], bool], deadline: float) -> None:
        """Wait in this task until ``take`` returns true, up to ``deadline``, a time of the event loop.

        The caller does not hold the lock. ``take`` is called under it.
        """
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if take() or loop.time() >= deadline:
                    return
                waiter = (loop, asyncio.Event())
                self._loops.append(waiter)
            try:
                async with asyncio.timeout_at(deadline):
                    await waiter[1].wait()
            except TimeoutError:
                pass
            finally:
                with self._lock:
                    if waiter in self._loops:
                        self._loops.remove(waiter)
