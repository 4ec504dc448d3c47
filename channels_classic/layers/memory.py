"""The channel layer of one process: for development, for tests, and for a first look."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from channels_classic.layers import codec, names
from channels_classic.layers.base import BaseChannelLayer, Delivery, Received
from channels_classic.layers.turns import Due, TurnTable, may_run
from channels_classic.layers.values import ValueTable


class _Entry(NamedTuple):
    """What a queue holds: one message, for one channel or for those of a group that share the queue."""

    sent: float
    channels: tuple[str, ...]
    payload: bytes


class InMemoryChannelLayer(BaseChannelLayer):
    """Keeps everything in this process; any of its threads and event loops may use it.

    Takes the keywords of ``BaseChannelLayer``. Waiting costs nothing: who waits is woken by who sends.
    """

    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, "ordering", "values"]
    local_only: ClassVar[bool] = True

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._lock = threading.Lock()
        self._arrival = threading.Condition(self._lock)
        self._loops_waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._queues: dict[str, deque[_Entry]] = {}
        self._groups: dict[str, dict[str, float]] = {}
        self._memberships: dict[str, set[str]] = {}
        self._paused: set[str] = set()
        self._sent: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._turn = 0
        self._turns = TurnTable(self.expiry, self.group_expiry)
        self._values = ValueTable()
        self._next_sweep = time.monotonic() + self.expiry

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it."""
        full: list[int] = []
        refusing: set[str] = set()
        now = time.monotonic()
        with self._lock:
            if now > self._next_sweep:
                self._sweep(now)
            for position, delivery in enumerate(deliveries):
                if delivery.turn_end is not None:
                    self._put_in_front(self._turns.end(delivery.name, delivery.turn_end))
                    continue
                if delivery.to_group:
                    for queue, channels in self._members_by_queue(delivery.name, now).items():
                        self._append(queue, _Entry(now, channels, delivery.payload))
                    continue
                queue = names.queue_name(delivery.name)
                entry = _Entry(now, (delivery.name,), delivery.payload)
                if delivery.name in self._paused:
                    full.append(position)
                elif queue in refusing or not self._append(queue, entry):
                    refusing.add(queue)
                    full.append(position)
            self._wake_all()
        return full

    def receive_batch(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        """As the contract has it."""
        channels = self.check_channels(channels)
        taken: list[Received] = []

        def take() -> bool:
            taken.extend(self._take(channels, limit))
            return bool(taken)

        with self._arrival:
            if not take() and timeout:
                self._arrival.wait_for(take, timeout)
        return taken

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it; never waits."""
        return self.send_batch(deliveries)

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As the contract has it."""
        channels = self.check_channels(channels)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            with self._lock:
                taken = self._take(channels, limit)
                if taken or loop.time() >= deadline:
                    return taken
                arrival = loop.create_future()
                self._loops_waiting.append((loop, arrival))
            wake_up = loop.call_at(deadline, _wake, arrival)
            try:
                await arrival
            finally:
                wake_up.cancel()
                with self._lock:
                    if (loop, arrival) in self._loops_waiting:
                        self._loops_waiting.remove((loop, arrival))

    def give_back(self, batch: Sequence[Received]) -> None:
        """As the contract has it."""
        with self._lock:
            for received in reversed(batch):
                queue = names.queue_name(received.channel)
                self._queues.setdefault(queue, deque()).appendleft(received.receipt)
            self._wake_all()

    def group_add(self, group: str, channel: str) -> None:
        """As the contract has it."""
        names.check_group(group)
        names.check_channel(channel)
        with self._lock:
            self._groups.setdefault(group, {})[channel] = time.monotonic() + self.group_expiry
            self._memberships.setdefault(channel, set()).add(group)

    def group_discard(self, group: str, channel: str) -> None:
        """As the contract has it."""
        names.check_group(group)
        names.check_channel(channel)
        with self._lock:
            self._leave(group, channel)

    def group_channels(self, group: str) -> list[str]:
        """As the contract has it."""
        names.check_group(group)
        with self._lock:
            return self._members(group, time.monotonic())

    def release(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        channels = list(channels)
        with self._lock:
            for channel in channels:
                for group in list(self._memberships.get(channel, ())):
                    self._leave(group, channel)
            self._put_in_front(self._turns.release(channels))
            self._wake_all()

    async def arelease(self, channels: Iterable[str]) -> None:
        """As the contract has it; never waits."""
        self.release(channels)

    def enter_turn(
        self,
        reply_channel: str,
        order: int,
        channel: str,
        message: dict[str, Any],
        slight: bool = False,
        token: str = "",
    ) -> bool:
        """As the contract has it."""
        self.check_turn(order, channel)
        due = Due(channel, codec.pack(message))
        with self._lock:
            verdict, back = self._turns.enter(reply_channel, order, slight, due, token)
            if back:
                self._put_in_front(back)
                self._wake_all()
        return may_run(verdict, reply_channel, order, channel)

    def suspend_turn(self, reply_channel: str, order: int, token: str = "") -> None:
        """As the contract has it."""
        with self._lock:
            self._turns.suspend(reply_channel, order, token)

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """As the contract has it."""
        with self._lock:
            return self._values.get(name)

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """As the contract has it."""
        with self._lock:
            return self._values.set(name, value, seconds, replace)

    def keep_value(self, name: str, seconds: float) -> None:
        """As the contract has it."""
        with self._lock:
            self._values.keep(name, seconds)

    def delete_value(self, name: str) -> None:
        """As the contract has it."""
        with self._lock:
            self._values.delete(name)

    def pause(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        with self._lock:
            self._paused.update(channels)

    async def apause(self, channels: Iterable[str]) -> None:
        """As the contract has it; never waits."""
        self.pause(channels)

    def resume(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        with self._lock:
            self._paused.difference_update(channels)

    async def aresume(self, channels: Iterable[str]) -> None:
        """As the contract has it; never waits."""
        self.resume(channels)

    def flush(self) -> None:
        """As the contract has it."""
        with self._lock:
            self._paused.clear()
            self._turns.clear()
            self._values.clear()
            self._queues.clear()
            self._groups.clear()
            self._memberships.clear()
            self._sent.clear()
            self._refused.clear()

    def global_statistics(self) -> dict[str, int]:
        """As the contract has it."""
        with self._lock:
            return {"messages_count": self._sent.total(), "channel_full_count": self._refused.total()}

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """As the contract has it."""
        names.check_channel(channel)
        now = time.monotonic()
        with self._lock:
            pending = self._fresh(names.queue_name(channel), now)
            kind = names.kind_name(channel)
            return {
                "messages_count": self._sent[kind],
                "channel_full_count": self._refused[kind],
                "messages_pending": len(pending),
                "messages_max_age": now - pending[0].sent if pending else 0,
            }

    # All below runs under the lock.

    def _wake_all(self) -> None:
        self._arrival.notify_all()
        waiting, self._loops_waiting = self._loops_waiting, []
        for loop, arrival in waiting:
            try:
                loop.call_soon_threadsafe(_wake, arrival)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                pass

    def _append(self, queue: str, entry: _Entry) -> bool:
        pending = self._queues.get(queue)
        if pending is None:
            pending = self._queues[queue] = deque()
        kind = names.kind_name(queue)
        if len(pending) >= self.capacity_of(entry.channels[0]):
            pending = self._queues[queue] = self._fresh(queue, entry.sent)
            if len(pending) >= self.capacity_of(entry.channels[0]):
                self._refused[kind] += 1
                return False
        pending.append(entry)
        self._sent[kind] += 1
        return True

    def _put_in_front(self, back: Sequence[Due]) -> None:
        now = time.monotonic()
        for due in reversed(back):
            entry = _Entry(now, (due.channel,), due.payload)
            self._queues.setdefault(due.channel, deque()).appendleft(entry)

    def _take(self, channels: list[str], limit: int) -> list[Received]:
        now = time.monotonic()
        taken: list[Received] = []
        # One message of each channel in turn, and another channel first each time: so none starves.
        self._turn += 1
        start = self._turn % len(channels) if channels else 0
        sources = [channel for channel in channels[start:] + channels[:start] if channel in self._queues]
        while sources and limit > 0:
            for channel in list(sources):
                pending = self._fresh(channel, now)
                if not pending:
                    sources.remove(channel)
                elif limit > 0:
                    limit -= 1
                    entry = pending.popleft()
                    content = codec.unpack(entry.payload)
                    taken.extend(
                        Received(member, content, _Entry(entry.sent, (member,), entry.payload))
                        for member in entry.channels
                    )
                if not pending:
                    self._queues.pop(channel, None)
        return taken

    def _fresh(self, queue: str, now: float) -> deque[_Entry]:
        pending = self._queues.get(queue, deque())
        while pending and pending[0].sent + self.expiry < now:
            pending.popleft()
        return pending

    def _members(self, group: str, now: float) -> list[str]:
        members = self._groups.get(group, {})
        for channel in [channel for channel, until in members.items() if until < now]:
            self._leave(group, channel)
        return list(members)

    def _members_by_queue(self, group: str, now: float) -> dict[str, tuple[str, ...]]:
        by_queue: dict[str, list[str]] = {}
        for channel in self._members(group, now):
            by_queue.setdefault(names.queue_name(channel), []).append(channel)
        return {queue: tuple(channels) for queue, channels in by_queue.items()}

    def _leave(self, group: str, channel: str) -> None:
        members = self._groups.get(group, {})
        if members.pop(channel, None) is None:
            return
        if not members:
            del self._groups[group]
        joined = self._memberships[channel]
        joined.remove(group)
        if not joined:
            del self._memberships[channel]

    def _sweep(self, now: float) -> None:
        """Drop what expired where nobody looks any more, so that it does not add up."""
        self._next_sweep = now + self.expiry
        for queue in list(self._queues):
            if not self._fresh(queue, now):
                self._queues.pop(queue, None)
        for group in list(self._groups):
            self._members(group, now)
        self._turns.forget()
        self._values.forget()


def _wake(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_result(None)
