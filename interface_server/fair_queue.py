"""``FairQueue``: what many clients have to send, in rounds of one entry each.

It does no I/O and looks at no clock: ``Outbox`` has one for each channel.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from channels_classic.layers import Delivery
from interface_server.backpressure import Amount
from interface_server.outcome import Outcome

ENTRY_BYTES = 512
"""What an entry counts besides its payload: about what its objects take in memory."""


class Entry(NamedTuple):
    """A message that waits for room in its channel.

    Arguments:
        deadline: when it has waited too long.
        size: the bytes that it counts.
    """

    delivery: Delivery
    deadline: float
    size: int

    @classmethod
    def of(cls, delivery: Delivery, deadline: float) -> Entry:
        """The entry for a message."""
        return cls(delivery, deadline, ENTRY_BYTES + len(delivery.payload))


class ClientQueue:
    """The entries of one client, those in a round trip to the layer included.

    Arguments:
        most: what it takes at the most; ``None`` where the caller sees to that.
        settled: called with what became of each entry, in the order in which they were put in.
    """

    __slots__ = ("_most", "has_left", "messages", "settled", "size", "waiting")

    def __init__(self, most: Amount | None, settled: Callable[[Outcome], None]) -> None:
        self.waiting: deque[Entry] = deque()
        """Those that are in no round trip."""
        self.messages = 0
        self.size = 0
        self.has_left = False
        """Whether the client is gone: what finds no room is dropped."""
        self.settled = settled
        self._most = most

    def takes(self, size: int) -> bool:
        """Whether an entry that counts ``size`` bytes is within the bounds."""
        most = self._most
        return most is None or (self.messages < most.messages and self.size + size <= most.size)

    def remove(self, entry: Entry) -> None:
        """An entry that was taken out is done with."""
        self.messages -= 1
        self.size -= entry.size


Taken = tuple[ClientQueue, Entry]


class FairQueue:
    """The queues of all clients that have something to send over one channel."""

    def __init__(self) -> None:
        self._rotation: OrderedDict[ClientQueue, None] = OrderedDict()
        self.messages = 0
        """How many entries wait."""
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._rotation)

    def put(self, queue: ClientQueue, entry: Entry) -> bool:
        """Add an entry at the end of its client's queue; ``False`` if that would exceed the client's bounds."""
        size = entry.size
        if not queue.takes(size):
            return False
        queue.messages += 1
        queue.size += size
        queue.waiting.append(entry)
        self._rotation[queue] = None  # which keeps its place if it has one
        self.messages += 1
        self.size += size
        return True

    def take(self, messages: int, size: int) -> list[Taken]:
        """Take entries out: one of each client in rotation, within the bounds, but at least one.

        Arguments:
            messages: how many at most.
            size: how many bytes at most.
        """
        taken: list[Taken] = []
        while self._rotation and len(taken) < messages:
            queue = next(iter(self._rotation))
            size -= queue.waiting[0].size
            if size < 0 and taken:
                break
            taken.append((queue, self._pop(queue)))
            if queue.waiting:
                self._rotation.move_to_end(queue)
            else:
                del self._rotation[queue]
        return taken

    def put_back(self, taken: Iterable[Taken]) -> None:
        """Put entries that found no room back where they were taken from, to be the next ones.

        Arguments:
            taken: in the order of ``take``.
        """
        for queue, entry in reversed(list(taken)):
            queue.waiting.appendleft(entry)
            self._rotation[queue] = None
            self._rotation.move_to_end(queue, last=False)
            self.messages += 1
            self.size += entry.size

    def drop(self, queue: ClientQueue) -> list[Entry]:
        """Take all entries of one client out."""
        dropped = []
        while queue.waiting:
            dropped.append(self._pop(queue))
        self._rotation.pop(queue, None)
        return dropped

    def take_overdue(self, now: float) -> list[Taken]:
        """Take the entries out whose deadline has passed; those of a client have passed from its first one on."""
        overdue: list[Taken] = []
        for queue in list(self._rotation):
            while queue.waiting and queue.waiting[0].deadline <= now:
                overdue.append((queue, self._pop(queue)))
            if not queue.waiting:
                del self._rotation[queue]
        return overdue

    def _pop(self, queue: ClientQueue) -> Entry:
        entry = queue.waiting.popleft()
        self.messages -= 1
        self.size -= entry.size
        return entry
