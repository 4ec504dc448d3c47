"""Threads for streaming answers, so that no thread of a worker waits for a slow client."""

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
from channels_classic.layers import Lapsed
from channels_classic.log import logger
from channels_classic.stopping import Stopping
from worker.connections import shared_connections
from worker.django_state import DjangoState
from worker.options import STREAM_THREADS


class _Carried(NamedTuple):
    """The state that another thread needs, besides the context."""

    state: DjangoState
    shared_connections: dict[str, Any]
    """Database connections that any thread may use: those of a test that runs in one transaction."""

    @classmethod
    def from_here(cls) -> _Carried:
        return cls(DjangoState.current(), shared_connections())

    @contextmanager
    def here(self) -> Iterator[None]:
        """Set the state in this thread while the block runs, then close its database connections."""
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
    """A streaming answer.

    Arguments:
        name: its name in the log.
        reply_channel: the reply channel of its client.
        work: makes and sends it.
        carried: the state for its thread.
        stopping: set when it has to end.
    """

    name: str
    reply_channel: str
    work: pending.Work
    carried: _Carried
    stopping: Stopping
    since: float = field(default_factory=time.monotonic)
    process: str = ""
    """The name of this process when the answer began."""


class Answers(Protocol):
    """Knows which clients wait for the rest of an answer. The ``Presence`` of the process does."""

    def open_answer(self, reply_channel: str) -> str:
        """Note that a streaming answer begins. Returns the name that ``close_answer`` needs."""

    def close_answer(self, process: str, reply_channel: str) -> None:
        """Note that a streaming answer has ended."""


class StreamThreads:
    """Runs streaming answers in threads of their own, each with the context of the consumer that began it.

    Arguments:
        limit: how many may run at the same time.
        ended: called, in its thread, when an answer has ended.
        answers: notes which clients have to be told if this process dies.
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
        """Run ``work`` in a thread of its own, if there is room.

        Arguments:
            name: its name in the log.
            reply_channel: the reply channel of its client.
            work: makes and sends the answer.

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
            # This comes before the worker is done with the request.
            stream.process = self._answers.open_answer(reply_channel)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no room for another thread
            self._forget(thread)
            logger.error("%s gets 503. %s", name, error)
            return False
        return True

    def stop(self) -> None:
        """End event streams with their next part. Other answers go on to their end."""
        self._stopping.set()

    def abandon(self) -> None:
        """End all answers without another part, because the process has lapsed, and the clients were told so."""
        abandoned, self._stopping = self._stopping, Stopping()
        if abandoned.is_set():
            self._stopping.set()
        abandoned.abandon()

    def running(self) -> list[str]:
        """A text for each running stream, with its duration."""
        now = time.monotonic()
        with self._lock:
            return [f"{stream.name}, for {now - stream.since:.0f} s" for stream in self._running.values()]

    def _run(self, stream: _Stream) -> None:
        try:
            # The consumer is done, so messages from here on go out at once.
            pending.leave(stream.stopping)
            with stream.carried.here():
                stream.work(stream.stopping)
        except Lapsed as error:
            logger.error("The answer to %s was broken off. %s", stream.name, error)
        except BaseException:
            logger.exception("Error in the answer to %s:", stream.name)
        finally:
            try:
                self._forget(threading.current_thread())
            finally:
                self._ended()

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            stream = self._running.pop(thread)
        if self._answers is not None:
            self._answers.close_answer(stream.process, stream.reply_channel)
