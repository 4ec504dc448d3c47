"""The process-specific channels of this process: one reader for all, and a mailbox for each.

A task that waits for a message on such a channel keeps the reader of its queue running, in an event loop with a
waiting task. The reader ends when no task waits. So no task outlives its event loop, and nothing has to be closed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from channels_classic.layers import Received, names
from channels_classic.log import logger

WAIT_SECONDS = 60.0
"""Seconds that one call waits for messages. Then it is repeated."""

Message = dict[str, Any]
Waiter = asyncio.Future[Message]


@dataclass
class Mailbox:
    """One channel, with its messages, or with the tasks that wait for messages; never both."""

    messages: deque[tuple[float, Message]] = field(default_factory=deque)
    """The messages, each with the time after which it is not delivered any more."""
    waiters: deque[Waiter] = field(default_factory=deque)
    is_full: bool = False
    """Whether a message was dropped since the mailbox was last empty."""


@dataclass(eq=False)
class Reader:
    """The task that receives from a queue at the moment, and its event loop."""

    loop: asyncio.AbstractEventLoop


class Queue:
    """A queue and the mailboxes of its channels.

    Arguments:
        name: the name of the queue: the part of its channels up to the ``!``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.boxes: dict[str, Mailbox] = {}
        self.reader: Reader | None = None

    def waiting_loop(self) -> asyncio.AbstractEventLoop | None:
        """An event loop with a waiting task, if there is one."""
        for box in self.boxes.values():
            for waiter in box.waiters:
                if not waiter.get_loop().is_closed():
                    return waiter.get_loop()
        return None


class Mailboxes:
    """Hands received messages out. Threads and event loops share it.

    Arguments:
        receive: waits up to the given seconds for the next messages of a queue. It asks its last argument whether
            anybody still waits for them.
        capacity_of: gives the capacity of a channel.
        expiry: seconds that a message is kept.
    """

    def __init__(
        self,
        receive: Callable[[str, float, Callable[[], bool]], Awaitable[list[Received]]],
        capacity_of: Callable[[str], int],
        expiry: float,
    ) -> None:
        self._receive = receive
        self._capacity_of = capacity_of
        self._expiry = expiry
        self._lock = threading.RLock()
        self._queues: dict[str, Queue] = {}
        self._next_sweep = time.monotonic() + expiry

    async def receive(self, channel: str) -> Message:
        """Wait for the next message of a process-specific channel."""
        name = names.queue_name(channel)
        with self._lock:
            queue = self._queues.setdefault(name, Queue(name))
            box = queue.boxes.setdefault(channel, Mailbox())
            while box.messages:
                expires, message = box.messages.popleft()
                box.is_full = False
                if expires >= time.monotonic():
                    return message
            waiter: Waiter = asyncio.get_running_loop().create_future()
            box.waiters.append(waiter)
            self._see_to_reader(queue)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave(queue, channel, waiter)
            raise

    async def look(self, channel: str) -> None:
        """Take what is in the queue of a channel, unless a reader does.

        A process learns its memberships through its queue. Entries that nobody reads would take room from
        messages.
        """
        with self._lock:
            queue = self._queues.setdefault(names.queue_name(channel), Queue(names.queue_name(channel)))
            if queue.reader is not None and queue.reader.loop.is_running():
                return
        batch = await self._receive(queue.name, 0, lambda: True)
        with self._lock:
            self._put_all(queue, batch)

    def forget(self) -> None:
        """Drop all messages."""
        with self._lock:
            for queue in self._queues.values():
                for box in queue.boxes.values():
                    box.messages.clear()

    def _leave(self, queue: Queue, channel: str, waiter: Waiter) -> None:
        """Handle a cancelled waiter. If it has a message already, the next waiter gets it."""
        with self._lock:
            box = queue.boxes.get(channel)
            if box is not None and waiter in box.waiters:
                box.waiters.remove(waiter)
                self._drop_empty(queue, channel, box)
            elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._put(queue, channel, waiter.result(), first=True)

    # Incoming messages.

    def _put_all(self, queue: Queue, batch: list[Received]) -> None:
        for received in batch:
            self._put(queue, received.channel, received.content)
        self._sweep()

    def _put(self, queue: Queue, channel: str, message: Message, *, first: bool = False) -> None:
        box = queue.boxes.setdefault(channel, Mailbox())
        while box.waiters:
            waiter = box.waiters.popleft()
            loop = waiter.get_loop()
            if loop.is_closed() or waiter.done():
                continue
            if loop is _running_loop():
                waiter.set_result(message)
            else:
                try:
                    loop.call_soon_threadsafe(self._give, queue, channel, waiter, message)
                except RuntimeError:  # the event loop was closed just now
                    continue
            self._drop_empty(queue, channel, box)
            return
        entry = (time.monotonic() + self._expiry, message)
        if first:
            box.messages.appendleft(entry)
        elif len(box.messages) < self._capacity_of(channel):
            box.messages.append(entry)
        elif not box.is_full:
            box.is_full = True
            logger.warning(
                "Messages for %r are dropped: %d wait for its consumer already.", channel, len(box.messages)
            )

    def _give(self, queue: Queue, channel: str, waiter: Waiter, message: Message) -> None:
        """Give a message to a waiter in this event loop, unless it was cancelled meanwhile."""
        if waiter.done():
            with self._lock:
                self._put(queue, channel, message, first=True)
        else:
            waiter.set_result(message)

    def _drop_empty(self, queue: Queue, channel: str, box: Mailbox) -> None:
        if not (box.waiters or box.messages):
            queue.boxes.pop(channel, None)

    def _sweep(self) -> None:
        """Drop the messages that nobody asked for in time, such as those of consumers that have ended."""
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + self._expiry
        for queue in self._queues.values():
            for channel, box in list(queue.boxes.items()):
                while box.messages and box.messages[0][0] < now:
                    box.messages.popleft()
                self._drop_empty(queue, channel, box)

    # The reader.

    def _see_to_reader(self, queue: Queue) -> None:
        """Start a reader of the queue, if a task waits and there is no reader."""
        # A reader whose event loop was closed, or has just ended, does nothing.
        if queue.reader is not None and queue.reader.loop.is_running():
            return
        loop = queue.waiting_loop()
        queue.reader = reader = None if loop is None else Reader(loop)
        if reader is None:
            return
        if reader.loop is _running_loop():
            self._start(queue, reader)
        else:
            reader.loop.call_soon_threadsafe(self._start, queue, reader)

    def _start(self, queue: Queue, reader: Reader) -> None:
        # It has a context of its own, because it belongs to no particular caller.
        task = reader.loop.create_task(self._read(queue, reader), context=Context())
        task.add_done_callback(lambda task: self._ended(queue, reader, task))

    async def _read(self, queue: Queue, reader: Reader) -> None:
        while True:
            with self._lock:
                if queue.reader is not reader:
                    return
                if queue.waiting_loop() is None:
                    queue.reader = None
                    return
            batch = await self._receive(queue.name, WAIT_SECONDS, lambda: queue.waiting_loop() is not None)
            with self._lock:
                self._put_all(queue, batch)
            # Tasks that have got a message may ask for another one before this checks whether they do.
            await asyncio.sleep(0)

    def _ended(self, queue: Queue, reader: Reader, task: asyncio.Task[None]) -> None:
        """Handle the end of a reader: pass its error to the waiters of its loop, and let another loop go on."""
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            return
        with self._lock:
            for box in queue.boxes.values():
                for waiter in [waiter for waiter in box.waiters if waiter.get_loop() is reader.loop]:
                    box.waiters.remove(waiter)
                    if waiter.done():
                        continue
                    if error is None:
                        waiter.cancel()
                    else:
                        waiter.set_exception(error)
            if queue.reader is reader:
                queue.reader = None
                self._see_to_reader(queue)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
