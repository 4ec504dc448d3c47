"""Threads for answers that last, so that no worker's thread waits at a client's pace."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from django.db import connections

from channels_classic import pending
from channels_classic.log import logger
from channels_classic.stopping import Stopping
from worker.connections import shared_connections
from worker.django_state import DjangoState
from worker.options import STREAM_THREADS


class _Carried(NamedTuple):
    """The state that goes along into another thread, besides the context."""

    state: DjangoState
    shared_connections: dict[str, Any]
    """Database connections that may be used in any thread: those of a test that has all in one transaction."""

    @classmethod
    def from_here(cls) -> _Carried:
        return cls(DjangoState.current(), shared_connections())

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


@dataclass
class _Stream:
    """An answer that lasts.

    Arguments:
        name: for the log.
        reply_channel: of its client.
        work: makes and sends it.
        carried: into its thread.
        stopping: set when it should end.
    """

    name: str
    reply_channel: str
    work: pending.Work
    carried: _Carried
    stopping: Stopping
    since: float = field(default_factory=time.monotonic)
    process: str = ""
    """The name of this process when it began."""


class Answers(Protocol):
    """Keeps in mind which clients wait for the rest of an answer: the ``Presence`` of the process."""

    def open_answer(self, reply_channel: str) -> str:
        """An answer to this client begins to last; gives what ``close_answer`` needs."""

    def close_answer(self, process: str, reply_channel: str) -> None:
        """It has come to its end."""


class StreamThreads:
    """Runs answers that last in threads of their own, each with the context of the consumer that began it.

    Arguments:
        limit: how many there may be at the same time.
        ended: called in the thread of each that has ended.
        answers: is told which clients have to hear of it should this process die.
    """

    def __init__(
        self,
        limit: int = STREAM_THREADS,
        ended: Callable[[], None] = lambda: None,
        answers: Answers | None = None,
    ) -> None:
        self._limit = limit
        self._ended = ended
        self._answers = answers
        self._stopping = Stopping()
        self._lock = threading.Lock()
        self._running: dict[threading.Thread, _Stream] = {}
        self._is_full = False

    def start(self, name: str, reply_channel: str, work: pending.Work) -> bool:
        """Run ``work`` in a thread of its own.

        Arguments:
            name: for the log.
            reply_channel: of its client.

        Returns:
            Whether there was room for it.
        """
        stream = _Stream(name, reply_channel, work, _Carried.from_here(), self._stopping)
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=[self._run, stream], daemon=True)
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
            self._running[thread] = stream
            thread.name = f"stream-{len(self._running)}"
        if self._answers is not None:
            # Before the worker is done with the message that it is the answer to.
            stream.process = self._answers.open_answer(reply_channel)
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

    def abandon(self) -> None:
        """Let all that runs end without another part: the process has lapsed, and the clients know that."""
        abandoned, self._stopping = self._stopping, Stopping()
        if abandoned.is_set():
            self._stopping.set()
        abandoned.abandon()

    def running(self) -> list[str]:
        """Describe the streams that are running: a text for each, with its age."""
        now = time.monotonic()
        with self._lock:
            return [f"{stream.name}, for {now - stream.since:.0f} s" for stream in self._running.values()]

    def _run(self, stream: _Stream) -> None:
        try:
            # The consumer is done, so what is sent from here on does not wait for its end.
            pending.leave(stream.stopping)
            with stream.carried.here():
                stream.work(stream.stopping)
        except BaseException:
            logger.exception("Error in the answer to %s:", stream.name)
        finally:
            self._forget(threading.current_thread())
            self._ended()

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            stream = self._running.pop(thread)
        if self._answers is not None:
            self._answers.close_answer(stream.process, stream.reply_channel)
