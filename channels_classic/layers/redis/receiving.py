"""Receiving over Redis: takes entries from the queues, and opens them.

What was taken always reaches the caller. If anything else fails, the error is raised only if nothing was taken;
otherwise the next call raises it if it lasts.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from channels_classic.layers import codec, names
from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.blocking import Waiting, wait_for_any
from channels_classic.layers.redis.connections.steps import Answers, Steps, Trips, failure_in
from channels_classic.layers.redis.connections.transport import Transport
from channels_classic.layers.redis.envelope import (
    AGAIN,
    GROUP_MESSAGE,
    LENGTH_AT,
    MESSAGE,
    NAME_AT,
    STAMP_LENGTH,
    Envelopes,
    time_of_expiry,
)
from channels_classic.layers.redis.epochs import Epochs
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Entry, Queues
from channels_classic.layers.redis.taken import Taken, last_taken
from channels_classic.layers.traffic import traffic
from channels_classic.layers.types import Delivery, Received, quick_received
from channels_classic.log import logger

LONGEST_WAIT = 4.0
"""The longest wait for a message in one call, in seconds, so that a server that hangs or has lost its data is
noticed even if nobody sends."""


class Receiving:
    """Takes entries out of queues and opens them.

    Arguments:
        transport: has the servers to wait on.
        queues: make the commands.
        placement: knows the servers of the queues.
        clocks: the clocks of the servers.
        groups: know the members of a group that a message is for.
        epochs: the epochs of the servers.
        envelopes: open the messages.
        expiry: seconds that a message lives.
    """

    def __init__(
        self,
        transport: Transport,
        queues: Queues,
        placement: Placement,
        clocks: Clocks,
        groups: Groups,
        epochs: Epochs,
        envelopes: Envelopes,
        expiry: float,
    ) -> None:
        self._transport = transport
        self._queues = queues
        self._placement = placement
        self._clocks = clocks
        self._groups = groups
        self._epochs = epochs
        self._envelopes = envelopes
        self._expiry = expiry
        self._lock = threading.Lock()
        # Messages to groups whose members could not be read. They are kept until the process receives again.
        self._unopened: list[Entry] = []
        self._foreign: set[str] = set()
        self.failed = False
        """Whether an error was left to the next call, which then must check the servers before it waits."""

    def forget(self) -> None:
        """Forget messages that were taken and could not be opened yet."""
        with self._lock:
            self._unopened.clear()

    def pass_over(self, failure: LayerUnavailable) -> None:
        """Leave an error to the next call."""
        logger.warning("Not everything could be received: %s", failure)
        self.failed = True

    def behind(
        self,
        deliveries: Sequence[Delivery],
        receiving: Steps[list[Received]],
        failure: LayerUnavailable | None = None,
    ) -> Steps[list[Received]]:
        """Receive behind sending, without letting an error of receiving hide the outcome of sending.

        Arguments:
            failure: the error of sending, if there was one.
        """
        try:
            return (yield from receiving)
        except Lapsed:
            raise
        except LayerUnavailable as error:
            if not deliveries:
                raise
            if error is not failure:
                self.pass_over(error)
            return []

    # From one server.

    def add_command(self, trips: Trips, channels: list[str], limit: int, server: int = 0) -> dict[int, list[str]]:
        """Add the command for one server to ``trips``. Returns the channels that it asks for, in their order."""
        rotated = self._queues.rotated(channels)
        trips.add(server, self._queues.receive(rotated, limit, server, trips.wait))
        return {server: rotated}

    def from_one(
        self, answers: Answers, asked: Mapping[int, list[str]], channels: list[str], limit: int
    ) -> Steps[list[Received]]:
        """The messages that ``add_command`` has asked for. If none of the entries is a message, it asks again."""
        received, more = yield from self.received(asked, last_taken(answers, asked))
        while more and not received:
            # These were only changes of membership, or expired messages. There may be others behind them.
            trips = Trips(partial=True)
            asked = self.add_command(trips, channels, limit)
            received, more = yield from self.received(asked, last_taken((yield trips), asked))
        return received

    def wait_on_one(self, server: int, channels: list[str], limit: int, timeout: float) -> Steps[list[Received]]:
        """Wait for a message on one server, and take what has come with it, in one round trip."""
        timeout = min(timeout, LONGEST_WAIT)
        trips = Trips(partial=True, wait=timeout)
        trips.add(server, self._queues.wait(self._queues.rotated(channels), timeout, server))
        asked = self.add_command(trips, channels, limit - 1, server) if limit > 1 else {}
        answers = yield trips
        # If none came in time, one may still have come before the second command.
        popped = answers[server][0]
        taken = last_taken(answers, asked)
        if isinstance(popped, LayerUnavailable):
            received, _ = yield from self.received(asked, taken, failure=popped)
        else:
            first = [self._queues.popped(server, popped)] if popped else []
            received, _ = yield from self.received(asked, taken, first)
        return received

    # From several.

    def from_several(self, channels: list[str], limit: int) -> Steps[list[Received]]:
        """Look at what is there, then take the oldest."""
        received: list[Received] = []
        more = True
        while more and not received:
            counts = yield from self.peek(channels, limit)
            trips = Trips(partial=True)
            asked = self._placement.by_server(channels)
            for server, of_server in asked.items():
                shares = [counts.get((server, channel), 0) for channel in of_server]
                trips.add(server, self._queues.receive_counted(of_server, shares, server))
            received, more = yield from self.received(asked, last_taken((yield trips), asked))
        return received

    def wait_on_all(self, channels: list[str], timeout: float) -> Steps[list[Received]]:
        """Wait in this thread for a message on several servers. Returns the oldest of those that come together."""
        numbers = self._placement.of_channels(channels)
        timeout = min(timeout, LONGEST_WAIT)
        servers = self._transport.servers
        waits = [Waiting(servers[number], (), self._queues.wait(channels, timeout, number)) for number in numbers]
        answers = [answer for (answer,) in wait_for_any(waits, timeout)]
        failure = failure_in(answers)
        entries = sorted(
            (
                self._queues.popped(number, answer)
                for number, answer in zip(numbers, answers, strict=True)
                if answer is not None and not isinstance(answer, LayerUnavailable)
            ),
            key=_stamp_of,
        )
        taken = entries[:1]
        # The others may not be next, because the server of the first one may have more messages that are older.
        for entry in entries[1:]:
            trips = Trips(partial=True)
            trips.add(entry.server, self._queues.give_back(entry.server, {entry.queue: [entry.value]}))
            if refusal := failure_in((yield trips)[entry.server]):
                failure = refusal
                if refusal.nothing_done:
                    taken.append(entry)
        received, _ = yield from self.received({}, [], taken, failure)
        return received

    def peek(self, channels: list[str], limit: int) -> Steps[dict[tuple[int, str], int]]:
        """The number of messages to take for each server and channel, so that the oldest come first."""
        trips = Trips()
        asked = self._placement.by_server(channels)
        for server, of_server in asked.items():
            trips.add(server, self._queues.peek(of_server, limit, server))
        answers = yield trips
        return self.oldest(channels, limit, asked, {server: answers[server][0] for server in asked})

    def oldest(
        self, channels: list[str], limit: int, asked: Mapping[int, list[str]], peeked: Mapping[int, Any]
    ) -> dict[tuple[int, str], int]:
        """The same, given the answers.

        Arguments:
            asked: the channels that each server was asked for, in their order.
            peeked: the answer of each server.
        """
        # Messages that were sent after the first server had answered may be newer than those that it has by now.
        newest = min(int(peeked[server][0]) for server in asked) + int(self._expiry * 1_000_000)
        found = [
            (stamp, server, channel)
            for server, of_server in asked.items()
            for channel, stamps in zip(of_server, peeked[server][1], strict=True)
            for stamp in stamps
            if time_of_expiry(stamp) <= newest or not names.is_normal(channel)
        ]
        counts: dict[tuple[int, str], int] = defaultdict(int)
        share = max(1, limit // len(channels))
        taken_of: dict[str, int] = defaultdict(int)
        # First each channel gets its share, then channels that have more. Within a channel the oldest come first.
        order = {channel: number for number, channel in enumerate(self._queues.rotated(channels))}
        found.sort(key=lambda one: (order[one[2]], one[0]))
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

    # Opening what was taken.

    def opened(self, entries: list[Entry]) -> Steps[list[Received]]:
        """The messages of entries that were taken."""
        received, _ = yield from self.received({}, [], entries)
        return received

    def received(
        self,
        asked: Mapping[int, list[str]],
        taken: Iterable[Taken | LayerUnavailable],
        first: Iterable[Entry] = (),
        failure: LayerUnavailable | None = None,
    ) -> Steps[tuple[list[Received], bool]]:
        """The messages that servers have given out, and whether there were any entries.

        Arguments:
            asked: the queues that each server was asked for.
            taken: what each has given out.
            first: entries that were taken before.
            failure: an earlier error.

        Raises:
            LayerUnavailable: something has failed, and there are no messages.
        """
        entries = [*(self._take_unopened(asked) if self._unopened else ()), *first]
        now = b""
        for given in taken:
            if isinstance(given, LayerUnavailable):
                failure = given
                continue
            self._clocks.told(given.server, given.now)
            now = max(now, given.now)
            if self._epochs.is_new(given.server, given.epoch):
                try:
                    yield from self._epochs.begin(given.server, given.epoch)
                except LayerUnavailable as error:
                    failure = error
            entries += given.entries
            if given.foreign:
                self._tell_of(given)
        if len(asked) > 1:
            entries = in_order(entries)
        received, unasked = yield from self._open_all(entries, now)
        failure = failure or unasked
        if failure is not None:
            if not received:
                raise failure
            self.pass_over(failure)
        return received, bool(entries)

    def _tell_of(self, given: Taken) -> None:
        """Log, once for each, the queues whose keys another program uses."""
        for queue in given.foreign:
            if queue not in self._foreign:
                self._foreign.add(queue)
                logger.error(
                    "Nothing can be received from %r: the key %s holds something else. Does another program use "
                    "keys with the same prefix? Set another one.",
                    queue,
                    self._queues.key(queue, given.server),
                )

    def _take_unopened(self, asked: Mapping[int, list[str]]) -> list[Entry]:
        with self._lock:
            taken = [entry for entry in self._unopened if entry.queue in asked.get(entry.server, ())]
            self._unopened = [entry for entry in self._unopened if entry not in taken]
        return taken

    def _open_all(
        self, entries: Sequence[Entry], now: bytes
    ) -> Steps[tuple[list[Received], LayerUnavailable | None]]:
        """Open entries of queues, and drop those that expired before ``now``."""
        received: list[Received] = []
        failure = None
        open_envelope, unpack = self._envelopes.open, codec.unpack
        are_plain = not self._envelopes.are_bound
        for entry in entries:
            _, channel, value = entry
            if value < now:  # it begins with its time of expiry
                traffic.expired += 1
                continue
            try:
                # The fast path. To open an envelope takes as long as to unpack a small message.
                if are_plain and value.startswith(MESSAGE, STAMP_LENGTH) and len(value) > NAME_AT:
                    length = value[LENGTH_AT]
                    end = NAME_AT + length
                    to = channel + value[NAME_AT:end].decode("ascii") if length else channel
                    received.append(quick_received((to, unpack(value[end:]), entry, 1)))
                    continue
                envelope = open_envelope(value[STAMP_LENGTH:], channel)
                kind, name, payload, expires = envelope
                if expires and expires < (int(now) if now else self._clocks.now()):
                    traffic.expired += 1
                    continue
                if kind == MESSAGE:
                    received.append(quick_received((channel + name, unpack(payload), entry, 1)))
                elif kind == AGAIN:
                    content = unpack(envelope.packed)
                    received.append(Received(channel + name, content, entry, envelope.before + 1))
                elif kind == GROUP_MESSAGE:
                    content = unpack(payload)
                    sent = int(envelope.end(entry.stamp)) - int(self._expiry * 1_000_000)
                    try:
                        members = yield from self._groups.members(name, channel, max(sent, int(now or 0)))
                    except LayerUnavailable as error:
                        failure = error
                        with self._lock:
                            self._unopened.append(entry)
                        continue
                    received += map(quick_received, zip(members, repeat(content), repeat(entry), repeat(1)))
                else:
                    self._groups.note(envelope, channel, envelope.end(entry.stamp))
            except ValueError as error:
                logger.error("A message on %r was dropped: %s.", channel, error)
        return received, failure


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Sort the entries of several servers by channel, and within each normal channel by age."""
    by_channel: dict[str, list[Entry]] = {}
    for entry in entries:
        by_channel.setdefault(entry.queue, []).append(entry)
    for channel, of_channel in by_channel.items():
        if names.is_normal(channel):
            of_channel.sort(key=_stamp_of)
    return [entry for of_channel in by_channel.values() for entry in of_channel]


def _stamp_of(entry: Entry) -> bytes:
    return entry.stamp
