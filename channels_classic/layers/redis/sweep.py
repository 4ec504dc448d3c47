"""The sweep over Redis: gives to others what a dead process had, and removes what it owned.

A sweep is a sequence of steps, and may be killed between any two. Each step can be repeated: it finds nothing left
to do, or has no effect the second time. Until the last step the process is known as dead, so another process
finishes the sweep with its next heartbeat. The steps in their order:

1. The sweep claims the process. From here on the scripts refuse what the process does (``claim.lua``).
2. For each batch that its takers have in-flight, it answers the clients of lost messages, passes over or suspends
   turns, and keeps dead letters. Then one script puts back what goes back, and ends the batch (``settle.lua``).
3. It ends the streaming answers of the process.
4. It sends the wills of the sockets, each in the step that forgets the socket (``goodbye.lua``).
5. It ends the memberships, then removes the queues and all other keys of the process.
6. It removes the process from the registry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from channels_classic.layers import codec, names
from channels_classic.layers.redelivery import (
    BAD_GATEWAY,
    LOST_GOODBYE_CHANNEL,
    Fate,
    Rules,
    answer_to,
    is_lost_goodbye,
    own_queues,
    progress_of,
    turn_of,
)
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.steps import Steps, Trips
from channels_classic.layers.redis.envelope import AGAIN, MESSAGE, STAMP_LENGTH, Envelope, Envelopes
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.inflight import Batch
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.letters import DeadLetters
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Entry, Push, Queues
from channels_classic.layers.redis.receiving import in_order
from channels_classic.layers.redis.registry import Registry
from channels_classic.layers.redis.sockets import Sockets
from channels_classic.layers.redis.turns import Turns
from channels_classic.layers.takers import taker_name
from channels_classic.layers.tracking import Started
from channels_classic.layers.types import Lost, Process, Swept
from channels_classic.log import logger

LEASE_SECONDS = 10.0
"""Seconds after which another process can go on with a sweep that does nothing any more."""


class _Message(NamedTuple):
    """A message that was in-flight, and where it was."""

    entry: Entry
    opened: Envelope
    content: dict[str, Any]


class Sweeps:
    """Sweeps dead processes, and removes those that end normally.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of everything.
        clocks: the clocks of the servers.
        envelopes: seal what is sent and put back.
        queues, groups, turns, registry, sockets, letters: the parts of the layer that know something about a
            process.
        expiry: seconds that a message lives.
    """

    def __init__(
        self,
        keys: ServerKeys,
        placement: Placement,
        clocks: Clocks,
        envelopes: Envelopes,
        queues: Queues,
        groups: Groups,
        turns: Turns,
        registry: Registry,
        sockets: Sockets,
        letters: DeadLetters,
        expiry: float,
    ) -> None:
        self._keys = keys
        self._placement = placement
        self._clocks = clocks
        self._envelopes = envelopes
        self._queues = queues
        self._groups = groups
        self._turns = turns
        self._registry = registry
        self._sockets = sockets
        self._letters = letters
        self._expiry = expiry

    def sweep(self, process: Process, rules: Rules, started: Started) -> Steps[Swept | None]:
        """Sweep a process. Returns ``None`` if somebody else does, or it has ended meanwhile.

        Arguments:
            rules: decide about the messages that it had in-flight.
            started: tells how many of them were started.
        """
        name = process.name
        if not (yield from self._registry.claim(name, names.random_part(), LEASE_SECONDS, known=True)):
            return None
        if self._envelopes.are_bound and self._clocks.are_unknown:
            yield from self._clocks.ask(self._placement.count)
        counts = dict.fromkeys(Fate, 0)
        lost: list[Lost] = []
        takers = yield from self._takers(name)
        batches = yield from self._in_flight(name, takers)
        how_many = started(process) if batches else {}
        for taker, by_server in batches.items():
            for number in sorted({batch.number for batch in by_server.values()}):
                same = {server: batch for server, batch in by_server.items() if batch.number == number}
                messages = self._messages(same)
                progress = progress_of(how_many, process, taker, number, len(messages))
                fates = [
                    rules.fate(message.entry.queue, message.opened.before + 1, place, progress)
                    for place, message in enumerate(messages)
                ]
                yield from self._tell(f"{taker}.{number}", messages, fates, rules)
                if (yield from self._put_back(taker, same, messages, fates)):
                    for message, fate in zip(messages, fates, strict=True):
                        counts[fate] += 1
                        if fate is Fate.LOST:
                            lost.append(Lost(message.entry.queue, message.content))
                yield from self._registry.renew(name, LEASE_SECONDS)
        yield from self._end_answers(name)
        goodbyes = yield from self._sockets.send_wills(name, partial(self._release, name))
        yield from self._remove(name, takers)
        return Swept(counts[Fate.BACK], counts[Fate.AGAIN], counts[Fate.DEAD_LETTER], lost, goodbyes)

    def depart(self, process: str) -> Steps[None]:
        """Remove a process that ends normally. If it was declared dead meanwhile, its sweep goes on."""
        if (yield from self._registry.claim(process, names.random_part(), LEASE_SECONDS)):
            yield from self._remove(process, (yield from self._takers(process)))

    # In-flight messages.

    def _takers(self, process: str) -> Steps[list[int]]:
        trips = Trips()
        for server in range(self._placement.count):
            trips.add(server, ("SMEMBERS", self._keys[server].takers(process)))
        answers = yield trips
        return sorted({int(number) for of_server in answers.values() for number in of_server[0]})

    def _in_flight(self, process: str, takers: Iterable[int]) -> Steps[dict[str, dict[int, Batch]]]:
        """For each taker with an in-flight batch, that batch on each server."""
        trips = Trips()
        order = [taker_name(process, number) for number in takers]
        for server in range(self._placement.count):
            for taker in order:
                trips.add(server, ("LRANGE", self._keys[server].in_flight(taker), 0, -1))
        batches: dict[str, dict[int, Batch]] = defaultdict(dict)
        if trips:
            answers = yield trips
            for server, of_server in answers.items():
                for taker, stored in zip(order, of_server, strict=True):
                    if stored:
                        batches[taker][server] = Batch.of(stored, self._keys[server])
        return batches

    def _messages(self, batches: Mapping[int, Batch]) -> list[_Message]:
        """Open a batch: exactly the messages that its taker received, in the same order."""
        entries = [
            Entry(server, queue, value) for server, batch in batches.items() for queue, value in batch.entries
        ]
        now = max(batch.taken for batch in batches.values())
        messages = []
        for entry in in_order(entries) if self._placement.count > 1 else entries:
            if entry.stamp < now:
                continue
            try:
                opened = self._envelopes.open(entry.value[STAMP_LENGTH:], entry.queue)
                if opened.kind in (MESSAGE, AGAIN) and not 0 < opened.expires < int(now):
                    messages.append(_Message(entry, opened, codec.unpack(opened.packed)))
            except ValueError as error:
                logger.error("A message on %r was dropped: %s.", entry.queue, error)
        return messages

    def _tell(self, batch: str, messages: list[_Message], fates: list[Fate], rules: Rules) -> Steps[None]:
        """Tell clients and turns which messages do not run any more, and which run again."""
        for number, (message, fate) in enumerate(zip(messages, fates, strict=True)):
            channel = message.entry.queue
            turn = turn_of(channel, message.content)
            if fate is Fate.AGAIN and turn is not None:
                yield from self._turns.suspend(turn, forced=True)
            if fate not in (Fate.LOST, Fate.DEAD_LETTER):
                continue
            if fate is Fate.DEAD_LETTER:
                deliveries = message.opened.before + 1
                letter = (f"{batch}.{number}", channel, message.opened.packed, deliveries)
                yield from self._letters.keep(*letter, rules.reason(deliveries))
            if (answer := answer_to(Lost(channel, message.content))) is not None:
                yield from self._reply(*answer)
            if turn is not None:
                yield from self._turns.lose(turn)
                if is_lost_goodbye(channel, fate):  # the client has left, so its turns need not stay for a day
                    yield from self._turns.release([turn.reply_channel])

    def _put_back(
        self, taker: str, batches: Mapping[int, Batch], messages: list[_Message], fates: list[Fate]
    ) -> Steps[bool]:
        """Put back what goes back, and end a batch. Returns whether the batch was still there."""
        back: dict[int, list[tuple[str, bytes, bool]]] = defaultdict(list)
        expires = self._clocks.now() + int(self._expiry * 1_000_000)
        for (entry, opened, _), fate in zip(messages, fates, strict=True):
            if fate is Fate.BACK:
                back[entry.server].append((entry.queue, entry.value, False))
            elif fate is Fate.AGAIN:
                body = self._envelopes.seal_message("", opened.packed, opened.before + 1, entry.queue, expires)
                back[entry.server].append((entry.queue, body, True))
            elif is_lost_goodbye(entry.queue, fate):
                body = self._envelopes.seal_message("", opened.packed, 0, LOST_GOODBYE_CHANNEL, expires)
                back[entry.server].append((LOST_GOODBYE_CHANNEL, body, True))
        trips = Trips()
        for server, batch in batches.items():
            trips.add(server, batch.settle(self._keys[server], taker, back[server], self._expiry))
        answers = yield trips
        return any(of_server[0] for of_server in answers.values())

    # The rest.

    def _reply(self, channel: str, content: dict[str, Any]) -> Steps[None]:
        """Send an answer to a client instead of a worker that has died."""
        process, mark, local = channel.partition("!")
        expires = self._clocks.now() + int(self._expiry * 1_000_000)
        body = self._envelopes.seal(MESSAGE, local, codec.pack(content), process + mark, expires)
        server = self._placement.of_channel(channel)
        trips = Trips()
        trips.add(server, self._queues.send([Push(None, channel, body, self._expiry)], server, urgent=False))
        yield trips

    def _end_answers(self, process: str) -> Steps[None]:
        server = self._placement.of(process)
        key = self._keys[server].answers(process)
        trips = Trips()
        trips.add(server, ("SMEMBERS", key))
        for channel in (yield trips)[server][0]:
            yield from self._reply(channel.decode(), BAD_GATEWAY)
            trips = Trips()
            trips.add(server, ("SREM", key, channel))
            yield trips

    def _release(self, process: str, channels: list[str]) -> Steps[None]:
        """Let the turns of sockets end soon after their wills are handled, and renew the claim of the sweep."""
        yield from self._turns.release(channels)
        yield from self._registry.renew(process, LEASE_SECONDS)

    def _remove(self, process: str, takers: list[int]) -> Steps[None]:
        """Remove what a process owned, and then the process itself."""
        queues = own_queues(process, max(takers, default=-1) + 1)
        trips = Trips()
        for server in range(self._placement.count):
            trips.add(server, *(("SMEMBERS", self._keys[server].joined(queue)) for queue in queues))
        answers = yield trips
        for number, queue in enumerate(queues):
            joined = {
                server: [group.decode() for group in of_server[number]] for server, of_server in answers.items()
            }
            yield from self._groups.end(queue, joined)
        trips = Trips()
        for server in range(self._placement.count):
            keys = self._keys[server]
            for queue in queues:
                of_queue = (keys.queue(queue), keys.paused(queue), keys.statistics(queue), keys.joined(queue))
                trips.add(server, ("UNLINK", *of_queue))
        yield trips
        trips = Trips()
        for server in range(self._placement.count):
            keys = self._keys[server]
            owned = [keys.clients(process), keys.orders(process), keys.answers(process), keys.takers(process)]
            owned.append(keys.handed(process))
            for taker in (taker_name(process, number) for number in takers):
                owned += [keys.in_flight(taker), keys.wake(taker), keys.sent(taker)]
            trips.add(server, ("UNLINK", *owned))
        yield trips
        yield from self._registry.remove(process)
