"""Back-off: growing pauses before something that failed is tried again."""

from __future__ import annotations

import random

from channels_classic.counters import counters

SHORTEST_PAUSE = 0.1
"""Seconds before the first retry."""

LONGEST_PAUSE = 0.4
"""The longest pause in seconds: a server that is back is noticed within this time, even after a long outage.

Several pauses may add up: an interface server has to find an empty Redis and send it its members before a worker
can send to them. All of this has to take less than 1.5 seconds. A process has only a few connections, so a server
that comes back gets a few new connections per process within this time.
"""

LOG_EVERY = 200
"""The number of failures in a row per line in the log: about a minute with the longest pause."""


# This does not use the functions of the module: the random numbers of a project that seeds them must not depend on
# the number of retries.
_dice = random.SystemRandom()


class Backoff:
    """Pauses that double with each failure in a row, up to a bound.

    A random part keeps many processes that have lost the same server from coming back at the same moment.

    Arguments:
        shortest: the first pause in seconds.
        longest: the longest pause in seconds.
    """

    def __init__(self, shortest: float = SHORTEST_PAUSE, longest: float = LONGEST_PAUSE) -> None:
        self.failures = 0
        """The number of failures in a row."""
        self._shortest = shortest
        self._longest = longest

    def fail(self) -> float:
        """Count a failure.

        Returns:
            The seconds to pause before the next attempt: between half of the current step and all of it.
        """
        self.failures += 1
        counters.pauses += 1
        # Ten doublings reach any bound in use. An unbounded power would overflow after an hour of outage.
        step: float = min(self._longest, self._shortest * 2.0 ** min(self.failures - 1, 10))
        return step * _dice.uniform(0.5, 1)

    @property
    def is_news(self) -> bool:
        """Whether to log the last failure. This is true for the first one, and then about once a minute."""
        return self.failures % LOG_EVERY == 1

    def succeed(self) -> bool:
        """Start again with the shortest pause.

        Returns:
            Whether there were failures before.
        """
        had_failed = self.failures > 0
        self.failures = 0
        return had_failed
