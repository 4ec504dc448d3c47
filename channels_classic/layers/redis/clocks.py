"""The clocks of the servers, by which messages expire, and commands too.

What is given up is withdrawn: a server that hung does not carry out later what nobody waits for any more.

A command that was sent lies in the connection of a server that hangs, and is carried out when the server goes on,
though its sender was told long ago that it failed. So each one says when its time is over, by the clock of the
server, which the layer knows from the server's answers. A script that comes later than that does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from channels_classic.layers.redis.connections.steps import Steps, Trips


class Clocks:
    """The clocks of the servers, as this process knows them.

    Arguments:
        seconds: tells how long a server may take for an answer.
    """

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self._seconds = seconds
        self._patience: dict[int, float] = {}
        self._ahead: dict[int, float] = {}

    def ask(self, servers: int) -> Steps[None]:
        """Ask all servers for the time."""
        trips = Trips()
        for server in range(servers):
            trips.add(server, ("TIME",))
        answers = yield trips
        for server, of_server in answers.items():
            seconds, microseconds = of_server[0]
            self.told(server, b"%d%06d" % (int(seconds), int(microseconds)))

    def told(self, server: int, now: bytes) -> None:
        """A server has just said what time it is, in microseconds."""
        self._ahead[server] = int(now) / 1_000_000 - time.monotonic()

    @property
    def are_unknown(self) -> bool:
        """Whether no server has told its time yet."""
        return not self._ahead

    def now(self) -> int:
        """The time by the clocks of the servers, in microseconds."""
        if not self._ahead:
            return int(time.time() * 1_000_000)
        return int((time.monotonic() + max(self._ahead.values())) * 1_000_000)

    def latest(self, server: int, wait: float = 0) -> int:
        """When the time of a command that is sent now is over, in microseconds; 0 if the clock is not known yet.

        Arguments:
            wait: seconds that the server is to wait before that command.
        """
        ahead = self._ahead.get(server)
        if ahead is None:
            return 0
        patience = self._patience.get(server)
        if patience is None:
            patience = self._patience[server] = self._seconds(server)
        return int((time.monotonic() + ahead + patience + wait) * 1_000_000)
