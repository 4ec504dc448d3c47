"""Reading over Redis: a process receives on its own channel, and loses nothing when a connection breaks.

What the reader takes stays in Redis until its next round trip (``read.lua``). The reader numbers its round trips.
A batch that was handed out later than the last answer that has arrived was lost on the way, and comes again.

To wait, the reader moves the first entry of its queue to the place where it is: ``BLMOVE`` waits like ``BLPOP``,
and changes nothing.
"""

from __future__ import annotations

import time

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips, failure_in
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.receiving import LONGEST_WAIT, Receiving
from channels_classic.layers.redis.taken import Taken
from channels_classic.layers.types import Received


class Progress:
    """How far the reader of one process has come."""

    def __init__(self) -> None:
        # Greater than all numbers of an earlier reader of the same process, and below 2**48.
        self.asked = time.monotonic_ns() // 1000
        """The number of the last round trip."""
        self.seen = 0
        """The number of the last round trip whose answer has arrived."""


class Reading:
    """Makes the round trips of readers.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of the queues.
        clocks: the clocks of the servers.
        receiving: opens what was taken.
    """

    def __init__(self, keys: ServerKeys, placement: Placement, clocks: Clocks, receiving: Receiving) -> None:
        self._keys = keys
        self._placement = placement
        self._clocks = clocks
        self._receiving = receiving
        self._progress: dict[str, Progress] = {}

    def confirm(self, process: str, number: int) -> None:
        """Note that an answer has arrived. The next round trip says so."""
        self._progress[process].seen = number

    def read(self, process: str, limit: int, timeout: float) -> Steps[tuple[list[Received], int]]:
        """Read the messages to a process, in one round trip.

        The caller confirms when it has the messages. Until then, they come again.

        Arguments:
            timeout: seconds to wait for a message; 0 to take what is there.

        Returns:
            The messages, and a number for ``confirm``.

        Raises:
            LayerUnavailable: the server does not answer, or the messages could not be opened.
        """
        queue = f"{process}!"
        server = self._placement.of_channel(queue)
        progress = self._progress.setdefault(process, Progress())
        progress.asked += 1
        trips = Trips(partial=True, wait=min(timeout, LONGEST_WAIT))
        if trips.wait:
            key = self._keys[server].queue(queue)
            trips.add(server, ("BLMOVE", key, key, "LEFT", "LEFT", trips.wait))
        trips.add(server, self._read(server, process, progress, limit, trips.wait))
        answers = (yield trips)[server]
        if isinstance(answers[-1], LayerUnavailable):
            raise answers[-1]
        taken = Taken.of(server, answers[-1], [queue])
        try:
            received, _ = yield from self._receiving.received({server: [queue]}, [taken], (), failure_in(answers))
        except LayerUnavailable:
            # The entries have arrived: those that could not be opened are kept until they can be.
            self.confirm(process, taken.number)
            raise
        return received, taken.number

    def _read(self, server: int, process: str, progress: Progress, limit: int, wait: float) -> Command:
        keys = self._keys[server]
        of_process = (keys.epoch, keys.queue(f"{process}!"), keys.handed(process))
        # The epoch is set where there is none. This one is unique, as the name of the process is random.
        epoch = f"{process}.{progress.asked}"
        arguments = (limit, epoch, self._clocks.latest(server, wait))
        return ("read", 3, *of_process, *arguments, progress.asked, progress.seen)
