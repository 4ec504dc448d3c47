"""Groups over Redis.

A broadcast costs Redis the same whether a process holds ten members or ten thousand: Redis keeps for a group
only which processes hold members (its routes), and sends each of them one message. The process knows its
members because every change of membership is told to it through the same queue, so changes and messages stay
in order (``MemberTable``). A list of the members by process is kept beside that, for ``group_channels`` and for
whoever reads a process's queue without having been told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from channels_classic.layers import names
from channels_classic.layers.redis.core import Steps, Trips
from channels_classic.layers.redis.envelope import JOIN, LEAVE, Envelope
from channels_classic.layers.redis.sending import Push, Sending
from channels_classic.layers.redis.servers import Command

MOST_REMEMBERED = 10_000
"""Of so many groups the routes are remembered before all are forgotten."""


class Groups(Sending):
    """The part of ``RedisChannelLayer`` that knows who is in which group."""

    def group_add(self, group: str, channel: str) -> None:
        """As the contract has it."""
        names.check_group(group)
        names.check_channel(channel)
        self._carry_out(self._change_membership([(group, channel)], JOIN))

    def group_discard(self, group: str, channel: str) -> None:
        """As the contract has it."""
        names.check_group(group)
        names.check_channel(channel)
        self._carry_out(self._change_membership([(group, channel)], LEAVE))

    def group_channels(self, group: str) -> list[str]:
        """As the contract has it."""
        names.check_group(group)
        return self._carry_out(self._group_channels(group))

    def _memberships_of(self, channels: Iterable[str]) -> list[tuple[str, str]]:
        with self._table_lock:
            return [(group, channel) for channel in channels for group in self._table.groups_of(channel)]

    def _change_membership(self, memberships: Sequence[tuple[str, str]], kind: bytes) -> Steps[None]:
        # The process is told first: a message that is sent by the new route finds the member there.
        pushes = [
            Push(None, channel, self._seal(kind, group, local.encode()), self.group_expiry, limited=False)
            for group, channel in memberships
            for _, mark, local in [channel.partition("!")]
            if mark
        ]
        for start in range(0, len(pushes), 1000):
            by_server: dict[int, list[Push]] = defaultdict(list)
            for push in pushes[start : start + 1000]:
                by_server[self._home(push.channel)].append(push)
            yield {server: [self._send_command(of_server)] for server, of_server in by_server.items()}
        trips: Trips = defaultdict(list)
        for group, channel in memberships:
            process, mark, local = channel.partition("!")
            route = process + mark
            command: Command = (
                "group_add" if kind == JOIN else "group_discard",
                2,
                self._routes_key(group),
                self._members_key(group, route),
                route,
                local if mark else "",
            )
            if kind == JOIN:
                command += (int(self.group_expiry * 1000),)
            trips[self._ring.server_for(group)].append(command)
        if trips:
            yield trips

    def _routes(self, groups: Iterable[str]) -> Steps[dict[str, list[str]]]:
        """For each group the processes that hold members, and its members of no process; sorted."""
        trips: Trips = defaultdict(list)
        order: dict[int, list[str]] = defaultdict(list)
        for group in groups:
            server = self._ring.server_for(group)
            trips[server].append(("group_routes", 1, self._routes_key(group)))
            order[server].append(group)
        if not trips:
            return {}
        answers = yield trips
        routes: dict[str, list[str]] = {}
        for server, of_server in order.items():
            routes |= self._remember_routes(of_server, [answer[::2] for answer in answers[server]])
        return routes

    def _remember_routes(self, groups: Iterable[str], routes: Iterable[Iterable[bytes]]) -> dict[str, list[str]]:
        """Keep the routes of groups for ``_remembered_routes``."""
        if len(self._route_memory) > MOST_REMEMBERED:
            self._route_memory.clear()
        found = {
            group: sorted(route.decode() for route in of_group)
            for group, of_group in zip(groups, routes, strict=True)
        }
        self._route_memory.update(found)
        return found

    def _remembered_routes(self, groups: set[str]) -> dict[str, list[str]]:
        """What the routes of these groups were last time: of all of them, or nothing.

        Whoever sends by them has Redis check, in the same trip, that they still are the same.
        """
        memory = self._route_memory
        found = {group: routes for group in groups if (routes := memory.get(group)) is not None}
        return found if len(found) == len(groups) else {}

    def _group_channels(self, group: str) -> Steps[list[str]]:
        routes = (yield from self._routes([group]))[group]
        processes = [route for route in routes if route.endswith("!")]
        channels = [route for route in routes if not route.endswith("!")]
        if processes:
            server = self._ring.server_for(group)
            answers = yield {
                server: [("group_routes", 1, self._members_key(group, process)) for process in processes]
            }
            for process, answer in zip(processes, answers[server], strict=True):
                channels += [process + local.decode() for local in answer[::2]]
        return channels

    def _members(self, group: str, process: str, now: int) -> Steps[list[str]]:
        """The members of ``group`` in ``process``: by the table, or by Redis where the table knows of none."""
        with self._table_lock:
            members = self._table.members(group, process, now)
        if not members:
            server = self._ring.server_for(group)
            answers = yield {server: [("group_routes", 1, self._members_key(group, process))]}
            answer = answers[server][0]
            members = [process + local.decode() for local in answer[::2]]
            with self._table_lock:
                for member, ends in zip(members, answer[1::2], strict=True):
                    self._table.join(group, member, int(float(ends)) * 1000)
        return members

    def _note(self, change: Envelope, process: str, stamp: bytes) -> None:
        """Keep a change of membership that the process's queue told of."""
        channel = process + change.payload.decode("ascii")
        with self._table_lock:
            if change.kind == JOIN:
                self._table.join(change.name, channel, int(stamp))
            else:
                self._table.leave(change.name, channel)
