"""Queues in memory: the entries that wait for each channel, within the capacity of the channel."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from channels_classic.layers import codec, names
from channels_classic.layers.memory.turns import Due
from channels_classic.layers.traffic import traffic
from channels_classic.layers.types import Received


class Entry(NamedTuple):
    """An entry of a queue: one message, for one channel, or for those members of a group that share the queue."""

    sent: float
    channels: tuple[str, ...]
    payload: bytes
    deliveries: int = 0
    """The number of workers that have taken it before and died with it."""

    @classmethod
    def of(cls, sent: float, channel: str, payload: bytes) -> Entry:
        """Make an entry for one channel."""
        return cls(sent, (channel,), payload)


class Queues:
    """The queues of all channels. They are used under the layer's lock.

    Arguments:
        expiry: seconds that an entry lives.
        capacity_of: gives the capacity of the queue of a channel.
    """

    def __init__(self, expiry: float, capacity_of: Callable[[str], int]) -> None:
        self._expiry = expiry
        self._capacity_of = capacity_of
        self._queues: dict[str, deque[Entry]] = {}
        self._paused: set[str] = set()
        self._sent: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._rotation = 0

    def __len__(self) -> int:
        return len(self._queues)

    def send(self, channel: str, entry: Entry) -> bool:
        """Append an entry for one channel. Returns false if its queue is full or the channel is paused."""
        queue = names.queue_name(channel)
        if channel in self._paused:
            self._refused[names.kind_name(queue)] += 1
            return False
        return self.append(queue, entry)

    def append(self, queue: str, entry: Entry) -> bool:
        """Append an entry to a queue. Returns whether there was room."""
        pending = self._queues.get(queue)
        if pending is None:
            pending = self._queues[queue] = deque()
        kind = names.kind_name(queue)
        if len(pending) >= self._capacity_of(entry.channels[0]):
            # Entries that were put back need not be sorted by age.
            oldest = entry.sent - self._expiry
            pending = self._queues[queue] = deque(waiting for waiting in pending if waiting.sent >= oldest)
            if len(pending) >= self._capacity_of(entry.channels[0]):
                self._refused[kind] += 1
                return False
        pending.append(entry)
        self._sent[kind] += 1
        return True

    def push(self, entry: Entry) -> None:
        """Append an entry to the queue of its channel, whether or not there is room."""
        queue = names.queue_name(entry.channels[0])
        self._queues.setdefault(queue, deque()).append(entry)
        self._sent[names.kind_name(queue)] += 1

    def send_to_members(self, members: Mapping[str, tuple[str, ...]], sent: float, payload: bytes) -> None:
        """Append one entry to each queue, for the members of a group that share it. Full queues are skipped."""
        for queue, channels in members.items():
            self.append(queue, Entry(sent, channels, payload))

    def put_in_front(self, entries: Sequence[Entry]) -> None:
        """Put entries back in front of their queues, so that the first of them comes out first."""
        for entry in reversed(entries):
            self._queues.setdefault(names.queue_name(entry.channels[0]), deque()).appendleft(entry)

    def put_due_in_front(self, due: Sequence[Due]) -> None:
        """Put messages that need not wait any longer for their turns in front of their channels."""
        now = time.monotonic()
        self.put_in_front([Entry.of(now, one.channel, one.payload) for one in due])

    def take(self, channels: list[str], limit: int) -> list[Received]:
        """Take up to ``limit`` entries out of queues. A busy queue does not starve the others."""
        now = time.monotonic()
        taken: list[Received] = []
        # Channels take turns, one message each, and another one is first at each call, so none starves.
        self._rotation += 1
        start = self._rotation % len(channels) if channels else 0
        sources = [channel for channel in channels[start:] + channels[:start] if channel in self._queues]
        while sources and limit > 0:
            for channel in list(sources):
                pending = self.fresh(channel, now)
                if not pending:
                    sources.remove(channel)
                elif limit > 0:
                    limit -= 1
                    entry = pending.popleft()
                    content = codec.unpack(entry.payload)
                    taken.extend(
                        Received(member, content, entry._replace(channels=(member,)), entry.deliveries + 1)
                        for member in entry.channels
                    )
                if not pending:
                    self._queues.pop(channel, None)
        return taken

    def fresh(self, queue: str, now: float) -> deque[Entry]:
        """The entries of a queue that have not expired."""
        pending = self._queues.get(queue, deque())
        while pending and pending[0].sent + self._expiry < now:
            pending.popleft()
            traffic.expired += 1
        return pending

    def pause(self, channels: Iterable[str]) -> None:
        """Make channels refuse entries."""
        self._paused.update(channels)

    def resume(self, channels: Iterable[str]) -> None:
        """End ``pause``."""
        self._paused.difference_update(channels)

    def totals(self) -> dict[str, int]:
        """The statistics over all channels."""
        return {"messages_count": self._sent.total(), "channel_full_count": self._refused.total()}

    def statistics(self, channel: str) -> dict[str, float]:
        """The statistics of one channel."""
        now = time.monotonic()
        pending = self.fresh(names.queue_name(channel), now)
        kind = names.kind_name(channel)
        return {
            "messages_count": self._sent[kind],
            "channel_full_count": self._refused[kind],
            "messages_pending": len(pending),
            "messages_max_age": now - pending[0].sent if pending else 0,
        }

    def drop(self, queue: str) -> None:
        """Drop a queue of a process, its pauses and its statistics."""
        self._queues.pop(queue, None)
        self._paused = {channel for channel in self._paused if not channel.startswith(queue)}
        del self._sent[queue], self._refused[queue]

    def forget(self, now: float) -> None:
        """Drop expired entries of queues that nobody uses any more."""
        for queue in list(self._queues):
            if not self.fresh(queue, now):
                self._queues.pop(queue, None)

    def clear(self) -> None:
        """Drop all."""
        self._paused.clear()
        self._queues.clear()
        self._sent.clear()
        self._refused.clear()
