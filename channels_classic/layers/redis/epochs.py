"""Epochs: how a process learns that a server has lost its data.

A server is marked with an epoch when it is first read from. If the mark has changed, the server has lost its data
(it was restarted empty): what this process knows of its members is then told to it again. After a ``flush`` the
mark says so, and the process forgets instead.
"""

from __future__ import annotations

import math
import time
from typing import Any

from channels_classic.layers import names
from channels_classic.layers.redis.connections.server import Server
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips, checked
from channels_classic.layers.redis.envelope import JOIN
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.keys import Keys
from channels_classic.layers.redis.queues import Queues
from channels_classic.log import logger

FLUSHED = "flushed:"

TELLING_SECONDS = 1.2
"""How long messages to groups wait for the processes that hold members to tell a server of these again. They look
for the server every second."""


class Epochs:
    """The epochs of the servers, as this process knows them.

    Arguments:
        groups: whose members are told to a server that has lost its data.
    """

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._known: dict[int, bytes] = {}
        self._lost_at = -math.inf
        self.losses = 0
        """How often a server had lost its data when this process looked."""

    def is_new(self, server: int, epoch: bytes) -> bool:
        """Whether that server had another epoch when it was last read from, or was never read from."""
        return self._known.get(server) != epoch

    @property
    def is_fresh(self) -> bool:
        """Whether a server has lost its data just now, and other processes are to tell it the members again."""
        return time.monotonic() - self._lost_at < TELLING_SECONDS

    def compare(self, queues: Queues, servers: int) -> Steps[None]:
        """Look which servers have lost their data, and do what that calls for.

        Arguments:
            queues: make the command.
            servers: how many there are.
        """
        trips = Trips()
        for server in range(servers):
            trips.add(server, queues.receive_counted([], [], server))
        answers = yield trips
        for server in range(servers):
            _, epoch, _ = answers[server][0]
            if self.is_new(server, epoch):
                yield from self.begin(server, epoch)

    def begin(self, server: int, epoch: bytes) -> Steps[None]:
        """Take note of a new epoch, and do what it calls for."""
        if server in self._known:
            if epoch.startswith(FLUSHED.encode()):
                self._groups.forget()
            elif memberships := self._groups.memberships():
                logger.warning("Redis has lost its data: telling it %d group memberships again.", len(memberships))
                yield from self._groups.change(memberships, JOIN)
            else:
                self._lost_at = time.monotonic()
            self.losses += 1
        self._known[server] = epoch  # only now: it is tried again if the server went away in between


def flush(server: Server, keys: Keys) -> None:
    """Empty a server of all that the layer has there.

    Raises:
        LayerUnavailable: the server does not answer.
    """

    def ask(command: Command) -> Any:
        return checked(server.round_trip([command]))[0]

    for pattern in keys.patterns():
        cursor = b"0"
        while True:
            cursor, found = ask(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
            if found:
                ask(("UNLINK", *found))
            if cursor == b"0":
                break
    ask(("SET", keys.epoch, FLUSHED + names.random_part()))
