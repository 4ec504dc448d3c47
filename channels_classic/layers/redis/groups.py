"""Groups over Redis.

A broadcast costs Redis the same whether a process holds ten members or ten thousand. For a group, Redis keeps
which processes hold members (its routes), and each of them gets one message. The process knows its members because
every change of membership reaches it through the same queue, so changes and messages stay in order
(``MemberTable``). Redis also keeps the members of each process, for ``group_channels`` and for a reader of the
process's queue that has not seen the changes.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from channels_classic.layers import names
from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.fencing import acting_process
from channels_classic.layers.group_sizes import GroupSizes
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips, change
from channels_classic.layers.redis.envelope import JOIN, Envelope, Envelopes
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.members import MemberTable
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import LAPSED, Origin, Push, Queues
from channels_classic.layers.redis.registry import Registry
from channels_classic.log import logger

MOST_REMEMBERED = 10_000
"""The number of groups whose routes are remembered. Beyond that all are forgotten."""

UNKNOWN_SECONDS = 60
"""Seconds that a process without heartbeats may take to read a change of membership. A process with heartbeats
reads it, or is swept."""

MOST_AT_ONCE = 1000
"""The number of changes of membership in one round trip."""


class Groups:
    """Knows the members of groups.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of groups and processes.
        queues: make the commands that tell processes about changes.
        clocks: the clocks of the servers.
        envelopes: seal the changes.
        registry: knows whether the process that makes a change was declared dead.
        group_expiry: seconds that a membership lasts.
    """

    def __init__(
        self,
        keys: ServerKeys,
        placement: Placement,
        queues: Queues,
        clocks: Clocks,
        envelopes: Envelopes,
        registry: Registry,
        group_expiry: float,
    ) -> None:
        self._keys = keys
        self._placement = placement
        self._queues = queues
        self._clocks = clocks
        self._envelopes = envelopes
        self._registry = registry
        self._group_expiry = group_expiry
        self._table = MemberTable()
        self._lock = threading.Lock()
        self._remembered: dict[str, list[str]] = {}
        self._departures = 0
        self._missing: set[tuple[str, str]] = set()

    # Memberships.

    def change(self, memberships: Sequence[tuple[str, str]], kind: bytes) -> Steps[None]:
        """Make memberships (``JOIN``), or end them (``LEAVE``), given as pairs of group and channel.

        Raises:
            Lapsed: the process in whose name this context acts was declared dead.
            LayerUnavailable: a part may be done. To repeat the call does no harm.
        """
        begun = False
        for start in range(0, len(memberships), MOST_AT_ONCE):
            for trips in self._round_trips(memberships[start : start + MOST_AT_ONCE], kind):
                try:
                    answers = yield from change(trips)
                except LayerUnavailable as error:
                    error.nothing_done = error.nothing_done and not begun
                    raise
                if any(_has_lapsed(answer) for of_server in answers.values() for answer in of_server):
                    raise Lapsed(acting_process())
                begun = True

    def _round_trips(self, memberships: Sequence[tuple[str, str]], kind: bytes) -> list[Trips]:
        """The round trips: one if the group and the process are on one server, two if they are on two servers.

        With two, the order keeps a channel that has left from being put back. When a member joins, the process
        learns it first: so it knows the member when a message comes by the new route. When a member leaves, Redis
        learns it first: otherwise the process, which has forgotten the member, would ask Redis for it, and find it
        there.
        """
        redis, process = Trips(), Trips()
        pushes: dict[int, list[Push]] = defaultdict(list)
        script = "group_add" if kind == JOIN else "group_discard"
        milliseconds = int(self._group_expiry * 1000)
        for group, channel in memberships:
            route = names.queue_name(channel)
            local = channel[len(route) :]
            home = self._placement.of(group)
            of_home = self._keys[home]
            keys = [of_home.routes(group), of_home.members(group, route), of_home.joined(route)]
            keys += [of_home.gone, of_home.beats, of_home.epoch]
            arguments: list[Any] = [route, local, milliseconds, group, min(UNKNOWN_SECONDS * 1000, milliseconds)]
            arguments += self._registry.fence(home)
            if route.endswith("!"):
                expires = self._clocks.now() + milliseconds * 1000
                body = self._envelopes.seal(kind, group, local.encode(), route, expires)
                of_process = self._placement.of_channel(route)
                if of_process == home:
                    keys.append(of_home.queue(route))
                    arguments.append(body)
                else:
                    pushes[of_process].append(Push(None, route, body, self._group_expiry, limited=False))
            redis.add(home, (script, len(keys), *keys, *arguments))
        for server, some in pushes.items():
            origin = Origin(*self._registry.fence(server))
            process.add(server, self._queues.send(some, server, urgent=False, origin=origin))
        return [trips for trips in ((process, redis) if kind == JOIN else (redis, process)) if trips]

    def end(self, queue: str, joined: Mapping[int, Iterable[str]]) -> Steps[None]:
        """End all memberships of the channels of a process.

        Arguments:
            queue: the name of the process's queue.
            joined: the groups that it holds members of, by server.
        """
        for server, groups in joined.items():
            trips = Trips()
            of_server = self._keys[server]
            for group in groups:
                keys = (of_server.routes(group), of_server.members(group, queue), of_server.joined(queue))
                trips.add(server, ("group_end", 3, *keys, queue, group))
            if trips:
                yield trips

    def memberships(self) -> list[tuple[str, str]]:
        """All memberships that this process knows, as pairs of group and channel."""
        with self._lock:
            return list(self._table)

    def memberships_of(self, channels: Iterable[str]) -> list[tuple[str, str]]:
        """The memberships of these channels of this process, as pairs of group and channel."""
        with self._lock:
            return [(group, channel) for channel in channels for group in self._table.groups_of(channel)]

    def joined(self) -> list[str]:
        """The channels of this process that are members of any group."""
        with self._lock:
            return self._table.channels()

    def sizes(self) -> GroupSizes:
        """The sizes of the groups, with the members that belong to this process."""
        with self._lock:
            return self._table.sizes()

    def renew(self, channels: Iterable[str]) -> Steps[None]:
        """Renew the memberships of channels of this process, and restore those that Redis has lost."""
        memberships = self.memberships_of(channels)
        for start in range(0, len(memberships), MOST_AT_ONCE):
            yield from self._renew(memberships[start : start + MOST_AT_ONCE])

    def _renew(self, memberships: Sequence[tuple[str, str]]) -> Steps[None]:
        trips = Trips()
        order: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for group, channel in memberships:
            route = names.queue_name(channel)
            home = self._placement.of(group)
            keys = (self._keys[home].routes(group), self._keys[home].members(group, route))
            arguments = (route, channel[len(route) :], int(self._group_expiry * 1000))
            trips.add(home, ("group_renew", 2, *keys, *arguments))
            order[home].append((group, channel))
        if not trips:
            return
        answers = yield trips
        ends = {
            membership: answer
            for server, of_server in order.items()
            for membership, answer in zip(of_server, answers[server], strict=True)
        }
        with self._lock:
            for (group, channel), milliseconds in ends.items():
                if milliseconds:
                    self._table.extend(group, channel, int(milliseconds) * 1000)
            # A membership that Redis lacks has just ended, and this process does not know it yet. Or Redis has
            # lost it: then it is still missing the next time.
            missing = {one for one in memberships if not ends[one] and self._table.has(*one)}
            lost = missing & self._missing
            self._missing = (self._missing - set(memberships)) | (missing - lost)
        if lost:
            logger.warning("Redis has lost %d group memberships: telling it again.", len(lost))
            yield from self.change(list(lost), JOIN)

    def note(self, told: Envelope, process: str, stamp: bytes) -> None:
        """Note a change of membership that came through the queue of the process."""
        channel = process + told.payload.decode("ascii")
        with self._lock:
            if told.kind == JOIN:
                self._table.join(told.name, channel, int(stamp))
            else:
                self._departures += 1
                self._table.leave(told.name, channel)

    def forget(self) -> None:
        """Forget all memberships."""
        with self._lock:
            self._table.clear()

    # Routes.

    def routes(self, groups: Iterable[str]) -> Steps[dict[str, list[str]]]:
        """For each group the processes that hold members, and its members that belong to no process; sorted."""
        trips = Trips()
        order: dict[int, list[str]] = defaultdict(list)
        for group in groups:
            server = self._placement.of(group)
            trips.add(server, ("group_routes", 1, self._keys[server].routes(group)))
            order[server].append(group)
        if not trips:
            return {}
        answers = yield trips
        routes: dict[str, list[str]] = {}
        for server, of_server in order.items():
            routes |= self.remember(of_server, [answer[::2] for answer in answers[server]])
        return routes

    def remember(self, groups: Iterable[str], routes: Iterable[Iterable[bytes]]) -> dict[str, list[str]]:
        """Remember the routes of groups, for ``remembered``."""
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.clear()
        found = {
            group: sorted(route.decode() for route in of_group)
            for group, of_group in zip(groups, routes, strict=True)
        }
        self._remembered.update(found)
        return found

    def remembered(self, groups: set[str]) -> dict[str, list[str]]:
        """The remembered routes of these groups, if those of all of them are remembered.

        Redis checks in the same round trip whether they are still right.
        """
        memory = self._remembered
        found = {group: routes for group in groups if (routes := memory.get(group)) is not None}
        return found if len(found) == len(groups) else {}

    def all_remembered(self) -> dict[str, set[str]]:
        """All remembered routes."""
        return {group: set(routes) for group, routes in self._remembered.items()}

    # Members.

    def channels(self, group: str) -> Steps[list[str]]:
        """All members of a group."""
        routes = (yield from self.routes([group]))[group]
        processes = [route for route in routes if route.endswith("!")]
        channels = [route for route in routes if not route.endswith("!")]
        if processes:
            server = self._placement.of(group)
            trips = Trips()
            for process in processes:
                trips.add(server, self._members_command(server, group, process))
            answers = yield trips
            for process, answer in zip(processes, answers[server], strict=True):
                channels += [process + local.decode() for local in answer[::2]]
        return channels

    def of_client(self, channel: str) -> Steps[list[str]]:
        """The groups that a channel of a process is a member of."""
        queue = names.queue_name(channel)
        local = channel[len(queue) :]
        trips = Trips()
        for server in range(self._placement.count):
            trips.add(server, ("SMEMBERS", self._keys[server].joined(queue)), ("TIME",))
        answers = yield trips
        trips = Trips()
        joined = {server: [group.decode() for group in of_server[0]] for server, of_server in answers.items()}
        for server, groups in joined.items():
            for group in groups:
                trips.add(server, ("ZSCORE", self._keys[server].members(group, queue), local))
        if not trips:
            return []
        scores = yield trips
        found = []
        for server, groups in joined.items():
            seconds, microseconds = map(int, answers[server][1])
            now = seconds * 1000 + microseconds // 1000
            for group, ends in zip(groups, scores.get(server, ()), strict=True):
                if ends is not None and float(ends) >= now:
                    found.append(group)
        return found

    def members(self, group: str, process: str, now: int) -> Steps[Sequence[str]]:
        """The members of ``group`` in ``process``, from the table, or from Redis if the table has none."""
        with self._lock:
            members = self._table.members(group, process, now)
            departures = self._departures
        if not members:
            server = self._placement.of(group)
            trips = Trips()
            trips.add(server, self._members_command(server, group, process))
            answer = (yield trips)[server][0]
            members = [process + local.decode() for local in answer[::2]]
            with self._lock:
                # A member that has left meanwhile, as another thread has learnt, must not be put back.
                if self._departures == departures:
                    for member, ends in zip(members, answer[1::2], strict=True):
                        self._table.join(group, member, int(float(ends)) * 1000)
        return members

    def _members_command(self, server: int, group: str, process: str) -> Command:
        return ("group_routes", 1, self._keys[server].members(group, process))


def _has_lapsed(answer: Any) -> bool:
    """Whether the script did nothing, because the process was declared dead."""
    return bool(answer == LAPSED or (isinstance(answer, list) and answer[-1] == LAPSED))
