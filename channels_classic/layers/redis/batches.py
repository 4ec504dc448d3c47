"""Sending and receiving batches, in one round trip where possible."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from channels_classic.layers import names
from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.replies import BrokenOff
from channels_classic.layers.redis.connections.steps import (
    Steps,
    Trips,
    change,
    failure_in,
    nothing_done_yet,
)
from channels_classic.layers.redis.connections.transport import Transport
from channels_classic.layers.redis.envelope import Envelopes
from channels_classic.layers.redis.epochs import Epochs
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.pipeline import Pipeline
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Origin, Queues
from channels_classic.layers.redis.reading import Reading
from channels_classic.layers.redis.receiving import Receiving
from channels_classic.layers.redis.registry import Registry
from channels_classic.layers.redis.sending import Sending, positions
from channels_classic.layers.redis.shipments import Shipment, messages_of, unconfirmed
from channels_classic.layers.redis.sockets import Sockets
from channels_classic.layers.redis.taking import Taking
from channels_classic.layers.redis.turns import Turns
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Delivery, Received

SHORTEST_WAIT = 0.005
"""Seconds. A server may round a shorter wait down to 0, which it takes for no limit."""


class Batches:
    """Makes the calls that send and receive batches out of the parts of the layer.

    Arguments:
        transport: makes the round trips of a call that waits.
        placement: knows the servers of the queues.
        queues: make the commands.
        clocks: the clocks of the servers.
        envelopes: seal messages that are put back.
        groups: know the routes.
        epochs: tell whether a server has lost its data.
        turns: make the ends of turns, which travel with batches.
        sending, receiving, reading, taking: the parts with these names.
        registry: knows the processes that send.
        sockets: forget the sockets that have closed.
    """

    def __init__(
        self,
        transport: Transport,
        placement: Placement,
        queues: Queues,
        clocks: Clocks,
        envelopes: Envelopes,
        groups: Groups,
        epochs: Epochs,
        turns: Turns,
        sending: Sending,
        receiving: Receiving,
        reading: Reading,
        taking: Taking,
        registry: Registry,
        sockets: Sockets,
    ) -> None:
        self._transport = transport
        self._placement = placement
        self._queues = queues
        self._clocks = clocks
        self._envelopes = envelopes
        self._groups = groups
        self._epochs = epochs
        self._turns = turns
        self._sending = sending
        self._receiving = receiving
        self._reading = reading
        self._taking = taking
        self._pipeline = Pipeline(queues, groups, turns, sending, receiving, taking, registry)
        self._registry = registry
        self._sockets = sockets
        self._is_unsure = False
        """Whether there was an outage, in which the servers may have lost their data."""

    def send_and_receive(
        self,
        deliveries: Sequence[Delivery],
        channels: list[str],
        limit: int,
        taker: Taker | None = None,
        timeout: float = 0,
    ) -> Steps[tuple[list[int], list[Received]]]:
        """Send, then receive. Returns the positions of the messages whose channel was full, and what was received.

        Arguments:
            timeout: seconds that a taker waits for a message, if there is only one server.
        """
        try:
            if self._envelopes.are_bound and deliveries and self._clocks.are_unknown:
                yield from nothing_done_yet(self._clocks.ask(self._placement.count))
            if (self._is_unsure or self._epochs.is_fresh) and any(delivery.to_group for delivery in deliveries):
                yield from nothing_done_yet(self._make_sure(deliveries))
            if self._placement.count > 1:
                return (yield from self._with_several(deliveries, channels, limit, taker))
            if taker is not None:
                return (yield from self._pipeline.send_and_take(deliveries, channels, limit, taker, timeout))
            return (yield from self._with_one(deliveries, channels, limit))
        except LayerUnavailable:
            self._is_unsure = True
            raise

    def _make_sure(self, deliveries: Sequence[Delivery]) -> Steps[None]:
        """After an outage, do not send a message to a group while its members are missing."""
        yield from self._epochs.compare(self._queues, self._placement.count)
        self._is_unsure = False
        yield from self._epochs.wait_for_members({delivery.name for delivery in deliveries if delivery.to_group})

    def _with_one(
        self, deliveries: Sequence[Delivery], channels: list[str], limit: int
    ) -> Steps[tuple[list[int], list[Received]]]:
        groups = {delivery.name for delivery in deliveries if delivery.to_group}
        remembered: dict[str, list[str]] = {}
        # The end of a turn must not overtake what its consumer sent, if that had to be sent once more.
        if not any(delivery.turn_end for delivery in deliveries):
            remembered = self._groups.remembered(groups)
        pushes = self._sending.pushes(deliveries, remembered or (yield from self._routes(groups)))
        origin = self._origin(deliveries)
        trips = Trips(partial=True)
        if pushes or remembered:
            trips.add(0, self._queues.send(pushes, remembered=remembered, origin=origin))
        self._turns.add_ends(trips, deliveries)
        asked = self._receiving.add_command(trips, channels, limit) if channels else {}
        if not trips:
            return [], []
        answers = yield trips
        failure = failure_in(answers[0][:-1] if asked else answers[0])
        if failure is not None and failure is not answers[0][0]:
            failure.nothing_done = False
        refused: Sequence[int] = []
        if (pushes or remembered) and failure is None:
            try:
                refused, routes = self._queues.sent(0, answers[0][0], origin)
                if routes:
                    pushes = self._sending.pushes(deliveries, self._groups.remember(remembered, routes))
                    again = Trips()
                    again.add(0, self._queues.send(pushes, origin=origin))
                    refused, _ = self._queues.sent(0, (yield again)[0][0], origin)
            except LayerUnavailable as error:
                failure = error
        receiving = self._receiving.from_one(answers, asked, channels, limit)
        received = yield from self._receiving.behind(deliveries, receiving, failure)
        if failure is not None:
            failure.received = received
            raise failure
        return positions(pushes, refused), received

    def _origin(self, deliveries: Sequence[Delivery], server: int = 0) -> Origin | None:
        """The interface server, if these are messages of its sockets, or else the process that acts in this
        context."""
        for delivery in deliveries:
            if delivery.client is not None:
                process = names.process_name(delivery.client.channel)
                return Origin(process, self._registry.epoch(process, server))
        process, epoch = self._registry.fence(server)
        return Origin(process, epoch) if process else None

    def _routes(self, groups: set[str]) -> Steps[dict[str, list[str]]]:
        return nothing_done_yet(self._groups.routes(groups))

    def send_and_wait(
        self, deliveries: Sequence[Delivery], channels: list[str], limit: int, timeout: float, taker: Taker
    ) -> tuple[list[int], list[Received]]:
        """Send, then receive for a taker, and wait in this thread for messages.

        Raises:
            LayerUnavailable: as ``send_and_receive``.
        """
        deadline = time.monotonic() + timeout
        # A failure is handled before anything waits. After a full batch there are most likely more messages, and a
        # round trip without a wait is shorter.
        at_once = self._receiving.failed or timeout <= SHORTEST_WAIT or (bool(channels) and taker.was_full)
        has_several = self._placement.count > 1
        wait = 0.0 if at_once or has_several else timeout
        # The wait for several servers begins with round trips of its own.
        here = [] if has_several and not at_once else channels
        full, received = self._transport.run(self.send_and_receive(deliveries, here, limit, taker, wait))
        self._receiving.failed = False
        while not received and not full and channels and (left := deadline - time.monotonic()) > SHORTEST_WAIT:
            try:
                if has_several:
                    received = self._taking.wait_on_all(channels, limit, left, taker)
                    left = 0
                if not received:
                    received = self._transport.run(self.send_and_receive([], channels, limit, taker, left))[1]
            except Lapsed:
                raise
            except LayerUnavailable as error:
                self._is_unsure = True
                if deliveries:
                    self._receiving.pass_over(error)
                    break
                self._receiving.failed = True
                raise
        return full, received

    def receive(self, channels: list[str], limit: int, timeout: float) -> list[Received]:
        """Receive, and wait in this thread for messages.

        Raises:
            LayerUnavailable: as ``receive_batch``.
        """
        deadline = time.monotonic() + timeout
        servers = self._placement.of_channels(channels) if channels else []
        on_one = len(servers) == 1
        received: list[Received] = []
        # A wait on one server takes the message, too, but a single message comes without the epoch of the server.
        if not on_one or limit == 1 or timeout <= SHORTEST_WAIT or self._receiving.failed:
            received = self._transport.run(self.send_and_receive([], channels, limit))[1]
            self._receiving.failed = False
        # If only changes of membership have come, the wait goes on.
        while not received and channels and (left := deadline - time.monotonic()) > SHORTEST_WAIT:
            if on_one:
                wait = self._receiving.wait_on_one(servers[0], channels, limit, left)
            else:
                wait = self._receiving.wait_on_all(channels, left)
            try:
                received = self._transport.run(wait)
            except LayerUnavailable:
                self._receiving.failed = self._is_unsure = True
                raise
        return received

    async def areceive(self, server: int, channels: list[str], limit: int, timeout: float) -> list[Received]:
        """As ``receive``, in an event loop. All channels are on one server.

        If the server turns out to have lost its data, it returns at once, so that the caller can act on that.
        """
        deadline = time.monotonic() + timeout
        losses = self._epochs.losses
        if self._receiving.failed:
            # A server that has come back empty needs the members first, or no broadcast would end the wait.
            received = await self._transport.arun(self._look(channels, limit), undo=self.give_back)
            self._receiving.failed = False
            if received or self._epochs.losses != losses:
                return received
        while (left := deadline - time.monotonic()) > SHORTEST_WAIT:
            try:
                wait = self._receiving.wait_on_one(server, channels, limit, left)
                received = await self._transport.arun(wait, undo=self.give_back)
            except LayerUnavailable:
                self._receiving.failed = self._is_unsure = True
                raise
            if received or self._epochs.losses != losses:
                return received
        return await self._transport.arun(self._look(channels, limit), undo=self.give_back)

    async def areceive_own(self, process: str, limit: int, timeout: float) -> list[Received]:
        """Read the messages to a process, and wait in an event loop for messages.

        Raises:
            LayerUnavailable: as ``areceive_own`` of the contract.
        """
        deadline = time.monotonic() + timeout
        losses = self._epochs.losses
        # A server that has come back empty needs the members first, or no broadcast would end the wait.
        wait = 0.0 if self._receiving.failed else timeout
        while True:
            self._receiving.failed = False
            wait = wait if wait > SHORTEST_WAIT else 0.0
            try:
                received, number = await self._transport.arun(self._reading.read(process, limit, wait))
            except LayerUnavailable:
                self._receiving.failed = self._is_unsure = True
                raise
            self._reading.confirm(process, number)
            left = deadline - time.monotonic()
            if received or self._epochs.losses != losses or left <= 0:
                return received
            wait = left

    def _look(self, channels: list[str], limit: int) -> Steps[list[Received]]:
        """Take what is there now."""
        return (yield from self.send_and_receive([], channels, limit))[1]

    def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> Steps[None]:
        """Put messages back in front of their queues."""
        back: dict[int, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        for received in reversed(batch):
            server, queue, value = received.receipt
            if taker is None or not names.is_normal(queue):
                value = self._envelopes.for_one(value, queue, names.local_part(received.channel))
            back[server][queue].append(value)
        trips = Trips()
        for server, values in back.items():
            epoch = b"" if taker is None else self._registry.epoch(taker.process, server)
            own = {queue: values.pop(queue) for queue in list(values) if taker and not names.is_normal(queue)}
            if own:
                trips.add(server, self._queues.give_back(server, own))
            if values:
                trips.add(server, self._queues.give_back(server, values, taker, epoch))
        if trips:
            answers = yield from change(trips)
            if taker is not None and any(1 in of_server for of_server in answers.values()):
                raise Lapsed(taker.process)

    def _with_several(
        self, deliveries: Sequence[Delivery], channels: list[str], limit: int, taker: Taker | None
    ) -> Steps[tuple[list[int], list[Received]]]:
        shipment = yield from self._shipment(deliveries, taker)
        try:
            full = yield from self._sending.to_several(
                shipment, taker, partial(self._origin_for, deliveries, taker)
            )
        except Lapsed:
            raise
        except LayerUnavailable as error:
            error.repeatable = taker is not None and not isinstance(error, BrokenOff)
            raise
        left = [one.client.channel for one in deliveries if one.client is not None and one.client.order is None]
        if left:
            yield from self._sockets.forget(names.process_name(left[0]), left)
        ends = Trips()
        if full and taker is not None:
            full += [number for number, delivery in enumerate(deliveries) if delivery.turn_end is not None]
        else:
            self._turns.add_ends(ends, deliveries)
        try:
            if ends:
                yield ends
        except LayerUnavailable as error:
            error.nothing_done = error.nothing_done and not shipment.messages
            error.repeatable = taker is not None and bool(shipment.messages)
            raise
        if taker is not None and shipment.messages:
            taker.unconfirmed = None
        if not channels:
            return sorted(full), []
        if taker is None:
            receiving = self._receiving.from_several(channels, limit)
        else:
            receiving = self._taking.from_several(channels, limit, taker)
        return sorted(full), (yield from self._receiving.behind(deliveries, receiving))

    def _shipment(self, deliveries: Sequence[Delivery], taker: Taker | None) -> Steps[Shipment]:
        messages = messages_of(deliveries)
        if taker is not None and (shipment := unconfirmed(taker, messages)) is not None:
            return shipment
        routes = yield from self._routes({delivery.name for delivery in messages if delivery.to_group})
        pushes = self._sending.pushes(deliveries, routes)
        shipment = Shipment(messages, pushes, start=random.randrange(self._placement.count))
        if taker is not None and messages:
            shipment.number = taker.ask()
            taker.unconfirmed = shipment
        return shipment

    def _origin_for(
        self, deliveries: Sequence[Delivery], taker: Taker | None, server: int, number: int | None
    ) -> Origin | None:
        if taker is not None:
            return self._registry.origin(taker, server, number)
        return self._origin(deliveries, server)
