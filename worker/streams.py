"""Threads for answers that last, so that no worker's thread waits at a client's pace."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connections

from channels_classic import pending
from channels_classic.log import logger
from channels_classic.stopping import Stopping
from worker.django_state import DjangoState
from worker.options import STREAM_THREADS


class _Carried(NamedTuple):
    """What goes along into another thread, besides the context."""

    state: DjangoState
    shared_connections: dict[str, Any]
    """Database connections that may be used in any thread: those of a test that has all in one transaction."""

    @classmethod
    def from_here(cls) -> _Carried:
        shared = {each.alias: each for each in connections.all(initialized_only=True) if each.allow_thread_sharing}
        return cls(DjangoState.current(), shared)

    @contextmanager
    def here(self) -> Iterator[None]:
        """Set it in this thread; in the end close all database connections that the thread opened."""
        self.state.activate()
        for alias, connection in self.shared_connections.items():
            connections[alias] = connection
        try:
            yield
        finally:
            for alias in self.shared_connections:
                del connections[alias]
            connections.close_all()


class StreamThreads:
    """Runs what lasts in threads of its own, each with the context of the consumer that began it.

    Arguments:
        limit: how many there may be at the same time.
        ended: called in the thread of each that has ended.
    """

    def __init__(self, limit: int = STREAM_THREADS, ended: Callable[[], None] = lambda: None) -> None:
        self._limit = limit
        self._ended = ended
        self._stopping = Stopping()
        self._lock = threading.Lock()
        self._running: dict[threading.Thread, tuple[str, float]] = {}
        self._is_full = False

    def start(self, name: str, work: pending.Work) -> bool:
        """Run ``work`` in a thread of its own.

        Arguments:
            name: what it is, for the log.

        Returns:
            Whether there was room for it.
        """
        carried = _Carried.from_here()
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=[self._run, name, work, carried], daemon=True)
        with self._lock:
            if len(self._running) >= self._limit:
                if not self._is_full:
                    logger.error(
                        "All %d stream threads are busy. %s gets 503, and so do others until a thread is free. "
                        "Set --stream-threads for more.",
                        self._limit,
                        name,
                    )
                self._is_full = True
                return False
            self._is_full = False
            self._running[thread] = name, time.monotonic()
            thread.name = f"stream-{len(self._running)}"
        try:
            thread.start()
        except RuntimeError as error:  # the system has no room for a thread
            self._forget(thread)
            logger.error("%s gets 503. %s", name, error)
            return False
        return True

    def stop(self) -> None:
        """Let event streams end with their next part; everything else may come to its end."""
        self._stopping.set()

    def running(self) -> list[str]:
        """What is running, and for how long: a text for each."""
        now = time.monotonic()
        with self._lock:
            return [f"{name}, for {now - since:.0f} s" for name, since in self._running.values()]

    def _run(self, name: str, work: pending.Work, carried: _Carried) -> None:
        try:
            # The consumer is done, so what is sent from here on does not wait for its end.
            pending.leave(self._stopping)
            with carried.here():
                work(self._stopping)
        except BaseException:
            logger.exception("Error in the answer to %s:", name)
        finally:
            self._forget(threading.current_thread())
            self._ended()

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            del self._running[thread]
