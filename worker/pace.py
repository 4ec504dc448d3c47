"""``Pace`` decides how many messages a worker takes at once."""

from __future__ import annotations

BATCH_SECONDS = 0.002
"""Seconds of work that a worker takes at once, by the recent durations of consumers.

With more, a worker would hoard what others could run. With less, it would need a round trip for every message.
"""

BATCH_LIMIT = 64
"""The most messages that a worker takes at once."""

WEIGHT = 0.1
"""The weight of the last consumer against all earlier ones."""


class Pace:
    """Measures the durations of consumers, and computes how many messages to take next."""

    def __init__(self) -> None:
        self.seconds_per_message = BATCH_SECONDS

    def note(self, seconds: float) -> None:
        """Add the duration of one consumer, in seconds."""
        self.seconds_per_message += (seconds - self.seconds_per_message) * WEIGHT

    def limit(self) -> int:
        """The number of messages to take next."""
        return max(1, min(BATCH_LIMIT, int(BATCH_SECONDS / self.seconds_per_message)))
