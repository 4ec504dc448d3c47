"""The ends of asynchronous consumers: sends their messages, and ends their batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable, Lease
from channels_classic.log import logger
from channels_classic.outages import log_outage, log_return
from worker.held import HeldBatch, RunningAsync
from worker.hold import Hold
from worker.presence import Presence
from worker.sender import RETRY_PAUSE
from worker.senders import Senders

FAULT_PAUSE = 1.0
"""Seconds to wait after an error that nobody foresaw, so that one that stays does not fill the log."""


class Completions:
    """Sends, in a thread of its own, what asynchronous consumers have sent, and ends the batches that they held.

    Arguments:
        layer: the channel layer of the workers.
        presence: the presence of the process, if the layer keeps in-flight messages.
        settled: called when consumers have ended, and all that they sent is on its way.
    """

    def __init__(self, layer: BaseChannelLayer, presence: Presence | None, settled: Callable[[], None]) -> None:
        self._layer = layer
        self._presence = presence
        self._settled = settled
        self._hold = self._new_hold()
        self.senders = Senders(layer, self._hold.taker)
        self._changed = threading.Condition()
        self._ended: deque[RunningAsync] = deque()
        self._over: list[HeldBatch] = []
        self._calls: list[Callable[[], None]] = []
        self.held = 0
        """The number of batches that workers have left, and that have not ended."""
        self._is_busy = False
        self._is_stopping = False
        self._backoff = Backoff()
        self.thread = threading.Thread(target=self._run, name="asynchronous-sender", daemon=True)
        """Sends."""

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """End the thread when nothing is left to do."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()

    @property
    def is_at_work(self) -> bool:
        """Whether something still has to be sent."""
        with self._changed:
            return bool(self._is_busy or self._ended or self._over)

    @property
    def leases(self) -> list[Lease]:
        """The leases of turns whose ends have not been sent. Any thread may call this."""
        with self._changed:
            ended = [run.lease for run in self._ended if run.lease is not None]
        return [*ended, *self.senders.own.leases]

    # Called by the event loop.

    def begin(self, run: RunningAsync) -> None:
        """Note that a consumer has begun."""
        with self._changed:
            run.batch.running += 1
            run.batch.unsent += 1
            run.batch.places.add(run.place)

    def end(self, run: RunningAsync) -> bool:
        """Note that a consumer has ended.

        Returns:
            Whether its worker still runs other messages of the batch, and is likely to send for it in a moment.
            ``send_uncollected`` has to follow, in case it does not.
        """
        batch = run.batch
        with self._changed:
            batch.running -= 1
            if batch.is_attended:
                batch.finished.append(run)
                if not batch.running:
                    batch.ended.set()
                return False
            self._ended.append(run)
            if batch.is_left:
                self._changed.notify()
            return not batch.is_left

    def send_uncollected(self) -> None:
        """Send for consumers that have ended, and whose workers have not come."""
        with self._changed:
            if self._ended:
                self._changed.notify()

    def call(self, function: Callable[[], None]) -> None:
        """Call ``function``, which may wait for the layer, soon in the thread."""
        with self._changed:
            self._calls.append(function)
            self._changed.notify()

    # Called by the worker that has the batch.

    def attend(self, batch: HeldBatch, seconds: float) -> list[RunningAsync]:
        """Wait up to ``seconds`` for the consumers of a batch. The caller sends for those that it returns."""
        with self._changed:
            batch.finished = [run for run in self._ended if run.batch is batch]
            if batch.finished:
                self._ended = deque(run for run in self._ended if run.batch is not batch)
            batch.is_attended = batch.running > 0
        if batch.is_attended:
            batch.ended.wait(seconds)
        with self._changed:
            batch.is_attended, batch.is_left = False, True
            # They refer to the batch. If it referred to them, only the garbage collector could free them.
            finished, batch.finished = batch.finished, []
            batch.unsent -= len(finished)
            return finished

    def leave(self, batch: HeldBatch) -> bool:
        """Let the worker leave the batch. If this returns true, the batch is held, and ``release`` must follow.

        Otherwise only the worker's own part is left, and its next trip says that the batch is done.
        """
        with self._changed:
            is_held = batch.unsent > 1
            self.held += is_held
            return is_held

    def release(self, batch: HeldBatch, started: int) -> None:
        """Note that the worker's own part of the batch is done, and sent.

        Arguments:
            started: how many messages of the batch it has started.
        """
        with self._changed:
            batch.hold.done(*(place for place in range(started) if place not in batch.places))
            self._count_down(batch)

    def _count_down(self, batch: HeldBatch) -> None:
        batch.unsent -= 1
        if not batch.unsent:
            self._over.append(batch)
            self._changed.notify()

    # Called in the thread.

    def _run(self) -> None:
        unsettled: list[RunningAsync] = []
        while True:
            with self._changed:
                self._is_busy = bool(unsettled or self.senders.retrying)
            self._settled()  # not before: who is told looks at once whether this is at work
            with self._changed:
                while not (self._ended or self._over or self._calls or self._is_busy):
                    if self._is_stopping:
                        return
                    self._changed.wait()
                ended, self._ended = list(self._ended), deque()
                over, self._over = self._over, []
                calls, self._calls = self._calls, []
                self._is_busy = True
            for call in calls:
                self._make(call)
            unsettled += ended  # whatever happens, their batches end
            try:
                for run in ended:
                    self._collect(run)
                if unsettled or self.senders.retrying:
                    self._send()
                self._settle(unsettled)
                unsettled = []
                self._end(over)
            except LayerUnavailable as error:
                self._wait_out(error, over)
            except Exception:
                logger.exception("What asynchronous consumers sent could not be sent:")
                self._settle(unsettled)
                unsettled = []
                self._put_off(over, FAULT_PAUSE)

    def _make(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            logger.exception("A worker could not be woken. It looks by itself after a while:")

    def _collect(self, run: RunningAsync) -> None:
        if self._is_current(run.batch.hold):
            self.senders.add(run.unfinished.pending.deliveries, run.lease)
        elif run.unfinished.pending.deliveries:
            logger.error("What %s sent was dropped: its process had lapsed.", run.unfinished.name)

    def _send(self) -> None:
        if not self._is_current(self._hold):
            self.senders.own.drop()
            self._hold = self._new_hold()
            self.senders.own.taker = self._hold.taker
        self.senders.flush_others()
        try:
            self.senders.own.flush()
        except Lapsed:
            pass  # the sender has dropped them
        if self._backoff.succeed():
            log_return(self._layer)
        if self.senders.retrying:
            time.sleep(RETRY_PAUSE)

    def _settle(self, runs: Sequence[RunningAsync]) -> None:
        with self._changed:
            for run in runs:
                run.batch.hold.done(run.place)
                self._count_down(run.batch)

    def _end(self, batches: list[HeldBatch]) -> None:
        """Tell the layer that batches are done.

        Raises:
            LayerUnavailable: the layer does not answer. The batches that are left have to be ended again.
        """
        while batches:
            hold = batches[-1].hold
            if self._is_current(hold):
                try:
                    hold.end(self._layer)
                except Lapsed:
                    pass
                else:
                    if self._presence is not None:
                        self._presence.give_back(hold)
            batches.pop()
            with self._changed:
                self.held -= 1

    def _wait_out(self, error: LayerUnavailable, over: list[HeldBatch]) -> None:
        pause = self._backoff.fail()
        if self._backoff.is_news:
            log_outage(self._layer, error)
        self._put_off(over, pause)

    def _put_off(self, over: list[HeldBatch], seconds: float) -> None:
        """Wait before the ends of batches are told once more."""
        with self._changed:
            self._over += over
        time.sleep(seconds)

    def _new_hold(self) -> Hold:
        return Hold() if self._presence is None else self._presence.sender_hold()

    def _is_current(self, hold: Hold) -> bool:
        return self._presence is None or hold.process == self._presence.name
