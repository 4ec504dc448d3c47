"""How many messages a worker takes at once."""

from __future__ import annotations

BATCH_SECONDS = 0.002
"""How much work a worker takes at once: what it can start this soon, by what consumers took recently.

More would hoard what another worker could run; less would pay a round trip to the layer for every message.
"""

BATCH_LIMIT = 64
"""How many messages a worker takes at once at most."""

WEIGHT = 0.1
"""The weight of the last consumer against all before it."""


class Pace:
    """Measures how long consumers take, and tells how many messages to take next."""

    def __init__(self) -> None:
        self.seconds_per_message = BATCH_SECONDS

    def note(self, seconds: float) -> None:
        """Add the duration of one consumer, in seconds."""
        self.seconds_per_message += (seconds - self.seconds_per_message) * WEIGHT

    def limit(self) -> int:
        """The number of messages to take next."""
        return max(1, min(BATCH_LIMIT, int(BATCH_SECONDS / self.seconds_per_message)))
