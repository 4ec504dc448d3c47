"""``FairQueue``: the messages of many clients, taken in rounds of one message per client.

It does no I/O and reads no clock. Each ``Lane`` has one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, MutableSequence, Sequence

from channels_classic.layers import Delivery
from interface_server.backpressure import Amount
from interface_server.outcome import Outcome

ENTRY_BYTES = 512
"""Bytes that an entry counts besides its payload: roughly the memory of its objects."""


class Entry:
    """A message that waits for room in its channel.

    Arguments:
        queue: the queue of its client.
        delivery: the message.
        deadline: the time at which it has waited too long.
    """

    __slots__ = ("deadline", "delivery", "queue", "size")

    def __init__(self, queue: ClientQueue, delivery: Delivery, deadline: float) -> None:
        self.queue = queue
        self.delivery = delivery
        self.deadline = deadline
        self.size = ENTRY_BYTES + len(delivery.payload)
        """The bytes that it counts as."""


class ClientQueue:
    """The entries of one client, including those in a round trip to the layer.

    Arguments:
        most: the most that it holds; ``None`` if the caller enforces a bound.
        settled: called with the outcome of each entry, in the order in which they were put in.
    """

    __slots__ = ("has_left", "messages", "most", "settled", "size", "waiting")

    def __init__(self, most: Amount | None, settled: Callable[[Outcome], None]) -> None:
        # Nearly every client has few entries or none, and an empty deque takes 760 bytes.
        self.waiting: MutableSequence[Entry] = deque() if most is None else []
        """The entries that are in no round trip."""
        self.messages = 0
        self.size = 0
        self.has_left = False
        """Whether the client is gone, so that entries without room in their channel are dropped."""
        self.settled = settled
        self.most = most

    def remove(self, entry: Entry) -> None:
        """Forget an entry that was taken out."""
        self.messages -= 1
        self.size -= entry.size


class FairQueue:
    """The queues of all clients that have something to send to one channel."""

    def __init__(self) -> None:
        self._rotation: OrderedDict[ClientQueue, None] = OrderedDict()
        self.messages = 0
        """The number of entries that wait."""
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._rotation)

    def put(self, entry: Entry) -> bool:
        """Append an entry to its client's queue. Returns ``False`` if that would exceed the client's bounds."""
        queue, size = entry.queue, entry.size
        most = queue.most
        if most is not None and (queue.messages >= most.messages or queue.size + size > most.size):
            return False
        queue.messages += 1
        queue.size += size
        queue.waiting.append(entry)
        self._rotation[queue] = None  # a queue that has a place in the rotation keeps it
        self.messages += 1
        self.size += size
        return True

    def take(self, messages: int, size: int) -> list[Entry]:
        """Take entries, one of each client in rotation, within the bounds, but at least one.

        Arguments:
            messages: the most entries.
            size: the most bytes.
        """
        taken: list[Entry] = []
        rotation = self._rotation
        left = size
        while rotation and len(taken) < messages:
            queue, _ = rotation.popitem(last=False)
            waiting = queue.waiting
            entry = waiting[0]
            if entry.size > left and taken:
                rotation[queue] = None
                rotation.move_to_end(queue, last=False)
                break
            left -= entry.size
            taken.append(entry)
            del waiting[0]
            if waiting:
                rotation[queue] = None
        self.messages -= len(taken)
        self.size -= size - left
        return taken

    def put_back(self, taken: Sequence[Entry]) -> None:
        """Put entries that found no room back to where they were, so that they are the next ones.

        Arguments:
            taken: the entries, in the order of ``take``.
        """
        for entry in reversed(taken):
            queue = entry.queue
            queue.waiting.insert(0, entry)
            self._rotation[queue] = None
            self._rotation.move_to_end(queue, last=False)
            self.messages += 1
            self.size += entry.size

    def drop(self, queue: ClientQueue) -> list[Entry]:
        """Remove all entries of one client, and return them."""
        return self._take_while(queue, lambda entry: True)

    def take_overdue(self, now: float) -> list[Entry]:
        """Remove the entries whose deadline has passed, and return them, those of each client in their order."""
        overdue: list[Entry] = []
        for queue in list(self._rotation):
            overdue += self._take_while(queue, lambda entry: entry.deadline <= now)
        return overdue

    def _take_while(self, queue: ClientQueue, condition: Callable[[Entry], bool]) -> list[Entry]:
        taken: list[Entry] = []
        while queue.waiting and condition(queue.waiting[0]):
            taken.append(queue.waiting[0])
            del queue.waiting[0]
        if not queue.waiting:
            self._rotation.pop(queue, None)
        self.messages -= len(taken)
        self.size -= sum(entry.size for entry in taken)
        return taken
