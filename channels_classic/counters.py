"""``counters``: what this process has counted since it began.

They are plain numbers that are read when somebody asks: ``/metrics``, and the heartbeat. An addition has no call
and no jump in it, so the interpreter, which has a global lock, does not change threads in the middle.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from typing import Any, NamedTuple

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds of the histogram of the time that consumers take, in seconds."""

SHORTEST = BUCKETS[0]

MOST_CONSUMERS = 1000
"""So many consumers are told apart; the others are counted as one."""

OTHERS = "others"

ERRORS_KEPT = 10
"""The last errors of consumers, for people who look at the live view."""


class ConsumerError(NamedTuple):
    """A consumer raised something.

    Arguments:
        time: Unix time.
        consumer: its dotted name.
        kind: the name of the exception's class. Its text may hold what is nobody's business.
    """

    time: float
    consumer: str
    kind: str


class ConsumerCount:
    """What is counted of one consumer."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        """How many calls took at most the time of each bound, and more than that of the one before."""
        self.seconds = 0.0
        self.errors = 0

    def add(self, seconds: float) -> None:
        """It has run."""
        self.buckets[bisect_left(BUCKETS, seconds) if seconds > SHORTEST else 0] += 1
        self.seconds += seconds

    @property
    def calls(self) -> int:
        """How often it has run."""
        return sum(self.buckets)


class Counters:
    """What one process counts."""

    def __init__(self) -> None:
        # Between the process and its layer.
        self.sent = 0
        """Messages that the layer has taken."""
        self.received = 0
        """Messages that a worker has begun to handle, and those that came for clients."""
        self.full = 0
        """Messages that the layer refused, because their channel was full; once more for each further try."""
        self.broadcasts = 0
        """Messages to groups, of those sent."""
        self.pauses = 0
        """How often something that had failed was put off by a back-off."""
        # Of clients.
        self.delivered = 0
        """Messages handed to clients that were there; one to a group counts for each member."""
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
        """What is counted of a consumer, by its dotted name."""
        count = self.consumers.get(name)
        if count is None:
            if len(self.consumers) >= MOST_CONSUMERS:
                name = OTHERS
            count = self.consumers.setdefault(name, ConsumerCount())
        return count

    def note_error(self, name: str, error: BaseException) -> None:
        """A consumer raised something that it should not."""
        self.consumer(name).errors += 1
        self.errors.append(ConsumerError(time.time(), name, type(error).__name__))

    def summary(self) -> dict[str, Any]:
        """The numbers that a process publishes with its heartbeat, for the live views: small, and plain values."""
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
