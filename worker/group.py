"""``WorkerGroup``: the workers of one process, each in a thread of its own."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.log import logger
from channels_classic.signals import worker_process_ready
from worker.loop import Worker
from worker.watchdog import Watchdog

WAKE_AGAIN_SECONDS = 2.0
"""How long a worker may take to stop before it is told once more."""


class WorkerGroup:
    """Runs ``n_threads`` workers until it is stopped.

    Arguments:
        channel_layer: of ``channel_layers``, with its router.
        n_threads: how many consumers may run at the same time.
        signal_handlers: let ``run`` stop at SIGTERM and SIGINT, and at a second one not wait for a layer that is
            away; only where it is called in the main thread.
        stop_gracefully: has to be true: consumers that run are always waited for.
        options: for each ``Worker``.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        n_threads: int = 4,
        signal_handlers: bool = True,
        stop_gracefully: bool = True,
        **options: Any,
    ) -> None:
        if not stop_gracefully:
            raise ValueError("A worker group always lets the consumers finish that run: stop_gracefully=True.")
        if n_threads < 1:
            raise ValueError(f"A worker needs at least one thread, not {n_threads}.")
        self.signal_handlers = signal_handlers
        self.workers = [Worker(channel_layer, **options) for _ in range(n_threads)]
        self.threads = [
            threading.Thread(target=self._run_worker, args=[worker], name=f"worker-{number}", daemon=True)
            for number, worker in enumerate(self.workers, 1)
        ]
        self._watchdog = Watchdog(self.workers)
        # No event: the handler of a signal may interrupt the wait for one, and would wait for its lock.
        self._ends: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Start the workers, wait until they are stopped, and let them finish what runs.

        Raises:
            BaseException: what a worker died of, if one did; the others are stopped then.
        """
        with self._stopping_at_signals():
            try:
                self.start()
                self._ends.get()
            finally:
                self.stop()
        if self._failure is not None:
            raise self._failure

    def start(self) -> None:
        """Start the workers and return."""
        worker_process_ready.send(sender=type(self))
        for worker in self.workers:
            worker.started_batch = self._watchdog.wake
        self._watchdog.start()
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Take nothing new, wait for the consumers that run, end the threads."""
        self._ends.put(None)
        for worker in self.workers:
            worker.stop()
        for worker, thread in zip(self.workers, self.threads, strict=True):
            # Once more where it did not help: what wakes a worker is a message, and messages can be lost.
            while thread.is_alive():
                thread.join(WAKE_AGAIN_SECONDS)
                if thread.is_alive():
                    worker.stop()
        self._watchdog.stop()

    def sigterm_handler(self, signo: int | None = None, stack_frame: object = None) -> None:
        """Let ``run`` come to its end, as SIGTERM does. A signal handler may call this."""
        self._ends.put(None)

    def _run_worker(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:
            logger.exception("A worker died:")
            self._failure = error
        finally:
            connections.close_all()
            self._ends.put(None)

    @contextmanager
    def _stopping_at_signals(self) -> Iterator[None]:
        if not self.signal_handlers or threading.current_thread() is not threading.main_thread():
            yield
            return
        told = False
        # Where there is a supervisor, a second signal is for that one: a system that stops a service may signal
        # all of its processes, so that this one hears of one end twice.
        alone = multiprocessing.parent_process() is None

        def stop_or_hurry(*_: object) -> None:
            nonlocal told
            if told and alone:
                for worker in self.workers:
                    worker.hurry()
            told = True
            self._ends.put(None)

        numbers = (signal.SIGTERM, signal.SIGINT)
        former = [signal.signal(number, stop_or_hurry) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, former, strict=True):
                signal.signal(number, handler)
