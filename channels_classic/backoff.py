"""Back-off: growing pauses before something that failed is tried again."""

from __future__ import annotations

import random

from channels_classic.counters import counters

SHORTEST_PAUSE = 0.1
"""Seconds before the first retry."""

LONGEST_PAUSE = 0.4
"""Seconds; the longest time until a server that is back is noticed, however long it was away.

Several pauses may add up: an interface server has to find an empty Redis and tell it its members, before a worker
may send to them. All together has to stay below 1.5 seconds. A process has a few connections, however many clients
it has, so a server that comes back meets a few new connections per process within this time.
"""

LOG_EVERY = 200
"""Failures in a row for each line in the log: with the longest pause about a minute."""


# Not the module's own functions: the numbers of a project that seeds them must not depend on how often we retry.
_dice = random.SystemRandom()


class Backoff:
    """Pauses that double with each failure in a row, up to a bound.

    A random part keeps many processes that lost the same server from coming back all at the same moment.

    Arguments:
        shortest: seconds of the first pause.
        longest: seconds that no pause exceeds.
    """

    def __init__(self, shortest: float = SHORTEST_PAUSE, longest: float = LONGEST_PAUSE) -> None:
        self.failures = 0
        """The number of failures in a row."""
        self._shortest = shortest
        self._longest = longest

    def fail(self) -> float:
        """Count a failure.

        Returns:
            Seconds to pause before the next try: between half of the current step and all of it.
        """
        self.failures += 1
        counters.pauses += 1
        # Ten doublings reach any bound in use; an unbounded power would overflow after an hour of outage.
        step: float = min(self._longest, self._shortest * 2.0 ** min(self.failures - 1, 10))
        return step * _dice.uniform(0.5, 1)

    @property
    def is_news(self) -> bool:
        """Whether the last failure is worth a line in the log: the first one is, and then about one a minute."""
        return self.failures % LOG_EVERY == 1

    def succeed(self) -> bool:
        """Begin again with the shortest pause.

        Returns:
            Whether this ends a row of failures.
        """
        had_failed = self.failures > 0
        self.failures = 0
        return had_failed
