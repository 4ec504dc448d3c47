"""Sending over Redis: puts entries into queues, each on its server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from channels_classic.layers import names
from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.replies import BrokenOff
from channels_classic.layers.redis.connections.steps import Steps, Trips, checked
from channels_classic.layers.redis.encryption import Cipher
from channels_classic.layers.redis.envelope import GROUP_MESSAGE, MESSAGE, Envelopes
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Origin, Push, Queues, quick_push
from channels_classic.layers.redis.shipments import Shipment
from channels_classic.layers.redis.sockets import seal_will
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Delivery

MakeOrigin = Callable[[int, int | None], Origin | None]
"""Makes the origin of a shipment, for a server and with its number."""


class Sending:
    """Turns deliveries into entries, and sends them.

    Arguments:
        queues: make the commands.
        placement: knows the servers of the queues.
        clocks: the clocks of the servers.
        envelopes: seal the messages.
        expiry: seconds that a message lives.
        cipher: encrypts the wills of sockets; ``None`` for no encryption.
    """

    def __init__(
        self,
        queues: Queues,
        placement: Placement,
        clocks: Clocks,
        envelopes: Envelopes,
        expiry: float,
        cipher: Cipher | None,
    ) -> None:
        self._cipher = cipher
        self._queues = queues
        self._clocks = clocks
        self._placement = placement
        self._envelopes = envelopes
        self._expiry = expiry

    def pushes(self, deliveries: Sequence[Delivery], routes: Mapping[str, list[str]]) -> list[Push]:
        """The entries to append for a batch, given the routes of its groups."""
        seal, expiry = self._envelopes.seal, self._expiry
        expires = self._clocks.now() + int(expiry * 1_000_000) if self._envelopes.are_bound else 0
        pushes = []
        for position, (name, payload, to_group, turn_end, client) in enumerate(deliveries):
            if turn_end is not None:
                continue
            if not to_group:
                process, mark, local = name.partition("!")
                body = seal(MESSAGE, local, payload, process + mark, expires)
                if client is not None and client.will is not None:
                    client = client._replace(will=seal_will(self._cipher, client.channel, client.will))
                pushes.append(quick_push((position, name, body, expiry, True, client)))
                continue
            bodies: dict[bool, bytes] = {}
            for route in routes[name]:
                of_process = route.endswith("!")
                # All members of a group share one envelope, unless it is bound to its queue.
                if of_process not in bodies or self._envelopes.are_bound:
                    kind, addressee = (GROUP_MESSAGE, name) if of_process else (MESSAGE, "")
                    bodies[of_process] = seal(kind, addressee, payload, route, expires)
                pushes.append(Push(None, route, bodies[of_process], expiry))
        return pushes

    def to_several(self, shipment: Shipment, taker: Taker | None, origin: MakeOrigin) -> Steps[list[int]]:
        """Send each entry to its server. Returns the positions of those that found their channel full.

        A normal channel has a share of its capacity on each server. All its messages in a batch go to one server,
        so that they arrive in order, and to the next one if that is full.

        Arguments:
            shipment: the entries. It keeps its progress, so that the call can go on after a failure.
            taker: the taker that sends them, if a taker sends.
            origin: makes the origin for a server.
        """
        while shipment.pushes and shipment.attempt < self._placement.count:
            yield from self._attempt(shipment, origin)
            refused = [push for of_server in shipment.refused.values() for push in of_server]
            spread = [push for push in refused if names.is_normal(push.channel)]
            shipment.full += _positions(push for push in refused if push not in spread)
            shipment.pushes, shipment.refused = spread, {}
            shipment.attempt += 1
            if taker is not None:
                shipment.number = taker.ask()
        return sorted([*shipment.full, *_positions(shipment.pushes)])

    def _attempt(self, shipment: Shipment, origin: MakeOrigin) -> Steps[None]:
        """Send to the servers that have not answered yet."""
        attempt = shipment.attempt
        by_server: dict[int, list[Push]] = defaultdict(list)
        for push in shipment.pushes:
            server = self._placement.of_channel(push.channel, shipment.start + attempt)
            if server not in shipment.refused:
                by_server[server].append(push)
        trips = Trips(partial=True)
        origins = {server: origin(server, shipment.number) for server in by_server}
        for server, some in by_server.items():
            is_last = attempt == self._placement.count - 1
            trips.add(server, self._queues.send(some, server, last=is_last, origin=origins[server]))
        answers = yield trips
        failures: list[LayerUnavailable] = []
        for server, some in by_server.items():
            try:
                checked(answers[server])
                refused, _ = self._queues.sent(server, answers[server][0], origins[server])
                shipment.refused[server] = [some[number] for number in refused]
            except Lapsed:
                raise
            except LayerUnavailable as error:
                failures.append(error)
        if failures:
            failure = next((error for error in failures if isinstance(error, BrokenOff)), failures[0])
            nothing_done = attempt == 0 and not shipment.refused and all(one.nothing_done for one in failures)
            failure.nothing_done = nothing_done
            raise failure


def positions(pushes: Sequence[Push], numbers: Iterable[int]) -> list[int]:
    """The positions in the batch of the ``pushes`` with these numbers. Pushes to groups have no position."""
    return _positions(pushes[number] for number in numbers)


def _positions(pushes: Iterable[Push]) -> list[int]:
    return [push.position for push in pushes if push.position is not None]
