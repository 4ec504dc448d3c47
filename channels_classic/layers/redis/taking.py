"""Taking over Redis: what a taker takes is in-flight until the taker is done with it (``take.lua``).

A taker's round trip is a pipeline: it sends, acknowledges the last batch, waits on the bells of its channels, and
takes. So it needs as many round trips as plain receiving does, and a worker that dies at any point leaves no gap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from channels_classic.layers import names
from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.blocking import Waiting, wait_for_any
from channels_classic.layers.redis.connections.steps import Answers, Command, Steps, Trips, failure_in
from channels_classic.layers.redis.connections.transport import Transport
from channels_classic.layers.redis.inflight import Batch
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Entry, Queues
from channels_classic.layers.redis.receiving import LONGEST_WAIT, Receiving
from channels_classic.layers.redis.registry import Registry
from channels_classic.layers.redis.taken import Taken, last_taken
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Received

UNRUNG_WAIT = 0.25
UNRUNG_SECONDS = 60.0
"""Processes of the version before ring no bells. After a message that came without a bell, waits are no longer
than ``UNRUNG_WAIT`` seconds, for ``UNRUNG_SECONDS`` seconds."""


class _View(NamedTuple):
    """What the round trips of a taker to one server have in common, with one of its channels first.

    Arguments:
        order: the channels, normal ones first.
        waits_on: the keys on which the taker waits.
        takes: the keys of the script that takes.
        ending: its last arguments.
    """

    server: int
    order: list[str]
    waits_on: list[str]
    takes: list[str]
    ending: tuple[int, str]


class Taking:
    """Takes messages for takers.

    Arguments:
        transport: has the servers to wait on.
        keys: the keys of the layer, for each server.
        queues: make the commands.
        placement: knows the servers of the queues.
        clocks: the clocks of the servers.
        registry: knows the processes of the takers.
        receiving: opens what was taken.
        expiry: seconds that a message lives.
    """

    def __init__(
        self,
        transport: Transport,
        keys: ServerKeys,
        queues: Queues,
        placement: Placement,
        clocks: Clocks,
        registry: Registry,
        receiving: Receiving,
        expiry: float,
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._queues = queues
        self._placement = placement
        self._clocks = clocks
        self._registry = registry
        self._receiving = receiving
        self._expiry = expiry
        self._unrung_until = -math.inf
        self._views = lru_cache(maxsize=256)(self._make_views)

    # One server.

    def add_commands(
        self, trips: Trips, taker: Taker, channels: list[str], limit: int, timeout: float, behind: int | None
    ) -> dict[int, list[str]]:
        """Add a taker's round trip to the only server to ``trips``. Returns its channels, in their order.

        Arguments:
            timeout: seconds to wait for a message.
            behind: the number of the shipment of the same round trip: wait only if nothing of it was refused.
        """
        trips.wait = self._longest(timeout)
        view = self._view(taker, channels, 0)
        if trips.wait:
            trips.add(0, self._acknowledge(taker, 0, behind), self._wait(view, trips.wait))
        trips.add(0, self._take(taker, view, limit, trips.wait))
        return {0: view.order}

    def from_one(
        self, answers: Answers, asked: Mapping[int, list[str]], taker: Taker, limit: int, waited: bool
    ) -> Steps[list[Received]]:
        """The messages of a round trip that ``add_commands`` has made."""
        popped = answers[0][-2] if waited else None
        taken = last_taken(answers, asked)
        if waited and popped is None and isinstance(taken[0], Taken) and taken[0].entries:
            self._unrung_until = time.monotonic() + UNRUNG_SECONDS
        first = []
        if popped is not None and not isinstance(popped, LayerUnavailable):
            first = self._popped(0, popped)
        if unseen := self._unseen(taken):
            yield from self._restore(unseen, taker)
            trips = Trips(partial=True)
            view = self._view(taker, asked[0], 0)
            trips.add(0, self._take(taker, view, limit))
            asked = {0: view.order}
            taken = last_taken((yield trips), asked)
        return (yield from self._received(asked, taken, taker, first))

    # Several servers.

    def from_several(self, channels: list[str], limit: int, taker: Taker) -> Steps[list[Received]]:
        """Look at what is there, then take the oldest."""
        while True:
            taker.ask()
            views = self._views_by_server(channels, taker)
            counts = yield from self._receiving.peek(channels, limit)
            received, unseen = yield from self._take_counted(views, counts, limit, taker)
            if received or not unseen:
                return received
            yield from self._restore(unseen, taker)

    def wait_on_all(self, channels: list[str], limit: int, timeout: float, taker: Taker) -> list[Received]:
        """Acknowledge the last batch, wait in this thread on several servers, and take the oldest messages.

        Raises:
            LayerUnavailable: a server does not answer, and there is no message.
        """
        timeout = self._longest(timeout)
        views = self._views_by_server(channels, taker)
        waits = [
            Waiting(
                self._transport.servers[server],
                [self._acknowledge(taker, server)],
                self._wait(view, timeout),
                [self._queues.peek(view.order, limit, server)],
            )
            for server, view in views.items()
        ]
        answers = wait_for_any(waits, timeout)
        return self._transport.run(self._after_wait(channels, limit, taker, views, answers))

    def _after_wait(
        self,
        channels: list[str],
        limit: int,
        taker: Taker,
        views: Mapping[int, _View],
        answers: Sequence[Sequence[Any]],
    ) -> Steps[list[Received]]:
        first = []
        for server, (popped, _) in zip(views, answers, strict=True):
            if popped is not None and not isinstance(popped, LayerUnavailable):
                first += self._popped(server, popped)
        if failure := failure_in(answer for of_server in answers for answer in of_server):
            if not first:
                raise failure
            return (yield from self._receiving.opened(first))
        peeked = {server: peek for server, (_, peek) in zip(views, answers, strict=True)}
        asked = {server: view.order for server, view in views.items()}
        counts = self._receiving.oldest(channels, limit - len(first), asked, peeked)
        # Also where all messages have to wait for the next batch: to take none of them rings their bells again.
        views = {server: view for server, view in views.items() if any(peeked[server][1])}
        if not views:
            return (yield from self._receiving.opened(first))
        if all(popped is None for popped, _ in answers):
            self._unrung_until = time.monotonic() + UNRUNG_SECONDS
        taker.ask()
        received, _ = yield from self._take_counted(views, counts, limit, taker, first)
        return received

    def _take_counted(
        self,
        views: Mapping[int, _View],
        counts: Mapping[tuple[int, str], int],
        limit: int,
        taker: Taker,
        first: Sequence[Entry] = (),
    ) -> Steps[tuple[list[Received], dict[int, Sequence[bytes]]]]:
        """Take the given number of messages for each server and channel. Returns them, and what was not seen.

        Arguments:
            first: entries that were taken before.
        """
        trips = Trips(partial=True)
        for server, view in views.items():
            shares = [counts.get((server, channel), 0) for channel in view.order]
            trips.add(server, (*self._take(taker, view, 0), *shares))
        asked = {server: view.order for server, view in views.items()}
        taken = last_taken((yield trips), asked)
        received = yield from self._received(asked, taken, taker, first)
        taker.was_full = len(received) >= limit
        return received, self._unseen(taken)

    # Commands.

    def _make_views(self, taker: str, channels: tuple[str, ...], server: int) -> list[_View]:
        """For each channel the view that has it first, so that all of them can have their turn."""
        of_server = self._keys[server]
        always = (of_server.epoch, of_server.beats, of_server.in_flight(taker))
        views = []
        for start in range(len(channels)):
            rotated = channels[start:] + channels[:start]
            normal = [channel for channel in rotated if names.is_normal(channel)]
            order = normal + [channel for channel in rotated if not names.is_normal(channel)]
            bells = [
                of_server.bell(channel) if names.is_normal(channel) else of_server.queue(channel)
                for channel in rotated
            ]
            ending = (len(normal), of_server.prefix)
            takes = [*always, *of_server.queues(order)]
            views.append(_View(server, order, [of_server.wake(taker), *bells], takes, ending))
        return views

    def _longest(self, timeout: float) -> float:
        return min(timeout, LONGEST_WAIT if time.monotonic() > self._unrung_until else UNRUNG_WAIT)

    def _acknowledge(self, taker: Taker, server: int, behind: int | None = None) -> Command:
        of_server = self._keys[server]
        keys = (of_server.in_flight(taker.name), of_server.wake(taker.name), of_server.sent(taker.name))
        return ("acknowledge", 3, *keys, taker.seen.get(server, 0), "" if behind is None else behind)

    def _views_by_server(self, channels: list[str], taker: Taker) -> dict[int, _View]:
        by_server = self._placement.by_server(channels)
        return {server: self._view(taker, names, server) for server, names in by_server.items()}

    def _view(self, taker: Taker, channels: list[str], server: int) -> _View:
        """How the taker looks at its channels in this round trip."""
        views = self._views(taker.name, tuple(channels), server)
        return views[taker.asked % len(views)]

    def _wait(self, view: _View, timeout: float) -> Command:
        return ("BLPOP", *view.waits_on, timeout)

    def _take(self, taker: Taker, view: _View, limit: int, wait: float = 0) -> Command:
        server = view.server
        # The epoch is set where there is none. This one is unique, as the name of the process is random.
        epoch = f"{taker.name}.{taker.asked}"
        process = (taker.process, self._registry.epoch(taker.process, server))
        known = (taker.number, taker.announced.get(server, b""))
        numbers = (taker.asked, taker.seen.get(server, 0))
        latest = self._clocks.latest(server, wait)
        return (
            "take",
            len(view.takes),
            *view.takes,
            limit,
            epoch,
            latest,
            *process,
            *known,
            *numbers,
            *view.ending,
        )

    # Answers.

    def _popped(self, server: int, answer: Sequence[Any]) -> list[Entry]:
        """The entry in an answer of ``BLPOP``. There is none if it was a token."""
        if answer[0].startswith(self._keys[server].of_queues):
            return [self._queues.popped(server, answer)]
        return []

    def _received(
        self,
        asked: Mapping[int, list[str]],
        taken: Sequence[Taken | LayerUnavailable],
        taker: Taker,
        first: Sequence[Entry],
    ) -> Steps[list[Received]]:
        for given in taken:
            if isinstance(given, LayerUnavailable):
                continue
            if given.has_lapsed:
                raise Lapsed(taker.process)
            # Normal channels come first; only their messages are in-flight.
            if given.entries and names.is_normal(given.entries[0].queue):
                taker.announced[given.server] = given.epoch
                taker.batch = taker.seen[given.server] = taker.asked
        received, _ = yield from self._receiving.received(asked, taken, first)
        return received

    def _unseen(self, taken: Sequence[Taken | LayerUnavailable]) -> dict[int, Sequence[bytes]]:
        """The batches that the taker has in-flight and has not seen, by server."""
        return {given.server: given.unseen for given in taken if isinstance(given, Taken) and given.unseen}

    def _restore(self, unseen: Mapping[int, Sequence[bytes]], taker: Taker) -> Steps[None]:
        """Put back what a taker has in-flight and has not received, because the answer was lost."""
        trips = Trips()
        for server, stored in unseen.items():
            batch = Batch.of(stored, self._keys[server])
            back = [(queue, value, False) for queue, value in batch.entries]
            trips.add(server, batch.settle(self._keys[server], taker.name, back, self._expiry))
        if trips:
            yield trips
