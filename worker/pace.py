"""``Pace`` decides how many messages a worker takes at once."""

from __future__ import annotations

import resource

BATCH_SECONDS = 0.004
"""Seconds of work that a worker takes at once, by the recent durations of consumers.

With more, a worker would hoard what others could run. With less, it would need a round trip for every few
messages. On a busy machine consumers take longer, so batches get smaller just when round trips are dear.
"""

BATCH_LIMIT = 64
"""The most messages that a worker takes at once."""

WEIGHT = 0.1
"""The weight of the last consumer against all earlier ones."""

MOST_PREEMPTED = 2.0
"""How many times as long as usual a consumer counts at the most if its thread was preempted meanwhile."""


class Pace:
    """Measures the durations of consumers, and computes how many messages to take next.

    On a busy machine, a thread is preempted now and then, for longer than many consumers take. If that counted in
    full, workers would take only a few messages at a time, just when round trips are dear.
    """

    def __init__(self) -> None:
        self.seconds_per_message = BATCH_SECONDS
        self._preemptions = 0

    def note(self, seconds: float) -> None:
        """Add the duration of one consumer, in seconds. The thread that runs the consumers calls this."""
        most = MOST_PREEMPTED * self.seconds_per_message
        if seconds > most and self._was_preempted():
            seconds = most
        self.seconds_per_message += (seconds - self.seconds_per_message) * WEIGHT

    def limit(self) -> int:
        """The number of messages to take next."""
        self._was_preempted()
        return max(1, min(BATCH_LIMIT, int(BATCH_SECONDS / self.seconds_per_message)))

    def _was_preempted(self) -> bool:
        """Whether the thread was preempted since the last call."""
        before, self._preemptions = self._preemptions, preemptions()
        return self._preemptions != before


def preemptions() -> int:
    """How many times the running thread was preempted; 0 where the system does not count that for threads."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw if hasattr(resource, "RUSAGE_THREAD") else 0
