"""Takers: the layer knows what each thread of a worker has taken until the thread is done with it.

A message that a taker has taken is *in-flight*. The layer keeps a record of it in the same atomic step that hands
it out. With its next round trip the taker tells the number of the last batch that it has received, and so is done
with. If the layer has a record of another batch, its answer was lost on the way, and the messages of that batch go
back in front of their channels. If the process of the taker dies, a sweep finds the records.
"""

from __future__ import annotations

import time


class Taker:
    """Takes messages for one thread of a worker. ``layer.taker`` makes it. Only one thread may use it at a time.

    Arguments:
        process: the name of the process, which has to send heartbeats.
        number: the number of the taker in its process, from 0.
    """

    def __init__(self, process: str, number: int) -> None:
        self.process = process
        self.number = number
        self.name = taker_name(process, number)
        self.batch = 0
        """The number of the last batch that has arrived; 0 before the first. An empty batch has no number."""
        # Greater than all numbers of an earlier taker with this name in the same process, and below 2**48.
        self.asked = time.monotonic_ns() // 1000
        """The number of the last batch that the taker asked for."""
        self.seen: dict[int, int] = {}
        """The number of the last batch that has arrived from each of several servers."""
        self.was_full = False
        """Whether the last batch had as many messages as the taker had asked for."""
        self.unconfirmed: object = None
        """The data that the layer needs to send the messages of the last call again if their answer was lost."""
        self.announced: dict[int, bytes] = {}
        """The servers that know the taker, each with its epoch at that time."""

    def ask(self) -> int:
        """Make the number of the next batch, which is greater than all before."""
        self.asked += 1
        return self.asked


def taker_name(process: str, number: int) -> str:
    """The name of the taker with this number in a process."""
    return f"{process}.{number}"
