"""``ConsumerLoop``: the event loop of a worker process, in which asynchronous consumers run."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from channels_classic.layers import BaseChannelLayer, Lease
from channels_classic.layers.cancellation import to_the_end
from channels_classic.log import logger
from worker.completions import Completions
from worker.held import RunningAsync
from worker.presence import Presence
from worker.sync_threads import SyncThreads

BLOCKED_SECONDS = 0.2
"""Seconds that a consumer may block the event loop before a warning."""

LOOK_SECONDS = 0.005
"""Seconds after which the event loop looks again for consumers that begin, and for messages that no worker has
collected. A worker does both once for a whole batch. That takes it a few milliseconds, unless one of the consumers
takes long."""

CANCEL_SECONDS = 1.0
"""Seconds that consumers may take to end after the end of the process has cancelled them."""


class ConsumerLoop:
    """Runs asynchronous consumers, many at the same time, in a thread that starts with the first one.

    Arguments:
        layer: the channel layer of the workers.
        limit: how many consumers may run at the same time.
        presence: the presence of the process, if the layer keeps in-flight messages.
        settled: called when the last running consumer has ended, and when all that consumers sent is on its way.
            Either may come first, and with the second one nothing is at work any more.
        died: called with the error that the event loop has died of.
    """

    def __init__(
        self,
        layer: BaseChannelLayer,
        limit: int,
        presence: Presence | None,
        settled: Callable[[], None],
        died: Callable[[BaseException], None],
    ) -> None:
        self.completions = Completions(layer, presence, self._on_settled)
        self.channels: set[str] = set()
        """The channels whose messages have had asynchronous consumers."""
        self._limit = limit
        self._settled = settled
        self._died = died
        self._lock = threading.Condition()
        self._running: dict[RunningAsync, asyncio.Task[None] | None] = {}
        self._new: list[RunningAsync] = []
        self._is_told = False
        """Whether the event loop was told that there are new consumers, and has not begun them yet."""
        self._is_looking = False
        """Whether it will look for them by itself, in at most ``LOOK_SECONDS``."""
        self._is_dead = False
        """Whether the event loop has died, so that nobody has to wait for what ran in it."""
        self._waiting: set[Callable[[], None]] = set()
        self._sync_threads = SyncThreads()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # Called in the threads of workers.

    def start(self, run: RunningAsync) -> None:
        """Let a consumer continue in the event loop, soon.

        Raises:
            OSError, RuntimeError: the system has no room for the event loop, or for its thread.
        """
        with self._lock:
            if self._loop is None:
                self._loop = self._begin_thread()
        self.completions.begin(run)
        with self._lock:
            self._running[run] = None
            self.channels.add(run.received.channel)
            self._new.append(run)
        # To tell the loop is a write to a socket, and a switch of threads: once for all consumers of a batch.
        if not self._is_looking:
            self.start_all()

    def start_all(self) -> None:
        """Let all consumers continue now, because their worker is about to wait for them."""
        with self._lock:
            if self._loop is None or self._is_told or not self._new:
                return
            self._is_told = True
        self._loop.call_soon_threadsafe(self._begin_new)

    def has_room(self, timeout: float = 0) -> bool:
        """Whether there is room for another consumer, now or within ``timeout`` seconds."""
        if self._has_room():
            return True
        with self._lock:
            return self._lock.wait_for(self._has_room, timeout)

    def closed_channels(self, wake: Callable[[], None]) -> frozenset[str]:
        """The channels that a worker must not take from now, because there is no room for their consumers.

        Arguments:
            wake: called, in another thread, when there is room again.
        """
        if self._has_room():
            return frozenset()
        with self._lock:
            if self._has_room():
                return frozenset()
            self._waiting.add(wake)
            return frozenset(self.channels)

    def _has_room(self) -> bool:
        # Consumers may end while nothing can be sent. Their batches must not become more and more.
        return len(self._running) < self._limit and self.completions.held < self._limit

    # Called by the process.

    @property
    def is_at_work(self) -> bool:
        """Whether a consumer runs, or something still has to be sent."""
        return (bool(self._running) and not self._is_dead) or self.completions.is_at_work

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that must be alive once a consumer has run."""
        return [] if self._thread is None else [self._thread, self.completions.thread]

    @property
    def leases(self) -> list[Lease]:
        """The leases of turns that run, or whose ends have not been sent. Any thread may call this."""
        with self._lock:
            running = [run.lease for run in self._running if run.lease is not None]
        return [*running, *self.completions.leases]

    def running(self) -> list[RunningAsync]:
        """The consumers that are running."""
        with self._lock:
            return list(self._running)

    def texts(self) -> list[str]:
        """A text for each running consumer that says what it is, and for how long it has been running."""
        now = time.monotonic()
        return [f"{run.what}, for {now - run.since:.0f} s" for run in self.running()]

    def stack_of(self, run: RunningAsync) -> str | None:
        """The place where a consumer is, as a traceback; ``None`` if it does not run."""
        task = self._running.get(run)
        return None if task is None else _stack(task.get_coro())

    def stop(self) -> None:
        """Cancel what runs, and end the threads. The sweep of this process handles what was cancelled."""
        self.completions.stop()
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            return
        for run in self.running():
            run.unfinished.is_given_up = True
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(CANCEL_SECONDS)

    # Called by the thread that sends.

    def _on_settled(self) -> None:
        with self._lock:
            if self._has_room():
                self._tell_of_room()
        self._settled()

    def _begin_thread(self) -> asyncio.AbstractEventLoop:
        if not self.completions.thread.is_alive():
            self.completions.start()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=[loop], name="asynchronous", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            loop.close()
            raise
        self._thread = thread
        return loop

    # Called in the thread of the event loop.

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.set_task_factory(_watched_task)
        self._stopping = asyncio.Event()
        until_stopped = loop.create_task(self._until_stopped())
        try:
            while not until_stopped.done():
                try:
                    loop.run_until_complete(until_stopped)
                except (SystemExit, KeyboardInterrupt, RuntimeError):
                    # A task that a consumer has begun has raised it, or has called stop.
                    if loop.is_closed():
                        raise
                    logger.exception("Code of an asynchronous consumer has stopped the event loop, which goes on:")
            loop.run_until_complete(loop.shutdown_asyncgens())
        except BaseException as error:
            logger.exception("The event loop of asynchronous consumers has died:")
            self._is_dead = True
            self._died(error)
        finally:
            self._sync_threads.close()
            with suppress(Exception):
                loop.close()

    async def _until_stopped(self) -> None:
        await self._stopping.wait()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel(self) -> None:
        self._stopping.set()

    def _begin_new(self) -> None:
        with self._lock:
            new, self._new = self._new, []
            self._is_told = False
        loop = asyncio.get_running_loop()
        for run in new:
            coroutine = _Watched(self._live(run), run.unfinished.name)
            self._running[run] = asyncio.Task(coroutine, loop=loop, context=run.unfinished.context)
        if new:
            self._look_later(loop)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_looking:
            self._is_looking = True
            loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        with self._lock:
            self._is_looking = False
        self._begin_new()
        self.completions.send_uncollected()

    async def _live(self, run: RunningAsync) -> None:
        thread = self._sync_threads.take()
        thread.enter(run.batch.shared_connections)
        try:
            await run.unfinished.finish()
        except KeyboardInterrupt:
            pass  # Ctrl-C comes to the main thread. This is an error of the consumer, which is in the log.
        finally:
            try:
                if thread.is_used:
                    await to_the_end(thread.leave(run.received.channel))
            finally:
                self._sync_threads.put(thread)
                self._end(run)

    def _end(self, run: RunningAsync) -> None:
        # It is passed on before it is taken out, so that it counts as work throughout.
        is_left = not run.unfinished.is_given_up and self.completions.end(run)
        with self._lock:
            was_full = len(self._running) >= self._limit
            del self._running[run]
            is_last = not self._running
            if was_full:
                self._tell_of_room()
        if is_last:
            self._settled()
        if is_left:
            self._look_later(asyncio.get_running_loop())

    def _tell_of_room(self) -> None:
        waiting, self._waiting = self._waiting, set()
        self._lock.notify()
        for wake in waiting:
            self.completions.call(wake)


def _watched_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task. One that a consumer begins, as ``asyncio.gather`` does, is watched under its name."""
    parent = asyncio.current_task(loop)
    starter = None if parent is None else parent.get_coro()
    if isinstance(starter, _Watched) and not isinstance(coroutine, _Watched):
        coroutine = _Watched(coroutine, starter.name)
    return asyncio.Task(coroutine, loop=loop, **options)


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that logs a warning when it has blocked the event loop.

    Arguments:
        coroutine: the coroutine to run.
        name: the name of its consumer.
    """

    __slots__ = ("_send", "coroutine", "name")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        self.coroutine = coroutine
        self.name = name
        self._send = coroutine.send

    def send(self, value: Any) -> Any:
        began = time.monotonic()
        try:
            return self._send(value)
        finally:
            if (seconds := time.monotonic() - began) > BLOCKED_SECONDS:
                self._tell(seconds)

    def throw(self, *error: Any) -> Any:
        began = time.monotonic()
        try:
            return self.coroutine.throw(*error)
        finally:
            if (seconds := time.monotonic() - began) > BLOCKED_SECONDS:
                self._tell(seconds)

    def close(self) -> None:
        self.coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.coroutine.__await__()

    def _tell(self, seconds: float) -> None:
        logger.warning(
            "The consumer %s has blocked the event loop for %.1f s: no other asynchronous consumer of this "
            "process could go on. Call what takes long by sync_to_async, or write the consumer as a plain def.",
            self.name,
            seconds,
        )


def _stack(coroutine: Any) -> str:
    """The frames of a coroutine that waits, from the outermost call to the innermost."""
    lines: list[str] = []
    while coroutine is not None:
        if isinstance(coroutine, _Watched):
            coroutine = coroutine.coroutine
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            lines += traceback.format_stack(frame, limit=1)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return "".join(lines)
