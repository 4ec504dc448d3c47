"""The clocks of the servers. Messages expire by them, and so do commands.


A command for a server that hangs stays in the connection, and the server carries it out when it goes on, long
after the caller was told that it failed. So each command has a time limit, by the clock of the server, which the
layer learns from the server's answers. A script that runs later than that does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from channels_classic.layers.redis.connections.steps import Steps, Trips


class Clocks:
    """The clocks of the servers, as this process knows them.

    Arguments:
        seconds: gives the time, in seconds, that a server may take for an answer.
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
        """Note the time, in microseconds, that a server has just told."""
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
        """The time limit of a command that is sent now, in microseconds; 0 if the clock is not known yet.

        Arguments:
            wait: seconds that the server waits before that command.
        """
        ahead = self._ahead.get(server)
        if ahead is None:
            return 0
        patience = self._patience.get(server)
        if patience is None:
            patience = self._patience[server] = self._seconds(server)
        return int((time.monotonic() + ahead + patience + wait) * 1_000_000)
