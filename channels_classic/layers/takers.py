"""Takers: the layer knows what each thread of a worker has taken, until the thread is done with it.

What a taker takes is *in-flight*. The layer keeps it in the same step in which it hands it out. With its next trip
the taker says which batch it has seen last, and so is done with. If it holds another one, the answer was lost
on its way, and these messages go back in front of their channels. If the taker's process dies, a sweep finds them.
"""

from __future__ import annotations

import time


class Taker:
    """Takes messages for one thread of a worker. ``layer.taker`` makes it; one thread uses it at a time.

    Arguments:
        process: the name of the process, which beats.
        number: of the taker in its process, from 0.
    """

    def __init__(self, process: str, number: int) -> None:
        self.process = process
        self.number = number
        self.name = taker_name(process, number)
        self.batch = 0
        """The number of the last batch that has arrived; 0 before the first. A batch without messages has none."""
        # Greater than the numbers of a taker that had this name before, in the same process; below 2**48.
        self.asked = time.monotonic_ns() // 1000
        """The number of the last batch that was asked for."""
        self.seen: dict[int, int] = {}
        """The number of the last batch that has arrived from each of several servers."""
        self.was_full = False
        """Whether the last batch held as many messages as were asked for."""
        self.announced: dict[int, bytes] = {}
        """The servers that know of the taker, each with the epoch in which it was told."""

    def ask(self) -> int:
        """The number for the next batch: greater than all before."""
        self.asked += 1
        return self.asked


def taker_name(process: str, number: int) -> str:
    """The name of a taker."""
    return f"{process}.{number}"
