"""Receiving over Redis: what is taken from the queues, and what it means.

Epochs. A server is marked with an epoch when it is first read from. If the mark has changed, the server has
lost its data (it was restarted empty): what this process knows of its members is then told to it again. After
a ``flush`` the mark says so, and the process forgets instead.

Failures. What was taken always comes to the caller: a failure of anything else is only raised if nothing was, and
else left to the next call to meet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from channels_classic.layers import codec, names
from channels_classic.layers.base import Received
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis import envelope
from channels_classic.layers.redis.core import Attempt, Steps, Trips, is_spread
from channels_classic.layers.redis.envelope import GROUP_MESSAGE, JOIN, MESSAGE, STAMP_LENGTH, time_of_expiry
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.servers import Command, failure_in
from channels_classic.layers.redis.waiting import wait_for_any
from channels_classic.log import logger

FLUSHED = "flushed:"


class Value(NamedTuple):
    """One value taken from a queue, and the server that it was on."""

    server: int
    channel: str
    value: bytes


def _stamp_of(value: Value) -> bytes:
    return value.value[:STAMP_LENGTH]


class Receiving(Groups):
    """The part of ``RedisChannelLayer`` that receives."""

    def _receive_from_one(
        self, answers: Mapping[int, Sequence[Any]], asked: Mapping[int, list[str]], channels: list[str], limit: int
    ) -> Steps[list[Received]]:
        """What was asked for, or what comes next if that was no message."""
        received, more = yield from self._received(answers, asked)
        while more and not received:
            # Nothing but changes of membership, or messages past their expiry: there may be others behind.
            trips: Trips = Attempt()
            asked = self._add_receive_commands(trips, channels, limit)
            received, more = yield from self._received((yield trips), asked)
        return received

    def _receive_from_several(self, channels: list[str], limit: int) -> Steps[list[Received]]:
        """Look what is there, then take the oldest."""
        received: list[Received] = []
        more = True
        while more and not received:
            counts = yield from self._peek(channels, limit)
            trips: Trips = Attempt()
            asked = self._add_counted_receive_commands(trips, channels, counts)
            received, more = yield from self._received((yield trips), asked)
        return received

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
            if time_of_expiry(stamp) <= newest or not is_spread(channel)
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
        self,
        answers: Mapping[int, Sequence[Any]],
        asked: Mapping[int, list[str]],
        first: Iterable[Value] = (),
        failure: LayerUnavailable | None = None,
    ) -> Steps[tuple[list[Received], bool]]:
        """The messages in the answers to the last command of each trip, and whether there was anything at all.

        Arguments:
            first: values that were taken before.
            failure: what has failed before.

        Raises:
            LayerUnavailable: something has failed, and there is no message.
        """
        by_channel: dict[str, list[Value]] = {}
        if self._unopened:
            first = [*self._take_unopened(asked), *first]
        for value in first:
            by_channel.setdefault(value.channel, []).append(value)
        now = b""
        for server, of_server in asked.items():
            answer = answers[server][-1]
            if isinstance(answer, LayerUnavailable):
                failure = answer
                continue
            time_there, epoch, lists = answer
            now = max(now, time_there)
            if self._epochs.get(server) != epoch:
                try:
                    yield from self._new_epoch(server, epoch)
                except LayerUnavailable as error:
                    failure = error
            for channel, of_channel in zip(of_server, lists, strict=True):
                if of_channel:
                    values = by_channel.setdefault(channel, [])
                    values += [Value(server, channel, value) for value in of_channel]
        if len(asked) > 1:
            for channel, values in by_channel.items():
                if is_spread(channel):
                    values.sort(key=_stamp_of)
        all_values = [value for values in by_channel.values() for value in values]
        received, unasked = yield from self._open_all(all_values, now)
        failure = failure or unasked
        if failure is not None:
            if not received:
                raise failure
            self._pass_over(failure)
        return received, bool(all_values)

    def _pass_over(self, failure: LayerUnavailable) -> None:
        """Leave it to the next call to meet a failure."""
        logger.warning("Not everything could be received: %s", failure)
        self._broken = True

    def _take_unopened(self, asked: Mapping[int, list[str]]) -> list[Value]:
        with self._table_lock:
            taken = [value for value in self._unopened if value.channel in asked.get(value.server, ())]
            self._unopened = [value for value in self._unopened if value not in taken]
        return taken

    def _open_all(
        self, values: Iterable[Value], now: bytes
    ) -> Steps[tuple[list[Received], LayerUnavailable | None]]:
        """What the values of queues mean; those older than ``now`` mean nothing any more."""
        received: list[Received] = []
        failure = None
        for entry in values:
            server, channel, value = entry
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
                    try:
                        members = yield from self._members(opened.name, channel, max(sent, int(now or 0)))
                    except LayerUnavailable as error:
                        failure = error
                        with self._table_lock:
                            self._unopened.append(entry)
                        continue
                    received += [Received(member, content, receipt) for member in members]
                else:
                    self._note(opened, channel, stamp)
            except ValueError as error:
                logger.error("A message on %r was dropped: %s.", channel, error)
        return received, failure

    def _wait_and_receive(self, channels: list[str], limit: int, timeout: float) -> Steps[list[Received]]:
        """Wait for a message on one server, and take along what has come with it, in one trip."""
        (server,) = self._waited_on(channels)
        asked: dict[int, list[str]] = {}
        timeout = min(timeout, self._servers.sync[server].longest_wait)
        trips: Trips = Attempt({server: [("BLPOP", *self._keys(self._rotated(channels)), timeout)]})
        if limit > 1:
            asked = self._add_receive_commands(trips, channels, limit - 1, server)
        answers = yield trips
        # If none came in time, one may still have come before the rest of the trip.
        popped = answers[server][:1]
        received, _ = yield from self._received(answers, asked, self._popped([server], popped), failure_in(popped))
        return received

    def _wait_on_all(self, channels: list[str], timeout: float) -> Steps[list[Received]]:
        """Wait for a message on several servers; of those that come at the same time, the oldest."""
        numbers = self._waited_on(channels)
        popped = wait_for_any([self._servers.sync[number] for number in numbers], self._keys(channels), timeout)
        failure = failure_in(popped)
        values = sorted(self._popped(numbers, popped), key=_stamp_of)
        taken = values[:1]
        # The others may not be next: on the first one's server there may be more that are older.
        for server, channel, value in values[1:]:
            answers = yield Attempt({server: [self._give_back_command({self.prefix + channel: [value]})]})
            if refusal := failure_in(answers[server]):
                failure = refusal
                if refusal.nothing_done:
                    taken.append(Value(server, channel, value))
        received, _ = yield from self._received({}, {}, taken, failure)
        return received

    def _popped(self, servers: Iterable[int], answers: Iterable[Any]) -> list[Value]:
        """The values in the answers of servers to ``BLPOP``."""
        return [
            Value(server, self._channel_of(answer[0]), answer[1])
            for server, answer in zip(servers, answers, strict=True)
            if answer is not None and not isinstance(answer, LayerUnavailable)
        ]

    def _give_back_command(self, values: Mapping[str, Sequence[bytes]]) -> Command:
        """The command for one server that puts values in front of their queues.

        Arguments:
            values: of each queue, by its key, from the last to the first.
        """
        numbered = [(number, value) for number, key in enumerate(values, 1) for value in values[key]]
        pairs = [part for pair in numbered for part in pair]
        return ("give_back", len(values), *values, int(self.expiry * 1000), *pairs)

    def _waited_on(self, channels: Sequence[str]) -> list[int]:
        return sorted(self._channels_by_server(channels))

    def _new_epoch(self, server: int, epoch: bytes) -> Steps[None]:
        flushed = epoch.startswith(FLUSHED.encode())
        memberships: list[tuple[str, str]] = []
        if server in self._epochs:
            with self._table_lock:
                memberships = list(self._table)
                if flushed:
                    self._table.clear()
        if memberships and not flushed:
            logger.warning("Redis has lost its data: telling it %d group memberships again.", len(memberships))
            yield from self._change_membership(memberships, JOIN)
        self._epochs[server] = epoch  # only now: it is tried again if the server went away in between
