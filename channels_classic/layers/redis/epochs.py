"""Epochs: how a process learns that a server has lost data.

A server is marked with an epoch when it is first read from. If the mark has changed, the server has lost its data
(it was restarted empty), and this process sends it its memberships again. After a ``flush`` the mark says so, and
the process forgets them instead.

Another server may have the same mark: a replica that has become the master, or a server that was restarted with
its saved data. Such a server may lack the last moments of what its clients were told. So it is treated as one that
has lost its data.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from channels_classic.layers import names
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.server import Server
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips, checked
from channels_classic.layers.redis.envelope import JOIN
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.keys import Keys
from channels_classic.layers.redis.queues import Queues
from channels_classic.layers.redis.taken import Taken
from channels_classic.log import logger

FLUSHED = "flushed:"

TELLING_SECONDS = 0.8
"""The longest time, in seconds, that messages to groups wait until the processes that hold members have told a
server of them again. In this time each process tries to reach the server twice (``LONGEST_PAUSE``)."""


class Epochs:
    """The epochs of the servers, as this process knows them.

    Arguments:
        groups: send the memberships of this process to a server that has lost its data.
        run_id: tells which server answers, by its position.
    """

    def __init__(self, groups: Groups, run_id: Callable[[int], bytes]) -> None:
        self._groups = groups
        self._run_id = run_id
        self._known: dict[int, tuple[bytes, bytes]] = {}
        self._lost_at = -math.inf
        self._routes_before: dict[str, set[str]] = {}
        """For each group that this process had sent to before the last loss, the processes that held members."""
        self.losses = 0
        """The number of times that this process has found that a server had lost its data."""

    def is_new(self, server: int, epoch: bytes) -> bool:
        """Whether this is not the server and the epoch that this process last read from."""
        return self._known.get(server) != (epoch, self._run_id(server))

    @property
    def is_fresh(self) -> bool:
        """Whether a server has lost its data just now, so that it may still lack members of other processes."""
        return time.monotonic() - self._lost_at < TELLING_SECONDS

    def wait_for_members(self, groups: set[str]) -> Steps[None]:
        """Check that the processes of these groups have sent their members again, or have had the time for it.

        Raises:
            LayerUnavailable: they have not; try again in a moment.
        """
        if not self.is_fresh:
            return
        routes = yield from self._groups.routes(groups)
        if any(
            group not in self._routes_before or not self._routes_before[group] <= set(routes[group])
            for group in groups
        ):
            raise LayerUnavailable(
                "Redis has lost data. Messages to groups wait a moment, until the processes that hold members "
                "have told it of these again."
            )

    def compare(self, queues: Queues, servers: int) -> Steps[None]:
        """Find out which servers have lost their data, and react to that.

        Arguments:
            queues: make the command.
            servers: the number of servers.
        """
        trips = Trips()
        for server in range(servers):
            trips.add(server, queues.receive_counted([], [], server))
        answers = yield trips
        for server in range(servers):
            epoch = Taken.of(server, answers[server][0]).epoch
            if self.is_new(server, epoch):
                yield from self.begin(server, epoch)

    def begin(self, server: int, epoch: bytes) -> Steps[None]:
        """Note a new epoch, and react to it."""
        now = (epoch, self._run_id(server))
        before = self._known.get(server)
        if before is not None:
            has_lost_all = epoch != before[0]
            if has_lost_all and epoch.startswith(FLUSHED.encode()):
                self._groups.forget()
            elif memberships := self._groups.memberships():
                what = "has lost its data" if has_lost_all else "was restarted, or is another server now"
                logger.warning("Redis %s: telling it %d group memberships again.", what, len(memberships))
                yield from self._groups.change(memberships, JOIN)
            else:
                self._lost_at = time.monotonic()
                self._routes_before = self._groups.all_remembered()
            self.losses += 1
        self._known[server] = now  # noted last, so that all of this is repeated if the server goes away meanwhile


def flush(server: Server, keys: Keys) -> None:
    """Delete all data of the layer from a server.

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
