"""Threads for the synchronous parts of asynchronous consumers, such as ``sync_to_async`` and the ORM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.db import connections

from worker.connections import after_consumer, before_consumer


class SyncThread(ThreadPoolExecutor):
    """A thread for the synchronous parts of one consumer at a time, with its own database connections.

    The thread starts when a consumer first uses it, and stays for the next one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(max_workers=1, thread_name_prefix=f"asynchronous-{number}")
        self.is_used = False
        """Whether the current consumer has used it."""
        self._has_thread = False
        self._shared: Mapping[str, Any] = {}
        self._context = ThreadSensitiveContext()
        # asgiref looks here for the thread of a context. It has no function that sets this.
        SyncToAsync.context_to_thread_executor[self._context] = self

    def enter(self, shared: Mapping[str, Any]) -> None:
        """Run the synchronous parts of the current context in this thread.

        Arguments:
            shared: database connections that any thread may use: those of a test.
        """
        self._shared = shared
        self.is_used = False
        SyncToAsync.thread_sensitive_context.set(self._context)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function, like ``Executor.submit``. Old connections are closed before a consumer's first part."""
        if not self.is_used:
            self.is_used = self._has_thread = True
            super().submit(self._before)
        return super().submit(fn, *args, **kwargs)

    async def leave(self, channel: str) -> None:
        """Note that a consumer that used the thread has ended: roll back what it left open, close old connections.

        Arguments:
            channel: the channel that its message came from.
        """
        await asyncio.wrap_future(super().submit(self._after, channel))

    def close(self) -> None:
        """End the thread and its connections as soon as nothing runs in it."""
        if self._has_thread:
            super().submit(connections.close_all)
        self.shutdown(wait=False)

    def _before(self) -> None:
        for alias, connection in self._shared.items():
            connections[alias] = connection
        before_consumer()

    def _after(self, channel: str) -> None:
        after_consumer(channel)
        for alias in self._shared:
            del connections[alias]


class SyncThreads:
    """The threads for synchronous parts of one event loop.

    The last one used is used first, so that there are no more threads than consumers that had synchronous parts
    at the same time.
    """

    def __init__(self) -> None:
        self._free: list[SyncThread] = []
        self._all: list[SyncThread] = []

    def take(self) -> SyncThread:
        """Take a thread that nobody else uses."""
        if not self._free:
            thread = SyncThread(len(self._all) + 1)
            self._all.append(thread)
            return thread
        return self._free.pop()

    def put(self, thread: SyncThread) -> None:
        """Return a thread whose consumer has ended."""
        self._free.append(thread)

    def close(self) -> None:
        """End all threads in which nothing runs."""
        for thread in self._all:
            thread.close()
