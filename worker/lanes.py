"""Threads for the synchronous parts of asynchronous consumers: what they call by ``sync_to_async``, the ORM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.db import connections

from worker.connections import after_consumer, before_consumer


class Lane(ThreadPoolExecutor):
    """A thread for the synchronous parts of one consumer at a time, with database connections of its own.

    The thread begins when a consumer uses it, and stays for the next one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(max_workers=1, thread_name_prefix=f"asynchronous-{number}")
        self._is_used = False
        self._shared: Mapping[str, Any] = {}
        self._context = ThreadSensitiveContext()
        # Here asgiref looks for the thread of a context; there is no function that sets it.
        SyncToAsync.context_to_thread_executor[self._context] = self

    def enter(self, shared: Mapping[str, Any]) -> None:
        """Let the synchronous parts of what runs in this context run here.

        Arguments:
            shared: database connections that may be used in any thread: those of a test.
        """
        self._shared = shared
        self._is_used = False
        SyncToAsync.thread_sensitive_context.set(self._context)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As an executor has it. Before the first part of a consumer, old connections are closed."""
        if not self._is_used:
            self._is_used = True
            super().submit(self._before)
        return super().submit(fn, *args, **kwargs)

    async def leave(self, channel: str) -> None:
        """A consumer has ended: leave no transaction of it open, and close old connections.

        Arguments:
            channel: that its message came from.
        """
        if self._is_used:
            await asyncio.wrap_future(super().submit(self._after, channel))

    def close(self) -> None:
        """End the thread as soon as nothing runs in it, and its connections with it."""
        if self._is_used:
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


class Lanes:
    """The lanes of an event loop. The one that was used last is used first, so that there are no more threads than
    consumers that had synchronous parts at the same time."""

    def __init__(self) -> None:
        self._free: list[Lane] = []
        self._all: list[Lane] = []

    def take(self) -> Lane:
        """A lane that nobody else uses."""
        if not self._free:
            lane = Lane(len(self._all) + 1)
            self._all.append(lane)
            return lane
        return self._free.pop()

    def give_back(self, lane: Lane) -> None:
        """The consumer that used it has ended."""
        self._free.append(lane)

    def close(self) -> None:
        """End all threads in which nothing runs any more."""
        for lane in self._all:
            lane.close()
