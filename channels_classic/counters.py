"""``counters``: the numbers that this process has counted since its start.

They are plain numbers, which ``/metrics`` and the heartbeat read. An addition has no call and no jump in it, so an
interpreter with a global lock does not switch threads in the middle.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from typing import Any, NamedTuple

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds, in seconds, of the histogram of consumers' durations."""

SHORTEST = BUCKETS[0]

MOST_CONSUMERS = 1000
"""The number of consumers that are counted separately. All others are counted together."""

OTHERS = "others"

ERRORS_KEPT = 10
"""The number of consumers' last errors that the live view shows."""


class ConsumerError(NamedTuple):
    """An error of a consumer.

    Arguments:
        time: the Unix time.
        consumer: the dotted name of the consumer.
        kind: the name of the exception's class. Its text is not kept, because it may have confidential data.
    """

    time: float
    consumer: str
    kind: str


class ConsumerCount:
    """The counters of one consumer."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        """For each bound, the number of calls that took at most this time, and more than the bound before."""
        self.seconds = 0.0
        self.errors = 0

    def add(self, seconds: float) -> None:
        """Count a call that took ``seconds``."""
        self.buckets[bisect_left(BUCKETS, seconds) if seconds > SHORTEST else 0] += 1
        self.seconds += seconds

    @property
    def calls(self) -> int:
        """The number of calls."""
        return sum(self.buckets)


class Counters:
    """The counters of one process."""

    def __init__(self) -> None:
        # Traffic between the process and its layer.
        self.sent = 0
        """Messages that the layer has taken."""
        self.received = 0
        """Messages that workers have begun to handle, and messages that came for clients."""
        self.full = 0
        """Messages that the layer refused because their channel was full. Each further attempt counts again."""
        self.broadcasts = 0
        """Sent messages that were for groups."""
        self.pauses = 0
        """Pauses of a back-off after failures."""
        # Of clients.
        self.delivered = 0
        """Messages handed to connected clients. A message to a group counts for each member."""
        self.sockets = 0
        """WebSockets that are open."""
        self.accepted = 0
        self.rejected = 0
        self.closed: Counter[int] = Counter()
        """WebSockets that have ended, by their close codes."""
        self.responses: Counter[int] = Counter()
        """HTTP responses by status."""
        # Of consumers.
        self.consumers: dict[str, ConsumerCount] = {}
        self.errors: deque[ConsumerError] = deque(maxlen=ERRORS_KEPT)
        # Of sweeps that this process has carried out.
        self.swept = 0
        """Processes that had died."""
        self.redelivered = 0
        """Messages that they had taken and that were given to others."""
        self.lost = 0
        """Messages that were running in them and do not run again."""
        self.dead_letters = 0
        """Messages that became dead letters."""

    def consumer(self, name: str) -> ConsumerCount:
        """The counters of a consumer, by its dotted name."""
        count = self.consumers.get(name)
        if count is None:
            if len(self.consumers) >= MOST_CONSUMERS:
                name = OTHERS
            count = self.consumers.setdefault(name, ConsumerCount())
        return count

    def note_error(self, name: str, error: BaseException) -> None:
        """Count and remember an unexpected error of a consumer."""
        self.consumer(name).errors += 1
        self.errors.append(ConsumerError(time.time(), name, type(error).__name__))

    def summary(self) -> dict[str, Any]:
        """The numbers that a process publishes with its heartbeat, for the live views: a few plain values."""
        slowest = sorted(self.consumers.copy().items(), key=lambda item: item[1].seconds, reverse=True)
        return {
            "at": time.time(),
            "sockets": self.sockets,
            "sent": self.sent,
            "received": self.received,
            "full": self.full,
            "consumers": {name: [count.calls, count.seconds, count.errors] for name, count in slowest[:10]},
            "errors": [list(error) for error in self.errors.copy()],
        }


counters = Counters()
"""Of this process."""
