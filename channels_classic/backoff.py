"""Back-off: growing pauses before something that failed is tried again."""

from __future__ import annotations

import random

SHORTEST_PAUSE = 0.1
"""Seconds before the first retry."""

LONGEST_PAUSE = 1.0
"""Seconds; the longest time until a server that is back is noticed, however long it was away."""


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
        # Ten doublings reach any bound in use; an unbounded power would overflow after an hour of outage.
        step: float = min(self._longest, self._shortest * 2.0 ** min(self.failures - 1, 10))
        return step * random.uniform(0.5, 1)

    def succeed(self) -> bool:
        """Begin again with the shortest pause.

        Returns:
            Whether this ends a row of failures.
        """
        had_failed = self.failures > 0
        self.failures = 0
        return had_failed
