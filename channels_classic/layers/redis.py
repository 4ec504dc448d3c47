"""The channel layer over Redis (specification, section 3).

What a call takes is written down once, as a generator of trips, and carried out by ``_carry_out`` for threads
and by ``_acarry_out`` for an event loop. All that has to be atomic is in the ``.lua`` files.

Groups. A broadcast costs Redis the same whether a process holds ten members or ten thousand: Redis keeps for
a group only which processes hold members (its routes), and sends each of them one message. The process knows
its members because every change of membership is told to it through the same queue, so changes and messages
stay in order (``MemberTable``). A list of the members by process is kept beside that, for ``group_channels``
and for whoever reads a process's queue without having been told.

Epochs. A server is marked with an epoch when it is first read from. If the mark has changed, the server has
lost its data (it was restarted empty): what this process knows of its members is then told to it again. After
a ``flush`` the mark says so, and the process forgets instead.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from channels_classic.layers import codec, envelope, names
from channels_classic.layers.base import BaseChannelLayer, Delivery, Received
from channels_classic.layers.encryption import Cipher
from channels_classic.layers.envelope import GROUP_MESSAGE, JOIN, LEAVE, MESSAGE, STAMP_LENGTH
from channels_classic.layers.members import MemberTable
from channels_classic.layers.redis_turns import RedisTurns
from channels_classic.layers.redis_values import RedisValues
from channels_classic.layers.ring import Ring
from channels_classic.layers.servers import (
    Address,
    Command,
    Servers,
    wait_for_any,
)

logger = logging.getLogger("django.channels")

STATISTICS_SECONDS = 86400
"""How long the statistics of a process's queue stay after the last message to it."""

PAUSE_SECONDS = 3600
"""After this time a pause that was never ended (its process was killed) is forgotten."""

SHORTEST_WAIT = 0.005
"""Seconds; a server may take a shorter wait for none, which to it means for ever."""

FLUSHED = "flushed:"

Trips = dict[int, list[Command]]
"""For each server, by position, the commands of one trip."""

Result = TypeVar("Result")
Steps = Generator[Trips, dict[int, Sequence[Any]], Result]


class _Push(NamedTuple):
    """One value for one queue."""

    position: int | None
    channel: str
    body: bytes
    life: float
    limited: bool = True


class _Value(NamedTuple):
    """One value taken from a queue, and the server that it was on."""

    server: int
    channel: str
    value: bytes


def _stamp_of(value: _Value) -> bytes:
    return value.value[:STAMP_LENGTH]


class RedisChannelLayer(RedisTurns, RedisValues):
    """A channel layer between any number of processes and machines.

    Arguments:
        hosts: a list of servers: URLs, ``(host, port)`` pairs or dicts of keywords for redis-py; several share
            the load. One local server if there is none.
        prefix: of all keys; two projects on one server need two.
        stats_prefix: of the keys of statistics.
        symmetric_encryption_keys: a list of strings: messages are encrypted with the first and can be read with
            any of them.
        connection_kwargs: keywords for redis-py's connections.
        config: the keywords of ``BaseChannelLayer``.

    Raises:
        ValueError: a keyword has a value that makes no sense; the text says what would.
    """

    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, "ordering", "values"]

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        prefix: str = "asgi:",
        stats_prefix: str = "asgi-meta:",
        symmetric_encryption_keys: Sequence[str | bytes] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        super().__init__(**config)
        self.prefix = prefix
        self.stats_prefix = stats_prefix
        self._cipher = Cipher(symmetric_encryption_keys) if symmetric_encryption_keys else None
        self._servers = self._make_servers(hosts, connection_kwargs or {})
        self._ring = Ring(len(self._servers))
        self._table = MemberTable()
        self._table_lock = threading.Lock()
        self._epochs: dict[int, bytes] = {}
        self._turn = 0

    def _make_servers(self, hosts: Sequence[Any] | None, connection_kwargs: Mapping[str, Any]) -> Servers:
        if isinstance(hosts, (str, bytes, Mapping)):
            raise ValueError(f"hosts must be a list; put the single one into a list: [{hosts!r}].")
        return Servers([Address(host, connection_kwargs) for host in (hosts or ["redis://localhost:6379/0"])])

    # Messages.

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it."""
        return self._carry_out(self._exchange(deliveries, [], 0))[0]

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it."""
        return (await self._acarry_out(self._exchange(deliveries, [], 0)))[0]

    def send_and_receive(
        self, deliveries: Sequence[Delivery], channels: Sequence[str], limit: int
    ) -> tuple[list[int], list[Received]]:
        """As the contract has it, in one trip."""
        return self._carry_out(self._exchange(deliveries, self.check_channels(channels), limit))

    def receive_batch(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        """As the contract has it."""
        channels = self.check_channels(channels)
        received = self._carry_out(self._exchange([], channels, limit))[1]
        deadline = time.monotonic() + timeout
        # What comes may be no more than changes of membership: then the wait goes on.
        while not received and channels and (left := deadline - time.monotonic()) > SHORTEST_WAIT:
            if len(self._waited_on(channels)) == 1:
                received = self._carry_out(self._wait_and_receive(channels, limit, left))
            else:
                received = self._carry_out(self._open_all(self._wait_on_all(channels, left)))
        return received

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As the contract has it."""
        channels = self.check_channels(channels)
        if len(self._waited_on(channels)) != 1:
            return await super().areceive_batch(channels, limit, timeout)
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > SHORTEST_WAIT:
            received = await self._acarry_out(self._wait_and_receive(channels, limit, left))
            if received:
                return received
        return (await self._acarry_out(self._exchange([], channels, limit)))[1]

    def give_back(self, batch: Sequence[Received]) -> None:
        """As the contract has it."""
        trips: Trips = defaultdict(list)
        for received in reversed(batch):
            server, stamp, payload = received.receipt
            process, mark, local = received.channel.partition("!")
            key = self.prefix + process + mark
            trips[server] += [
                ("LPUSH", key, stamp + self._seal(MESSAGE, local, payload)),
                ("PEXPIRE", key, int(self.expiry * 1000)),
            ]
        self._carry_out(_one_trip(trips))

    def prepare(self, channel: str, message: dict[str, Any], *, checked: bool = False) -> Delivery:
        """As the contract has it; the payload is what the queue will hold."""
        delivery = super().prepare(channel, message, checked=checked)
        process, mark, local = channel.partition("!")
        return Delivery(channel, self._seal(MESSAGE, local, delivery.payload))

    def _exchange(
        self, deliveries: Sequence[Delivery], channels: list[str], limit: int
    ) -> Steps[tuple[list[int], list[Received]]]:
        """Send, then receive: in one trip, where there is one server and no group has to be looked up."""
        routes: dict[str, list[str]] = {}
        if any(delivery.to_group for delivery in deliveries):
            routes = yield from self._routes({delivery.name for delivery in deliveries if delivery.to_group})
        pushes = self._pushes(deliveries, routes)
        if len(self._servers) > 1:
            full = yield from self._send_to_several(pushes)
            yield from self._end_turns(deliveries)
            received = (yield from self._receive_from_several(channels, limit)) if channels else []
            return full, received
        trips: Trips = {0: [self._send_command(pushes)]} if pushes else {}
        self._add_turn_ends(trips, deliveries)
        asked = self._add_receive_commands(trips, channels, limit) if channels else {}
        if not trips:
            return [], []
        answers = yield trips
        full = _positions(pushes, answers[0][0]) if pushes else []
        received, more = yield from self._received(answers, asked)
        while more and not received:
            # Nothing but changes of membership, or messages past their expiry: there may be others behind.
            trips = {}
            asked = self._add_receive_commands(trips, channels, limit)
            received, more = yield from self._received((yield trips), asked)
        return full, received

    def _receive_from_several(self, channels: list[str], limit: int) -> Steps[list[Received]]:
        """Look what is there, then take the oldest."""
        received: list[Received] = []
        more = True
        while more and not received:
            counts = yield from self._peek(channels, limit)
            trips: Trips = {}
            asked = self._add_counted_receive_commands(trips, channels, counts)
            received, more = yield from self._received((yield trips), asked)
        return received

    # Sending.

    def _pushes(self, deliveries: Sequence[Delivery], routes: Mapping[str, list[str]]) -> list[_Push]:
        pushes = []
        for position, delivery in enumerate(deliveries):
            if delivery.turn_end is not None:
                continue
            if not delivery.to_group:
                pushes.append(_Push(position, delivery.name, delivery.payload, self.expiry))
                continue
            bodies: dict[bool, bytes] = {}
            for route in routes[delivery.name]:
                of_process = route.endswith("!")
                if of_process not in bodies:
                    kind, name = (GROUP_MESSAGE, delivery.name) if of_process else (MESSAGE, "")
                    bodies[of_process] = self._seal(kind, name, delivery.payload)
                pushes.append(_Push(None, route, bodies[of_process], self.expiry))
        return pushes

    def _send_to_several(self, pushes: Sequence[_Push]) -> Steps[list[int]]:
        """Send to whichever server each push belongs on; the positions of those that found their channel full.

        A normal channel has its share of the capacity on each server. All that one batch has for it goes to one
        server, so that it arrives in order, and to the next one when that is full.
        """
        full: list[int] = []
        start = random.randrange(len(self._servers))
        for attempt in range(len(self._servers)):
            last = attempt == len(self._servers) - 1
            by_server: dict[int, list[_Push]] = defaultdict(list)
            for push in pushes:
                by_server[self._home(push.channel, start + attempt)].append(push)
            answers = yield {
                server: [self._send_command(some, server, last)] for server, some in by_server.items()
            }
            refused = [some[number] for server, some in by_server.items() for number in answers[server][0]]
            spread = [push for push in refused if _is_spread(push.channel)]
            full += [push.position for push in refused if push not in spread and push.position is not None]
            pushes = spread
            if not pushes:
                break
        full += [push.position for push in pushes if push.position is not None]
        return sorted(full)

    def _send_command(self, pushes: Sequence[_Push], server: int = 0, last: bool = True) -> Command:
        keys: dict[str, int] = {}
        arguments: list[Any] = [STATISTICS_SECONDS]
        run: tuple[str, float, bool] | None = None
        count_at = 0
        for push in pushes:
            process, mark, local = push.channel.partition("!")
            queue = process + mark
            if run != (queue, push.life, push.limited):
                run = (queue, push.life, push.limited)
                number = keys.setdefault(queue, len(keys) + 1)
                capacity = self._share_of_capacity(push.channel, server) if push.limited else -1
                refusals_count = int(last or not _is_spread(queue))
                count_at = len(arguments) + 4
                arguments += [number, capacity, int(push.life * 1_000_000), refusals_count, 0]
            arguments[count_at] += 1
            arguments.append(local)
            arguments.append(push.body)
        all_keys: list[str] = []
        for queue in keys:
            all_keys += [self.prefix + queue, self._paused_key(queue), self._statistics_key(queue)]
        return ("send", len(all_keys) + 1, *all_keys, self.stats_prefix, *arguments)

    def _share_of_capacity(self, channel: str, server: int) -> int:
        capacity = self.capacity_of(channel)
        if len(self._servers) == 1 or not _is_spread(channel):
            return capacity
        share, rest = divmod(capacity, len(self._servers))
        return share + (server < rest)

    # Receiving.

    def _peek(self, channels: list[str], limit: int) -> Steps[dict[tuple[int, str], int]]:
        """How many messages to take of which channel on which server, so that the oldest come first."""
        trips: Trips = {}
        asked = self._channels_by_server(channels)
        for server, of_server in asked.items():
            keys = self._keys(of_server)
            trips[server] = [("peek", len(keys), *keys, limit)]
        answers = yield trips
        # What was sent after the first server had been asked may be newer than what that one has by now.
        newest = min(int(answers[server][0][0]) for server in asked) + int(self.expiry * 1_000_000)
        found = [
            (stamp, server, channel)
            for server, of_server in asked.items()
            for channel, stamps in zip(of_server, answers[server][0][1], strict=True)
            for stamp in stamps
            if int(stamp) <= newest or not _is_spread(channel)
        ]
        counts: dict[tuple[int, str], int] = defaultdict(int)
        share = max(1, limit // len(channels))
        taken_of: dict[str, int] = defaultdict(int)
        # Each channel its share, then whoever has more; within a channel the oldest first.
        self._turn += 1
        order = {channel: number for number, channel in enumerate(self._rotated(channels))}
        found.sort(key=lambda entry: (order[entry[2]], entry[0]))
        for within_share in (True, False):
            left = []
            for stamp, server, channel in found:
                if limit > 0 and (not within_share or taken_of[channel] < share):
                    counts[server, channel] += 1
                    taken_of[channel] += 1
                    limit -= 1
                else:
                    left.append((stamp, server, channel))
            found = left
        return counts

    def _add_receive_commands(
        self, trips: Trips, channels: list[str], limit: int, server: int = 0
    ) -> dict[int, list[str]]:
        """Put the command for one server into ``trips``; which channels it asks for, in which order."""
        self._turn += 1
        rotated = self._rotated(channels)
        keys = [self.prefix + "epoch", *self._keys(rotated)]
        trips.setdefault(server, []).append(("receive", len(keys), *keys, limit, names.random_part()))
        return {server: rotated}

    def _add_counted_receive_commands(
        self, trips: Trips, channels: list[str], counts: Mapping[tuple[int, str], int]
    ) -> dict[int, list[str]]:
        """The same for several servers, from each of which so many messages of each channel are to come."""
        asked = self._channels_by_server(channels)
        for server, of_server in asked.items():
            keys = [self.prefix + "epoch", *self._keys(of_server)]
            shares = [counts.get((server, channel), 0) for channel in of_server]
            command = ("receive", len(keys), *keys, 0, names.random_part(), *shares)
            trips.setdefault(server, []).append(command)
        return asked

    def _received(
        self, answers: Mapping[int, Sequence[Any]], asked: Mapping[int, list[str]], first: Sequence[_Value] = ()
    ) -> Steps[tuple[list[Received], bool]]:
        """The messages in the answers to the last command of each trip, and whether there was anything at all.

        Arguments:
            first: values that were taken before.
        """
        by_channel: dict[str, list[_Value]] = {}
        for value in first:
            by_channel[value.channel] = [value]
        now = b""
        for server, of_server in asked.items():
            time_there, epoch, lists = answers[server][-1]
            now = max(now, time_there)
            if self._epochs.get(server) != epoch:
                yield from self._new_epoch(server, epoch)
            for channel, of_channel in zip(of_server, lists, strict=True):
                if of_channel:
                    values = by_channel.setdefault(channel, [])
                    values += [_Value(server, channel, value) for value in of_channel]
        if len(asked) > 1:
            for channel, values in by_channel.items():
                if _is_spread(channel):
                    values.sort(key=_stamp_of)
        all_values = [value for values in by_channel.values() for value in values]
        return (yield from self._open_all(all_values, now)), bool(all_values)

    def _open_all(self, values: Iterable[_Value], now: bytes = b"") -> Steps[list[Received]]:
        """What the values of queues mean; those older than ``now`` mean nothing any more."""
        received: list[Received] = []
        for server, channel, value in values:
            stamp = value[:STAMP_LENGTH]
            if stamp < now:
                continue
            try:
                opened = envelope.open_envelope(self._decrypt(value[STAMP_LENGTH:]))
                receipt = (server, stamp, opened.payload)
                if opened.kind == MESSAGE:
                    content = codec.unpack(opened.payload)
                    received.append(Received(channel + opened.name, content, receipt))
                elif opened.kind == GROUP_MESSAGE:
                    content = codec.unpack(opened.payload)
                    sent = int(stamp) - int(self.expiry * 1_000_000)
                    members = yield from self._members(opened.name, channel, max(sent, int(now or 0)))
                    received += [Received(member, content, receipt) for member in members]
                else:
                    self._note(opened, channel, stamp)
            except ValueError as error:
                logger.error("A message on %r was dropped: %s.", channel, error)
        return received

    def _wait_and_receive(self, channels: list[str], limit: int, timeout: float) -> Steps[list[Received]]:
        """Wait for a message on one server, and take along what has come with it, in one trip."""
        (server,) = self._waited_on(channels)
        asked: dict[int, list[str]] = {}
        trips: Trips = {server: [("BLPOP", *self._keys(self._rotated(channels)), timeout)]}
        if limit > 1:
            asked = self._add_receive_commands(trips, channels, limit - 1, server)
        answers = yield trips
        popped = answers[server][0]
        if popped is None:
            return []
        first = [_Value(server, self._channel_of(popped[0]), popped[1])]
        if not asked:
            return (yield from self._open_all(first))
        received, _ = yield from self._received(answers, asked, first)
        return received

    def _wait_on_all(self, channels: list[str], timeout: float) -> list[_Value]:
        """Wait for a message on several servers; of those that come at the same time, the oldest."""
        numbers = self._waited_on(channels)
        taken = wait_for_any([self._servers.sync[number] for number in numbers], self._keys(channels), timeout)
        values = [_Value(numbers[position], self._channel_of(key), value) for position, key, value in taken]
        values.sort(key=_stamp_of)
        # The others may not be next: on the first one's server there may be more that are older.
        for server, channel, value in values[1:]:
            self._carry_out(_one_trip({server: [("LPUSH", self.prefix + channel, value)]}))
        return values[:1]

    def _waited_on(self, channels: Sequence[str]) -> list[int]:
        return sorted(self._channels_by_server(channels))

    # Groups.

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

    def release(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        self._carry_out(self._release(list(channels)))

    async def arelease(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        await self._acarry_out(self._release(list(channels)))

    def _release(self, channels: list[str]) -> Steps[None]:
        yield from self._change_membership(self._memberships_of(channels), LEAVE)
        yield from self._release_turns(channels)

    def _memberships_of(self, channels: Iterable[str]) -> list[tuple[str, str]]:
        with self._table_lock:
            return [(group, channel) for channel in channels for group in self._table.groups_of(channel)]

    def _change_membership(self, memberships: Sequence[tuple[str, str]], kind: bytes) -> Steps[None]:
        # The process is told first: a message that is sent by the new route finds the member there.
        pushes = [
            _Push(None, channel, self._seal(kind, group, local.encode()), self.group_expiry, limited=False)
            for group, channel in memberships
            for _, mark, local in [channel.partition("!")]
            if mark
        ]
        for start in range(0, len(pushes), 1000):
            by_server: dict[int, list[_Push]] = defaultdict(list)
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
        """For each group the processes that hold members, and its members of no process."""
        trips: Trips = defaultdict(list)
        order: dict[int, list[str]] = defaultdict(list)
        for group in groups:
            server = self._ring.server_for(group)
            trips[server].append(("group_routes", 1, self._routes_key(group)))
            order[server].append(group)
        answers = yield trips
        return {
            group: [route.decode() for route in answer[::2]]
            for server, of_server in order.items()
            for group, answer in zip(of_server, answers[server], strict=True)
        }

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

    def _note(self, change: envelope.Envelope, process: str, stamp: bytes) -> None:
        """Keep a change of membership that the process's queue told of."""
        channel = process + change.payload.decode("ascii")
        with self._table_lock:
            if change.kind == JOIN:
                self._table.join(change.name, channel, int(stamp))
            else:
                self._table.leave(change.name, channel)

    def _new_epoch(self, server: int, epoch: bytes) -> Steps[None]:
        known, self._epochs[server] = server in self._epochs, epoch
        if not known:
            return
        with self._table_lock:
            memberships = list(self._table)
            if epoch.startswith(FLUSHED.encode()):
                self._table.clear()
        if memberships and not epoch.startswith(FLUSHED.encode()):
            logger.warning("Redis has lost its data: telling it %d group memberships again.", len(memberships))
            yield from self._change_membership(memberships, JOIN)

    # Flow control.

    def pause(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        self._carry_out(_one_trip(self._pausing("SADD", channels)))

    async def apause(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        await self._acarry_out(_one_trip(self._pausing("SADD", channels)))

    def resume(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        self._carry_out(_one_trip(self._pausing("SREM", channels)))

    async def aresume(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        await self._acarry_out(_one_trip(self._pausing("SREM", channels)))

    def _pausing(self, command: str, channels: Iterable[str]) -> Trips:
        trips: Trips = defaultdict(list)
        for channel in channels:
            process, mark, local = channel.partition("!")
            key = self._paused_key(process + mark)
            trips[self._home(process + mark)] += [(command, key, local), ("EXPIRE", key, PAUSE_SECONDS)]
        return trips

    # Flush and statistics.

    def flush(self) -> None:
        """As the contract has it."""
        for server in self._servers.sync:
            for prefix in (self.prefix, self.stats_prefix):
                pattern = "".join(f"\\{character}" if character in "*?[]\\" else character for character in prefix)
                cursor = b"0"
                while True:
                    ((cursor, keys),) = server.trip([("SCAN", cursor, "MATCH", pattern + "*", "COUNT", 1000)])
                    if keys:
                        server.trip([("UNLINK", *keys)])
                    if cursor == b"0":
                        break
            server.trip([("SET", self.prefix + "epoch", FLUSHED + names.random_part())])
        with self._table_lock:
            self._table.clear()
        self._drop_left_over()

    def global_statistics(self) -> dict[str, int]:
        """As the contract has it."""
        answers = [server.trip([_hmget(self.stats_prefix)])[0] for server in self._servers.sync]
        return {field: sum(int(answer[number] or 0) for answer in answers) for number, field in enumerate(_FIELDS)}

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """As the contract has it."""
        names.check_channel(channel)
        queue = names.queue_name(channel)
        commands: list[Command] = [
            _hmget(self._statistics_key(queue)),
            ("LLEN", self.prefix + queue),
            ("LINDEX", self.prefix + queue, 0),
            ("TIME",),
        ]
        statistics: dict[str, float] = dict.fromkeys((*_FIELDS, "messages_pending", "messages_max_age"), 0)
        for number in self._waited_on([queue]):
            counts, pending, oldest, (seconds, microseconds) = self._servers.sync[number].trip(commands)
            for field, count in zip(_FIELDS, counts, strict=True):
                statistics[field] += int(count or 0)
            statistics["messages_pending"] += pending
            if oldest is not None:
                sent = int(oldest[:STAMP_LENGTH]) / 1_000_000 - self.expiry
                age = int(seconds) + int(microseconds) / 1_000_000 - sent
                statistics["messages_max_age"] = max(statistics["messages_max_age"], age)
        return statistics

    # Connections.

    def close(self) -> None:
        """Let go of the connections of all threads."""
        for server in self._servers.sync:
            server.close()

    async def aclose(self) -> None:
        """Let go of the connections of the event loop that runs."""
        await self._servers.close_loop()

    def _carry_out(self, steps: Steps[Result]) -> Result:
        try:
            trips = next(steps)
            while True:
                trips = steps.send(
                    {number: self._servers.sync[number].trip(commands) for number, commands in trips.items()}
                )
        except StopIteration as stop:
            result: Result = stop.value
            return result

    async def _acarry_out(self, steps: Steps[Result]) -> Result:
        servers = self._servers.of_loop()
        try:
            trips = next(steps)
            while True:
                answers = {number: await servers[number].trip(commands) for number, commands in trips.items()}
                trips = steps.send(answers)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    # Where things are.

    def _home(self, channel: str, choice: int | None = None) -> int:
        """The server for what is sent to ``channel``: always the same one but for a normal channel.

        Arguments:
            choice: says which one for a normal channel, instead of chance.
        """
        if len(self._servers) == 1:
            return 0
        if _is_spread(channel):
            return random.randrange(len(self._servers)) if choice is None else choice % len(self._servers)
        return self._ring.server_for(names.queue_name(channel))

    def _channels_by_server(self, channels: Sequence[str]) -> dict[int, list[str]]:
        by_server: dict[int, list[str]] = defaultdict(list)
        for channel in channels:
            on = range(len(self._servers)) if _is_spread(channel) else [self._home(channel)]
            for server in on:
                by_server[server].append(channel)
        return by_server

    def _rotated(self, channels: list[str]) -> list[str]:
        start = self._turn % len(channels)
        return channels[start:] + channels[:start]

    def _keys(self, channels: Iterable[str]) -> list[str]:
        return [self.prefix + channel for channel in channels]

    def _channel_of(self, key: bytes) -> str:
        return key.decode()[len(self.prefix) :]

    def _paused_key(self, queue: str) -> str:
        return f"{self.prefix}paused:{queue}"

    def _statistics_key(self, queue: str) -> str:
        return self.stats_prefix + names.kind_name(queue)

    def _routes_key(self, group: str) -> str:
        return f"{self.prefix}group:{group}"

    def _members_key(self, group: str, process: str) -> str:
        return f"{self.prefix}group:{group}:{process}"

    def _seal(self, kind: bytes, name: str, payload: bytes) -> bytes:
        body = envelope.seal(kind, name, payload)
        return body if self._cipher is None else self._cipher.encrypt(body)

    def _decrypt(self, body: bytes) -> bytes:
        return body if self._cipher is None else self._cipher.decrypt(body)


_FIELDS = ("messages_count", "channel_full_count")


def _hmget(key: str) -> Command:
    return ("HMGET", key, *_FIELDS)


def _is_spread(channel: str) -> bool:
    """Whether ``channel`` is a normal one, which all servers share."""
    return "!" not in channel and "?" not in channel


def _positions(pushes: Sequence[_Push], numbers: Iterable[int]) -> list[int]:
    return [position for number in numbers if (position := pushes[number].position) is not None]


def _one_trip(trips: Trips) -> Steps[None]:
    if trips:
        yield trips
