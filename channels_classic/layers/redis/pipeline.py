"""A taker's round trip to the only server, as one pipeline.

It sends the messages of consumers, ends their turns, acknowledges the last batch, waits, and takes the next batch.
The turns end, and the wait begins, only if no message was refused before: then ``send.lua`` leaves a mark, which
the other scripts look for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.connections.steps import Steps, Trips, failure_in, nothing_done_yet
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.queues import Origin, Push, Queues
from channels_classic.layers.redis.receiving import Receiving
from channels_classic.layers.redis.registry import Registry
from channels_classic.layers.redis.sending import Sending, positions
from channels_classic.layers.redis.taking import Taking
from channels_classic.layers.redis.turns import Turns
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Delivery, Received


class Pipeline:
    """Makes such round trips.

    Arguments:
        queues: make the commands.
        groups: know the routes.
        turns: end turns.
        sending, receiving, taking: the parts with these names.
        registry: knows the process of the taker.
    """

    def __init__(
        self,
        queues: Queues,
        groups: Groups,
        turns: Turns,
        sending: Sending,
        receiving: Receiving,
        taking: Taking,
        registry: Registry,
    ) -> None:
        self._queues = queues
        self._groups = groups
        self._turns = turns
        self._sending = sending
        self._receiving = receiving
        self._taking = taking
        self._registry = registry

    def send_and_take(
        self, deliveries: Sequence[Delivery], channels: list[str], limit: int, taker: Taker, timeout: float
    ) -> Steps[tuple[list[int], list[Received]]]:
        """Send, end turns, acknowledge the last batch, wait, and take: all in one pipeline."""
        groups = {delivery.name for delivery in deliveries if delivery.to_group}
        remembered = self._groups.remembered(groups)
        pushes = self._sending.pushes(
            deliveries, remembered or (yield from nothing_done_yet(self._groups.routes(groups)))
        )
        ends = [position for position, delivery in enumerate(deliveries) if delivery.turn_end is not None]
        sends = bool(pushes or remembered)
        number = taker.ask()
        origin = self._registry.origin(taker, 0, number if sends and (ends or timeout) else None)
        trips = Trips(partial=True)
        self._add_sends(trips, deliveries, pushes, remembered, origin)
        asked = {}
        if channels:
            depends = sends and timeout > 0
            asked = self._taking.add_commands(trips, taker, channels, limit, timeout, depends)
        if not trips:
            return [], []
        answers = yield trips
        outcome = answers[0][: sends + len(ends)]
        full: list[int] = []
        failure = self._failure(outcome, sends)
        if failure is None:
            try:
                full = yield from self._settle(deliveries, pushes, remembered, ends, outcome, origin)
            except Lapsed:
                raise
            except LayerUnavailable as error:
                failure = error
        received: list[Received] = []
        if channels:
            receiving = self._taking.from_one(answers, asked, taker, limit, waited=trips.wait > 0)
            received = yield from self._receiving.behind(deliveries, receiving, failure)
            taker.was_full = len(received) >= limit
        if failure is not None:
            failure.received = received
            raise failure
        return full, received

    def _add_sends(
        self,
        trips: Trips,
        deliveries: Sequence[Delivery],
        pushes: Sequence[Push],
        remembered: Mapping[str, list[str]],
        origin: Origin,
    ) -> None:
        if pushes or remembered:
            trips.add(0, self._queues.send(pushes, remembered=remembered, origin=origin))
        self._turns.add_ends(trips, deliveries, origin)

    def _failure(self, outcome: Sequence[Any], sends: bool) -> LayerUnavailable | None:
        """The error of sending, if there was one. Its ``nothing_done`` tells about all messages."""
        failure = failure_in(outcome)
        if failure is not None and not (sends and failure is outcome[0]):
            failure.nothing_done = all(isinstance(one, LayerUnavailable) and one.nothing_done for one in outcome)
        return failure

    def _settle(
        self,
        deliveries: Sequence[Delivery],
        pushes: Sequence[Push],
        remembered: dict[str, list[str]],
        ends: Sequence[int],
        outcome: Sequence[Any],
        origin: Origin,
    ) -> Steps[list[int]]:
        """The positions of what was refused. Sends once more if the remembered routes were wrong."""
        refused: Sequence[int] = []
        if pushes or remembered:
            refused, routes = self._queues.sent(0, outcome[0], origin)
            if routes:
                pushes = self._sending.pushes(deliveries, self._groups.remember(remembered, routes))
                again = Trips()
                self._add_sends(again, deliveries, pushes, {}, origin)
                outcome = (yield again)[0] if again else []
                if pushes:
                    refused, _ = self._queues.sent(0, outcome[0], origin)
        verdicts = outcome[len(outcome) - len(ends) :]
        held = [end for end, (verdict, _) in zip(ends, verdicts, strict=True) if verdict == b"held"]
        return sorted([*positions(pushes, refused), *held])
