"""Receiving over Redis: what is taken from the queues, and what it means.

What was taken always comes to the caller: a failure of anything else is only raised if nothing was, and else left
to the next call to meet.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from channels_classic.layers import codec, names
from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.blocking import wait_for_any
from channels_classic.layers.redis.connections.steps import Answers, Steps, Trips, failure_in
from channels_classic.layers.redis.connections.transport import Transport
from channels_classic.layers.redis.envelope import AGAIN, GROUP_MESSAGE, MESSAGE, Envelopes, time_of_expiry
from channels_classic.layers.redis.epochs import Epochs
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Entry, Queues
from channels_classic.layers.traffic import traffic
from channels_classic.layers.types import Delivery, Received
from channels_classic.log import logger

LONGEST_WAIT = 4.0
"""Seconds to wait for a message at a stretch, so that a server that hangs, or has lost its data, is noticed though
nobody sends."""


class Receipt(NamedTuple):
    """The data that are needed to give a message back.

    Arguments:
        server: that it was on.
        stamp: when it ends.
        payload: the packed message.
        before: how often it was handed out before.
        value: the entry of the queue, as it was.
    """

    server: int
    stamp: bytes
    payload: bytes
    before: int
    value: bytes


class Receiving:
    """Takes entries out of queues and opens them.

    Arguments:
        transport: has the servers to wait on.
        queues: make the commands.
        placement: of the queues.
        clocks: of the servers.
        groups: know the members of a group that a message is for.
        epochs: of the servers.
        envelopes: of the messages.
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
        # Messages to groups whose members could not be asked for, until the process receives again.
        self._unopened: list[Entry] = []
        self.failed = False
        """Whether a failure was left to the next call to meet: it has to look before it waits."""

    def forget(self) -> None:
        """Forget what was taken and could not be opened."""
        with self._lock:
            self._unopened.clear()

    def pass_over(self, failure: LayerUnavailable) -> None:
        """Leave it to the next call to meet a failure."""
        logger.warning("Not everything could be received: %s", failure)
        self.failed = True

    def behind(
        self,
        deliveries: Sequence[Delivery],
        receiving: Steps[list[Received]],
        failure: LayerUnavailable | None = None,
    ) -> Steps[list[Received]]:
        """Receive; if there were messages to send, what became of them is to be told though receiving fails.

        Arguments:
            failure: that of sending.
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
        """Put the command for one server into ``trips``; which channels it asks for, in which order."""
        rotated = self._queues.rotated(channels)
        trips.add(server, self._queues.receive(rotated, limit, server, trips.wait))
        return {server: rotated}

    def from_one(
        self, answers: Answers, asked: Mapping[int, list[str]], channels: list[str], limit: int
    ) -> Steps[list[Received]]:
        """The messages that ``add_command`` has asked for. If there was none among the entries, ask again."""
        received, more = yield from self.received(answers, asked)
        while more and not received:
            # Nothing but changes of membership, or messages past their expiry: there may be others behind.
            trips = Trips(partial=True)
            asked = self.add_command(trips, channels, limit)
            received, more = yield from self.received((yield trips), asked)
        return received

    def wait_on_one(self, server: int, channels: list[str], limit: int, timeout: float) -> Steps[list[Received]]:
        """Wait for a message on one server, and take along what has come with it, in one round trip."""
        timeout = min(timeout, LONGEST_WAIT)
        trips = Trips(partial=True, wait=timeout)
        trips.add(server, self._queues.wait(self._queues.rotated(channels), timeout))
        asked = self.add_command(trips, channels, limit - 1, server) if limit > 1 else {}
        answers = yield trips
        # If none came in time, one may still have come before the rest of the round trip.
        popped = answers[server][0]
        if isinstance(popped, LayerUnavailable):
            received, _ = yield from self.received(answers, asked, failure=popped)
        else:
            first = [self._queues.popped(server, popped)] if popped else []
            received, _ = yield from self.received(answers, asked, first)
        return received

    # From several.

    def from_several(self, channels: list[str], limit: int) -> Steps[list[Received]]:
        """Look what is there, then take the oldest."""
        received: list[Received] = []
        more = True
        while more and not received:
            counts = yield from self.peek(channels, limit)
            trips = Trips(partial=True)
            asked = self._placement.by_server(channels)
            for server, of_server in asked.items():
                shares = [counts.get((server, channel), 0) for channel in of_server]
                trips.add(server, self._queues.receive_counted(of_server, shares, server))
            received, more = yield from self.received((yield trips), asked)
        return received

    def wait_on_all(self, channels: list[str], timeout: float) -> Steps[list[Received]]:
        """Wait, by this thread, for a message on several servers; the oldest of those that come together."""
        numbers = self._placement.of_channels(channels)
        servers = [self._transport.servers[number] for number in numbers]
        timeout = min(timeout, LONGEST_WAIT)
        answers = wait_for_any(servers, self._queues.wait(channels, timeout), timeout)
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
        # The others may not be next: on the first one's server there may be more that are older.
        for entry in entries[1:]:
            trips = Trips(partial=True)
            trips.add(entry.server, self._queues.give_back({entry.queue: [entry.value]}))
            if refusal := failure_in((yield trips)[entry.server]):
                failure = refusal
                if refusal.nothing_done:
                    taken.append(entry)
        received, _ = yield from self.received({}, {}, taken, failure)
        return received

    def peek(self, channels: list[str], limit: int) -> Steps[dict[tuple[int, str], int]]:
        """How many messages to take of which channel on which server, so that the oldest come first."""
        trips = Trips()
        asked = self._placement.by_server(channels)
        for server, of_server in asked.items():
            trips.add(server, self._queues.peek(of_server, limit))
        answers = yield trips
        # What was sent after the first server had been asked may be newer than what that one has by now.
        newest = min(int(answers[server][0][0]) for server in asked) + int(self._expiry * 1_000_000)
        found = [
            (stamp, server, channel)
            for server, of_server in asked.items()
            for channel, stamps in zip(of_server, answers[server][0][1], strict=True)
            for stamp in stamps
            if time_of_expiry(stamp) <= newest or not names.is_normal(channel)
        ]
        counts: dict[tuple[int, str], int] = defaultdict(int)
        share = max(1, limit // len(channels))
        taken_of: dict[str, int] = defaultdict(int)
        # Each channel its share, then whoever has more; within a channel the oldest first.
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

    # What was taken.

    def opened(self, entries: list[Entry]) -> Steps[list[Received]]:
        """The messages of entries that were taken."""
        received, _ = yield from self.received({}, {}, entries)
        return received

    def received(
        self,
        answers: Answers,
        asked: Mapping[int, list[str]],
        first: Iterable[Entry] = (),
        failure: LayerUnavailable | None = None,
    ) -> Steps[tuple[list[Received], bool]]:
        """The messages in the answers to the last command for each server, and whether there was anything at all.

        Arguments:
            first: entries that were taken before.
            failure: what has failed before.

        Raises:
            LayerUnavailable: something has failed, and there is no message.
        """
        if self._unopened:
            first = [*self._take_unopened(asked), *first]
        taken: list[Entry] = list(first)
        now = b""
        for server, of_server in asked.items():
            answer = answers[server][-1]
            if isinstance(answer, LayerUnavailable):
                failure = answer
                continue
            time_there, epoch, lists = answer[:3]
            self._clocks.told(server, time_there)
            now = max(now, time_there)
            if self._epochs.is_new(server, epoch):
                try:
                    yield from self._epochs.begin(server, epoch)
                except LayerUnavailable as error:
                    failure = error
            for channel, of_channel in zip(of_server, lists, strict=True):
                if of_channel:
                    taken += [Entry(server, channel, value) for value in of_channel]
        all_entries = in_order(taken, several=len(asked) > 1)
        received, unasked = yield from self._open_all(all_entries, now)
        failure = failure or unasked
        if failure is not None:
            if not received:
                raise failure
            self.pass_over(failure)
        return received, bool(all_entries)

    def _take_unopened(self, asked: Mapping[int, list[str]]) -> list[Entry]:
        with self._lock:
            taken = [entry for entry in self._unopened if entry.queue in asked.get(entry.server, ())]
            self._unopened = [entry for entry in self._unopened if entry not in taken]
        return taken

    def _open_all(
        self, entries: Sequence[Entry], now: bytes
    ) -> Steps[tuple[list[Received], LayerUnavailable | None]]:
        """Open entries of queues. Those that expired before ``now`` are dropped."""
        received: list[Received] = []
        failure = None
        for entry in entries:
            server, channel, value = entry
            stamp = entry.stamp
            if stamp < now:
                traffic.expired += 1
                continue
            try:
                opened = self._envelopes.open(value[len(stamp) :], channel)
                kind, name, payload, expires = opened
                if expires:
                    if expires < (int(now) if now else self._clocks.now()):
                        traffic.expired += 1
                        continue
                    # Whoever can write to Redis may have prolonged what the queue tells.
                    stamp = min(stamp, b"%016d" % expires)
                receipt = Receipt(server, stamp, opened.packed, opened.before, value)
                if kind in (MESSAGE, AGAIN):
                    content = codec.unpack(receipt.payload)
                    received.append(Received(channel + name, content, receipt, receipt.before + 1))
                elif kind == GROUP_MESSAGE:
                    content = codec.unpack(payload)
                    sent = int(stamp) - int(self._expiry * 1_000_000)
                    try:
                        members = yield from self._groups.members(name, channel, max(sent, int(now or 0)))
                    except LayerUnavailable as error:
                        failure = error
                        with self._lock:
                            self._unopened.append(entry)
                        continue
                    received += [Received(member, content, receipt) for member in members]
                else:
                    self._groups.note(opened, channel, stamp)
            except ValueError as error:
                logger.error("A message on %r was dropped: %s.", channel, error)
        return received, failure


def in_order(entries: Iterable[Entry], several: bool) -> list[Entry]:
    """Put the entries of a batch into the order in which the reader gets them: channel by channel.

    Arguments:
        several: whether it is from several servers. Then the oldest come first in each normal channel.
    """
    by_channel: dict[str, list[Entry]] = {}
    for entry in entries:
        by_channel.setdefault(entry.queue, []).append(entry)
    if several:
        for channel, of_channel in by_channel.items():
            if names.is_normal(channel):
                of_channel.sort(key=_stamp_of)
    return [entry for of_channel in by_channel.values() for entry in of_channel]


def _stamp_of(entry: Entry) -> bytes:
    return entry.stamp
