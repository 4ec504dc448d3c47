"""The measurements of a client: the latency of every answer, and the first error."""

from __future__ import annotations

import asyncio
import math
from array import array


class Recorder:
    """Collects all latencies, in seconds, so that percentiles are exact.

    Clients append to ``latencies`` themselves, because a method call for each message would cost as much as the
    rest.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.latencies: array[float] = array("d")
        self.failure: str | None = None
        self._failed = asyncio.Event()

    def restart(self) -> array[float]:
        """Begin a new collection, and return the one that ended."""
        ended, self.latencies = self.latencies, array("d")
        return ended

    def fail(self, reason: str) -> None:
        """Note that the run does not count. The first reason is kept."""
        self.failure = self.failure or reason
        self._failed.set()

    async def last(self, seconds: float) -> None:
        """Let the clients work for ``seconds``, or until one fails."""
        try:
            await asyncio.wait_for(self._failed.wait(), seconds)
        except TimeoutError:
            return


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of the ascending values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
