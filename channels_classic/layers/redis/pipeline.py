"""A taker's round trip to the only server, as one pipeline.

It sends the messages of consumers, ends their turns, acknowledges the last batch, waits, and takes the next batch.
The turns end, and the wait begins, only if no message was refused before: then ``send.lua`` leaves a mark, which
the other scripts look for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.connections.replies import BrokenOff
from channels_classic.layers.redis.connections.steps import Steps, Trips, failure_in, nothing_done_yet
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.queues import Origin, Queues
from channels_classic.layers.redis.receiving import Receiving
from channels_classic.layers.redis.registry import Registry
from channels_classic.layers.redis.sending import Sending, positions
from channels_classic.layers.redis.shipments import Shipment, messages_of, unconfirmed
from channels_classic.layers.redis.taking import Taking
from channels_classic.layers.redis.turns import Turns, verdict_of
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
        number = taker.ask()
        shipment = yield from self._shipment(deliveries, taker, number)
        ends = [position for position, delivery in enumerate(deliveries) if delivery.turn_end is not None]
        origin = self._registry.origin(taker, 0, shipment.number if shipment else None)
        trips = Trips(partial=True)
        self._add_sends(trips, deliveries, shipment, origin)
        asked = {}
        if channels:
            asked = self._taking.add_commands(trips, taker, channels, limit, timeout, origin.number)
        if not trips:
            return [], []
        if shipment.messages:
            taker.unconfirmed = shipment
        answers = yield trips
        outcome = answers[0][: bool(shipment) + len(ends)]
        full: list[int] = []
        failure = self._failure(outcome, shipment)
        if failure is None:
            try:
                full = yield from self._settle(deliveries, shipment, ends, outcome, origin)
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
            failure.repeatable = bool(shipment.messages) and not isinstance(failure, BrokenOff)
            raise failure
        if shipment.messages:
            taker.unconfirmed = None
        return full, received

    def _shipment(self, deliveries: Sequence[Delivery], taker: Taker, number: int) -> Steps[Shipment]:
        messages = messages_of(deliveries)
        if (shipment := unconfirmed(taker, messages)) is not None:
            return shipment
        remembered: dict[str, list[str]] = {}
        routes: dict[str, list[str]] = {}
        if groups := {delivery.name for delivery in messages if delivery.to_group}:
            remembered = self._groups.remembered(groups)
            routes = remembered or (yield from nothing_done_yet(self._groups.routes(groups)))
        return Shipment(messages, self._sending.pushes(deliveries, routes), number, remembered)

    def _add_sends(
        self,
        trips: Trips,
        deliveries: Sequence[Delivery],
        shipment: Shipment,
        origin: Origin,
    ) -> None:
        if shipment:
            trips.add(0, self._queues.send(shipment.pushes, remembered=shipment.remembered, origin=origin))
        self._turns.add_ends(trips, deliveries, origin)

    def _failure(self, outcome: Sequence[Any], shipment: Shipment) -> LayerUnavailable | None:
        """The error of sending, if there was one. Its ``nothing_done`` tells about all messages."""
        failure = failure_in(outcome)
        if failure is not None and not (shipment and failure is outcome[0]):
            failure.nothing_done = all(isinstance(one, LayerUnavailable) and one.nothing_done for one in outcome)
        return failure

    def _settle(
        self,
        deliveries: Sequence[Delivery],
        shipment: Shipment,
        ends: Sequence[int],
        outcome: Sequence[Any],
        origin: Origin,
    ) -> Steps[list[int]]:
        """The positions of what was refused. Sends once more if the remembered routes were wrong."""
        refused: Sequence[int] = []
        if shipment:
            refused, routes = self._queues.sent(0, outcome[0], origin)
            if routes:
                remembered = self._groups.remember(shipment.remembered, routes)
                shipment.pushes, shipment.remembered = self._sending.pushes(deliveries, remembered), {}
                again = Trips()
                self._add_sends(again, deliveries, shipment, origin)
                outcome = (yield again)[0] if again else []
                if shipment:
                    refused, _ = self._queues.sent(0, outcome[0], origin)
        if not refused and not ends:
            return []
        verdicts = outcome[len(outcome) - len(ends) :]
        held = [end for end, verdict in zip(ends, verdicts, strict=True) if verdict_of(verdict) == b"held"]
        return sorted([*positions(shipment.pushes, refused), *held])
