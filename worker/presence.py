"""The presence of a worker process in the registry of its layer, so that others can take over if it dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from channels_classic.layers import BaseChannelLayer, Lapsed, LayerUnavailable, Lease, Process
from channels_classic.layers.names import random_part
from channels_classic.layers.takers import Taker, taker_name
from channels_classic.log import logger
from channels_classic.processes.heartbeat import Describe, Heartbeat, channel_and_path, new_process
from channels_classic.processes.journal import Journal
from worker.hold import Hold
from worker.strangers import site, tell_of_strangers


class Hand:
    """Takes messages for one worker thread, for as long as the process keeps its name.

    Arguments:
        heartbeat: the heartbeat of the process; ``None`` if the layer does not keep in-flight messages.
        hold: the taker of the layer, with its page of the journal.
    """

    def __init__(self, heartbeat: Heartbeat | None = None, hold: Hold | None = None) -> None:
        self._heartbeat = heartbeat
        self.hold = hold or Hold()
        """The hold that has the batch. It is replaced for the next batch if this one is held."""
        self.wake_channel = f"{self.taker.name if self.taker else f'worker.{random_part()}'}!"
        """The channel that wakes the worker: a message to it ends the wait for messages."""
        self.is_over = False
        """Whether the process has lapsed, as far as it knows."""

    @property
    def taker(self) -> Taker | None:
        """The taker of the layer, if there is one."""
        return self.hold.taker

    @property
    def process(self) -> str:
        """The name of the process; empty if the layer does not keep in-flight messages."""
        return self.hold.process

    def confirm(self) -> None:
        """See ``fencing.Actor``. If the layer does not answer, nobody can take over either."""
        if self._heartbeat is None or self.is_valid:
            return
        try:
            self._heartbeat.confirm(self.process)
        except LayerUnavailable:
            return
        if self._heartbeat.process.name != self.process:
            raise Lapsed(self.process)

    @property
    def is_valid(self) -> bool:
        """Whether it is certain that nobody has declared the process dead."""
        return self._heartbeat is None or (not self.is_over and time.monotonic() < self._heartbeat.valid_until)

    def begin(self) -> None:
        """Note that a batch has come."""
        self.hold.begin()

    def start(self) -> float | None:
        """Note that the next message starts.

        Returns:
            The time, by ``time.monotonic``; ``None`` if the message must not start, because the process may have
            been declared dead.
        """
        if self._heartbeat is None:
            return time.monotonic()
        page = self.hold.page
        # The note comes first, so that a sweep does not give away a message that is about to run.
        if page is not None:
            page.start()
        now = time.monotonic()
        # The order matters: a heartbeat under a new name ends this hand before it renews the time.
        if now < self._heartbeat.valid_until and not self.is_over:
            return now
        if page is not None:
            page.take_back()
        return None


class Presence:
    """A worker process in the registry of its layer: its name, heartbeat and journal, and a hand for each thread.

    Arguments:
        layer: a channel layer with the extension "processes".
        threads: the number of workers in the process.
        spare: how many batches may be held, besides those of the workers.
        details: the details for the registry.
        leases: gives the leases of turns that run, or whose ends have not been sent.
        describe: makes a text about a lost message, for the log.
        lapsed: called when the process has lapsed, before it goes on under a new name.
        registered: called with the process each time that it has a new name.
    """

    def __init__(
        self,
        layer: BaseChannelLayer,
        threads: int,
        spare: int = 0,
        details: Callable[[], dict[str, Any]] = dict,
        leases: Callable[[], Sequence[Lease]] = tuple,
        describe: Describe = channel_and_path,
        lapsed: Callable[[], None] = lambda: None,
        registered: Callable[[Process], None] = lambda process: None,
    ) -> None:
        self._layer = layer
        self._threads = threads
        self._takers = threads + spare + 1
        self._lock = threading.Lock()
        self._details = details
        self._lapsed = lapsed
        self._registered = registered
        self._journal: Journal | None = None
        self._leases = leases
        self._heartbeat = Heartbeat(
            layer,
            self._new_process(),
            self._on_lapse,
            self._on_beat,
            describe,
            partial(tell_of_strangers, layer),
            self._done,
        )
        self._renew(self._new_holds(self._heartbeat.process))

    @property
    def name(self) -> str:
        """The present name of the process."""
        return self._heartbeat.process.name

    @property
    def thread(self) -> threading.Thread:
        """The thread of the heartbeat."""
        return self._heartbeat.thread

    def start(self) -> None:
        """Start the heartbeat, and open the journal. A process that never starts leaves no file behind."""
        holds = [*(hand.hold for hand in self._hands), self._sender_hold, *self._spare]
        self._heartbeat.process = self._open_journal(self._heartbeat.process, holds)
        self._heartbeat.start()

    def stop(self, timeout: float, departs: bool = True) -> None:
        """Leave the registry, because the process ends normally.

        Arguments:
            timeout: seconds to wait for a heartbeat that is under way.
            departs: whether no worker has messages any more that it has not started.
        """
        has_left = self._heartbeat.stop(timeout, departs)
        if has_left and self._journal is not None:  # otherwise a sweep has to read it
            self._journal.remove()

    def hand(self, number: int) -> Hand:
        """The hand of a worker thread, under the present name of the process."""
        return self._hands[number]

    def sender_hold(self) -> Hold:
        """The hold that sends for asynchronous consumers, under the present name of the process."""
        return self._sender_hold

    def take_spare(self, held: Hold) -> Hold | None:
        """A hold for the next batch while the last one is held; ``None`` if the process has lapsed since."""
        with self._lock:
            return self._spare.pop() if held.process == self._sender_hold.process else None

    def give_back(self, hold: Hold) -> None:
        """Return a hold whose held batch is done."""
        with self._lock:
            if hold.process == self._sender_hold.process:
                self._spare.append(hold)

    def confirm(self, hand: Hand) -> None:
        """Make sure that the process is in the registry: under its name or, if it has lapsed, under a new one.

        Arguments:
            hand: the hand of the caller. It has ended if the method ``hand`` returns another one after this.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        if hand.taker is not None:
            self._heartbeat.confirm(hand.taker.process)

    def open_answer(self, reply_channel: str) -> str:
        """Note that a streaming answer begins. Returns the name that ``close_answer`` needs."""
        process = self.name
        try:
            self._layer.open_answer(process, reply_channel)
        except LayerUnavailable as error:
            logger.warning("If this process dies, a client may wait in vain for the rest of its answer. %s", error)
        return process

    def close_answer(self, process: str, reply_channel: str) -> None:
        """Note that a streaming answer has ended."""
        try:
            self._layer.close_answer(process, reply_channel)
        except LayerUnavailable:
            pass  # it is removed with the process

    def _on_beat(self) -> Sequence[Lease]:
        if self._journal is not None:
            self._journal.keep()
        return self._leases()

    def _done(self) -> dict[str, Any]:
        """Tell the layer what is done of held batches, because nobody can read the journal if the host dies."""
        pages = self._journal.pages if self._journal is not None else ()
        told = {number: page.done_messages for number, page in enumerate(pages)}
        process = self._heartbeat.process.name
        return {"done": {taker_name(process, number): one for number, one in told.items() if one[1]}}

    def _on_lapse(self) -> Process:
        if self._journal is not None:
            self._journal.remove()
        for hand in self._hands:
            hand.is_over = True
        process = self._new_process()
        self._lapsed()
        holds = self._new_holds(process)
        process = self._open_journal(process, holds)
        self._renew(holds)
        return process

    def _new_process(self) -> Process:
        return new_process("worker", threads=self._threads, site=site(), **self._details())

    def _new_holds(self, process: Process) -> list[Hold]:
        return [Hold(self._layer.taker(process.name, number)) for number in range(self._takers)]

    def _renew(self, holds: Sequence[Hold]) -> None:
        with self._lock:
            self._hands = [Hand(self._heartbeat, hold) for hold in holds[: self._threads]]
            self._sender_hold, *self._spare = holds[self._threads :]

    def _open_journal(self, process: Process, holds: Sequence[Hold]) -> Process:
        """Open the journal of a process, and give each hold its page. Returns the process to register."""
        self._journal = None
        try:
            self._journal = Journal(process.name, self._takers)
        except OSError as error:
            logger.error("Without a journal, all that this process has in hand is lost if it is killed. %s", error)
        else:
            for hold, page in zip(holds, self._journal.pages, strict=True):
                hold.page = page
            process = process._replace(details={**process.details, "journal": self._journal.path})
        self._registered(process)
        return process
