"""Waiting in memory: threads and event loops are woken by whoever sends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Arrivals:
    """The threads and tasks that wait for something to arrive in a queue.

    Arguments:
        lock: that of the layer, under which things arrive.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._threads = threading.Condition(lock)
        self._loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def __len__(self) -> int:
        return len(self._loops)

    def tell(self) -> None:
        """Wake all who wait; the caller holds the lock."""
        self._threads.notify_all()
        loops, self._loops = self._loops, []
        for loop, arrived in loops:
            with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(arrived.set)

    def wait_for(self, take: Callable[[], bool], seconds: float) -> None:
        """Let this thread wait until ``take`` says that it has something; the caller holds the lock."""
        self._threads.wait_for(take, seconds)

    async def wait_until(self, take: Callable[[], bool], deadline: float) -> None:
        """Let this task wait until ``take`` says that it has something, or that time of the event loop has come.

        The caller does not hold the lock; ``take`` is called under it.
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
