"""``WorkerGroup``: the workers of one process, each in a thread of its own."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import connections

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.http.handler import begin_at_root
from channels_classic.layers import Lease, Process
from channels_classic.log import logger
from channels_classic.processes.signals import HURRY, STOP, signals_in_a_thread
from channels_classic.signals import worker_process_ready
from worker.asynchronous import ConsumerLoop
from worker.caches import keep_caches
from worker.channels import ChannelFilters
from worker.loop import Worker
from worker.options import CONCURRENCY, STOP_TIMEOUT, STREAM_THREADS
from worker.place import Place
from worker.presence import Presence
from worker.streams import StreamThreads
from worker.timeouts import RunningConsumer, stack_of_thread
from worker.watchdog import Watchdog

HURRY_SECONDS = 1.0
"""Seconds that the end may take after a second signal."""

WAKE_AGAIN_SECONDS = 2.0
"""Seconds that a worker may take to stop before it is woken once more. Wake-ups are messages, which can be
lost."""


class StillRunning(Exception):
    """The workers ended without waiting any longer for what still runs. The log names it."""


class WorkerGroup:
    """Runs ``n_threads`` workers until it is stopped.

    Arguments:
        channel_layer: one of ``channel_layers``, with its router.
        n_threads: how many consumers may run at the same time.
        signal_handlers: whether ``run`` stops at SIGTERM and SIGINT, and waits no longer at a second signal. This
            works only in the main thread.
        stop_gracefully: has to be true, because a worker group always waits for running consumers.
        concurrency: how many asynchronous consumers may run at the same time, besides the others.
        stream_threads: how many answers may last at the same time, besides the consumers.
        stop_timeout: seconds that ``stop`` waits for what runs.
        registered: called with this process each time that it has a new name in the registry of the layer.
        options: keywords for each ``Worker``.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        n_threads: int = 4,
        signal_handlers: bool = True,
        stop_gracefully: bool = True,
        stream_threads: int = STREAM_THREADS,
        concurrency: int = CONCURRENCY,
        stop_timeout: float = STOP_TIMEOUT,
        registered: Callable[[Process], None] = lambda process: None,
        **options: Any,
    ) -> None:
        if not stop_gracefully:
            raise ValueError("A worker group always lets the consumers finish that run: stop_gracefully=True.")
        if n_threads < 1:
            raise ValueError(f"A worker needs at least one thread, not {n_threads}.")
        self.signal_handlers = signal_handlers
        self.stop_timeout = stop_timeout
        self._watchdog = Watchdog()
        filters = ChannelFilters(options.get("only_channels"), options.get("exclude_channels"))
        # Each worker may take one more message, and another one from each channel before it knows that the channel
        # has asynchronous consumers.
        spare = concurrency + n_threads * (1 + len(channel_layer.router.channels))
        self._presence = self._make_presence(channel_layer, n_threads, spare, filters, registered)
        self._event_loop = ConsumerLoop(
            channel_layer.channel_layer, concurrency, self._presence, self._note_end, self._fail
        )
        self._streams = StreamThreads(stream_threads, self._note_end, self._presence)
        self.workers = [
            Worker(
                channel_layer,
                signal_handlers=False,
                place=Place(self._watchdog, self._event_loop, self._streams, self._presence, number),
                **options,
            )
            for number in range(n_threads)
        ]
        self.threads = [
            threading.Thread(target=self._run_worker, args=[worker], name=f"worker-{number}", daemon=True)
            for number, worker in enumerate(self.workers, 1)
        ]
        self._ended: set[Worker] = set()
        """Those whose work is over. Their threads live a moment longer."""
        # Says that the group has to end and, while it ends, that something may have ended. This is not an event,
        # because a signal handler may interrupt the wait for an event, and would then wait for its lock.
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_ending = False
        self._hurried_at: float | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Start the workers, wait until they are stopped, and finish what runs.

        Raises:
            BaseException: the error that a worker died of. Then the others are stopped.
            StillRunning: something did not end within ``stop_timeout``, or before a second signal.
        """
        left: list[str] = []
        with self._stopping_at_signals():
            try:
                self.start()
                self._news.get()
            finally:
                left = self.stop()
        if self._failure is not None:
            raise self._failure
        if left:
            raise StillRunning("; ".join(left))

    def _make_presence(
        self,
        channel_layer: ChannelLayerWrapper,
        threads: int,
        spare: int,
        filters: ChannelFilters,
        registered: Callable[[Process], None],
    ) -> Presence | None:
        layer, router = channel_layer.channel_layer, channel_layer.router
        if "processes" not in layer.extensions:
            return None
        return Presence(
            layer,
            threads,
            spare,
            details=lambda: {
                "channels": filters.apply(sorted(router.channels)),
                "at_least_once": sorted(router.at_least_once),
            },
            leases=self._leases,
            describe=lambda channel, content: self.workers[0].describe(channel, content),
            lapsed=lambda: self._streams.abandon(),
            registered=registered,
        )

    def _leases(self) -> list[Lease]:
        return [*(lease for worker in self.workers for lease in worker.leases), *self._event_loop.leases]

    def start(self) -> None:
        """Start the workers and return."""
        if self._presence is not None:
            self._presence.start()
        worker_process_ready.send(sender=type(self))
        self._watchdog.start(self.workers)
        for thread in self.threads:
            thread.start()

    def stop(self) -> list[str]:
        """Take no new messages, wait for what runs, and end the threads.

        Returns:
            A text for each thing that still runs after ``stop_timeout``. The log has them, too.
        """
        self._is_ending = True
        self._note()
        told_at = time.monotonic()
        for worker in self.workers:
            worker.stop_without_waking()
        self._streams.stop()
        ended = threading.Event()
        threading.Thread(target=self._wake_until, args=[ended], name="worker-waker", daemon=True).start()
        while self._is_at_work() and (left := self._deadline(told_at) - time.monotonic()) > 0:
            try:
                self._news.get(timeout=left)
            except queue.Empty:
                pass
        self._note()  # for another thread that may wait here, too
        ended.set()
        running = self.still_running()
        self._event_loop.stop()
        left = 0 if running else self._deadline(told_at) - time.monotonic()
        self._watchdog.stop(left)
        if self._presence is not None and not running:
            self._presence.stop(left, departs=not any(worker.has_waiting for worker in self.workers))
        if running:
            logger.error(
                "Ended %.0f s after being told to stop, without waiting any longer for: %s.",
                time.monotonic() - told_at,
                "; ".join(running),
            )
        return running

    def hurry(self) -> None:
        """Make ``stop`` wait hardly any longer. A signal handler may call this."""
        for worker in self.workers:
            worker.hurry()
        if self._hurried_at is None:
            self._hurried_at = time.monotonic()
        self._note()

    def ready(self) -> None:
        """Send ``worker_ready`` for each worker. Workers that are started do this themselves."""
        for worker in self.workers:
            worker.ready()

    def sigterm_handler(self, signo: int | None = None, stack_frame: object = None) -> None:
        """End ``run``, as SIGTERM does, or just the workers if something else runs them.

        A signal handler may call this. It must not wait for the lock of an event, so it starts a thread for that.
        """
        self._note()
        threading.Thread(target=self._stop_workers, name="worker-stopper", daemon=True).start()

    def _stop_workers(self) -> None:
        for worker in self.workers:
            worker.stop()

    def _note(self) -> None:
        self._news.put(None)

    def _note_end(self) -> None:
        """Make ``stop`` look whether something still runs, after an end that it can see."""
        if self._is_ending:
            self._note()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._note()

    def _deadline(self, told_at: float) -> float:
        deadline = told_at + self.stop_timeout
        return deadline if self._hurried_at is None else min(deadline, self._hurried_at + HURRY_SECONDS)

    def _is_at_work(self) -> bool:
        return bool(self._workers_at_work() or self._streams.running() or self._event_loop.is_at_work)

    def _workers_at_work(self) -> list[tuple[Worker, threading.Thread]]:
        """The workers that have begun and not ended, with their threads."""
        pairs = zip(self.workers, self.threads, strict=True)
        return [(worker, thread) for worker, thread in pairs if thread.is_alive() and worker not in self._ended]

    def still_running(self) -> list[str]:
        """A text for each running consumer and stream, and for each worker that should have stopped."""
        workers = [
            worker.running() or (f"{thread.name}, which waits for the channel layer" if worker.termed else "")
            for worker, thread in self._workers_at_work()
        ]
        return [*filter(None, workers), *self._event_loop.texts(), *self._streams.running()]

    def dead_threads(self) -> list[str]:
        """The names of threads that were started and have ended."""
        threads = [*self.threads, self._watchdog.thread, *([self._presence.thread] if self._presence else [])]
        threads += self._event_loop.threads
        return [f"the thread {thread.name}" for thread in threads if thread.ident and not thread.is_alive()]

    def running_consumers(self) -> list[RunningConsumer]:
        """The running consumers, in the threads of workers and in the event loop."""
        loop = self._event_loop
        found = [RunningConsumer(run.what, run.since, run, partial(loop.stack_of, run)) for run in loop.running()]
        for worker, thread in zip(self.workers, self.threads, strict=True):
            since, what = worker.running_since, worker.running()
            if since is not None and what is not None and thread.ident is not None:
                found.append(RunningConsumer(what, since, thread.ident, partial(stack_of_thread, thread.ident)))
        return found

    def _wake_until(self, ended: threading.Event) -> None:
        """Wake the workers, in a thread, because the layer may not answer."""
        while True:
            for worker, _ in self._workers_at_work():
                worker.wake()
            if ended.wait(WAKE_AGAIN_SECONDS):
                return

    def _run_worker(self, worker: Worker) -> None:
        try:
            keep_caches()
            begin_at_root()
            worker.run()
        except BaseException as error:
            self._fail(error)
            logger.exception("A worker died:")
        finally:
            try:
                connections.close_all()
            finally:
                # In this order: who is told looks at once, and is not told again.
                self._ended.add(worker)
                self._note()

    @contextmanager
    def _stopping_at_signals(self) -> Iterator[None]:
        if not self.signal_handlers or threading.current_thread() is not threading.main_thread():
            yield
            return
        told = False
        # A supervisor passes a second signal on as HURRY. A system that stops a service may signal all processes,
        # so a process with a supervisor may get the first signal twice.
        alone = multiprocessing.parent_process() is None

        def stop_or_hurry() -> None:
            nonlocal told
            if told and alone:
                self.hurry()
            told = True
            self._note()

        handlers: dict[signal.Signals, Callable[[], object]] = dict.fromkeys(STOP, stop_or_hurry)
        if not alone:
            handlers[HURRY] = self.hurry
        with signals_in_a_thread(handlers):
            yield
