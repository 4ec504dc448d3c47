"""Sending over Redis: puts entries into queues, each on its server."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from channels_classic.layers import names
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.steps import Steps, Trips, change
from channels_classic.layers.redis.encryption import Cipher
from channels_classic.layers.redis.envelope import GROUP_MESSAGE, MESSAGE, Envelopes
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Origin, Push, Queues
from channels_classic.layers.redis.sockets import seal_will
from channels_classic.layers.types import Delivery


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
        for position, delivery in enumerate(deliveries):
            if delivery.turn_end is not None:
                continue
            if not delivery.to_group:
                process, mark, local = delivery.name.partition("!")
                body = seal(MESSAGE, local, delivery.payload, process + mark, expires)
                client = delivery.client
                if client is not None and client.will is not None:
                    client = client._replace(will=seal_will(self._cipher, client.channel, client.will))
                pushes.append(Push(position, delivery.name, body, expiry, True, client))
                continue
            bodies: dict[bool, bytes] = {}
            for route in routes[delivery.name]:
                of_process = route.endswith("!")
                # All members of a group share one envelope, unless it is bound to its queue.
                if of_process not in bodies or self._envelopes.are_bound:
                    kind, name = (GROUP_MESSAGE, delivery.name) if of_process else (MESSAGE, "")
                    bodies[of_process] = seal(kind, name, delivery.payload, route, expires)
                pushes.append(Push(None, route, bodies[of_process], expiry))
        return pushes

    def to_several(
        self, pushes: Sequence[Push], origin: Callable[[int], Origin | None] = lambda server: None
    ) -> Steps[list[int]]:
        """Send each entry to its server. Returns the positions of those that found their channel full.

        A normal channel has a share of its capacity on each server. All its messages in a batch go to one server,
        so that they arrive in order, and to the next one if that is full.
        """
        full: list[int] = []
        servers = self._placement.count
        start = random.randrange(servers)
        for attempt in range(servers):
            by_server: dict[int, list[Push]] = defaultdict(list)
            for push in pushes:
                by_server[self._placement.of_channel(push.channel, start + attempt)].append(push)
            trips = Trips()
            for server, some in by_server.items():
                trips.add(
                    server, self._queues.send(some, server, last=attempt == servers - 1, origin=origin(server))
                )
            try:
                answers = yield from change(trips)
            except LayerUnavailable as error:
                error.nothing_done = error.nothing_done and attempt == 0
                raise
            refused: list[Push] = []
            late = []
            for server, some in by_server.items():
                try:
                    refused += [
                        some[number] for number in self._queues.sent(server, answers[server][0], origin(server))[0]
                    ]
                except LayerUnavailable as error:
                    late.append(error)
            if late:
                late[0].nothing_done = len(late) == len(by_server) and attempt == 0
                raise late[0]
            spread = [push for push in refused if names.is_normal(push.channel)]
            full += [push.position for push in refused if push not in spread and push.position is not None]
            pushes = spread
            if not pushes:
                break
        full += [push.position for push in pushes if push.position is not None]
        return sorted(full)


def positions(pushes: Sequence[Push], numbers: Iterable[int]) -> list[int]:
    """The positions in the batch of the ``pushes`` with these numbers. Pushes to groups have no position."""
    return [position for number in numbers if (position := pushes[number].position) is not None]
