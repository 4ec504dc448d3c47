"""What is given up is withdrawn: a server that hung does not carry out later what nobody waits for any more.

A command that was sent lies in the connection of a server that hangs, and is carried out when the server goes on,
though its sender was told long ago that it failed. So each one says when its time is over, by the clock of the
server, which the layer knows from the server's answers. A script that comes later than that does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clocks:
    """The clocks of the servers, as this process knows them.

    Arguments:
        seconds: tells how long a server may take for an answer.
    """

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self._seconds = seconds
        self._ahead: dict[int, float] = {}

    def told(self, server: int, now: bytes) -> None:
        """A server has just said what time it is, in microseconds."""
        self._ahead[server] = int(now) / 1_000_000 - time.monotonic()

    def latest(self, server: int, wait: float = 0) -> int:
        """When the time of a command that is sent now is over, in microseconds; 0 if the clock is not known yet.

        Arguments:
            wait: seconds that the server is to wait before that command.
        """
        ahead = self._ahead.get(server)
        if ahead is None:
            return 0
        return int((time.monotonic() + ahead + self._seconds(server) + wait) * 1_000_000)
