"""The sockets of interface servers in Redis: for each the order of its last message, and its will.

``send.lua`` stores them in the step that takes a message, on the same server. The messages of a normal channel can
be on any server, so this part asks all of them, and the greatest order counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from channels_classic.layers import codec, names
from channels_classic.layers.redelivery import GOODBYE_CHANNEL
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.steps import Steps, Trips, one_round_trip
from channels_classic.layers.redis.encryption import Cipher, seal, unseal
from channels_classic.layers.redis.envelope import MESSAGE, Envelopes
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement
from channels_classic.log import logger

MOST_AT_ONCE = 500
"""The number of wills that are sent in one step."""


def seal_will(cipher: Cipher | None, channel: str, will: bytes) -> bytes:
    """The will of a socket as Redis stores it."""
    return seal(cipher, _place(channel), will)


class Sockets:
    """The sockets of processes.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of the processes.
        clocks: the clocks of the servers.
        envelopes: seal wills that are sent.
        cipher: encrypts wills that are kept.
        expiry: seconds that a message lives.
    """

    def __init__(
        self,
        keys: ServerKeys,
        placement: Placement,
        clocks: Clocks,
        envelopes: Envelopes,
        cipher: Cipher | None,
        expiry: float,
    ) -> None:
        self._keys = keys
        self._placement = placement
        self._clocks = clocks
        self._envelopes = envelopes
        self._cipher = cipher
        self._expiry = expiry

    def channels(self, process: str) -> Steps[list[str]]:
        """The reply channels of the sockets of a process."""
        trips = Trips()
        for server in range(self._placement.count):
            trips.add(server, ("HKEYS", self._keys[server].clients(process)))
        answers = yield trips
        local = {name for of_server in answers.values() for name in of_server[0]}
        return [f"{process}!{name.decode()}" for name in local]

    def orders(self, process: str, channels: Sequence[str]) -> Steps[dict[str, int]]:
        """For each known socket, the order of its last message that the layer has taken."""
        trips = Trips()
        local = [names.local_part(channel) for channel in channels]
        for server in range(self._placement.count) if local else ():
            trips.add(server, ("HMGET", self._keys[server].orders(process), *local))
        answers = (yield trips) if trips else {}
        found: dict[str, int] = {}
        for of_server in answers.values():
            for channel, order in zip(channels, of_server[0], strict=True):
                if order is not None:
                    found[channel] = max(found.get(channel, 0), int(order))
        return found

    def register(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> Steps[None]:
        """Store sockets that Redis has lost."""
        trips = Trips()
        server = self._placement.of(f"{process}!")
        for channel, (order, will) in clients.items():
            local = names.local_part(channel)
            sealed = seal_will(self._cipher, channel, will)
            keys = (self._keys[server].clients(process), self._keys[server].orders(process))
            trips.add(server, ("register", 2, *keys, local, sealed, order))
        yield from one_round_trip(trips)

    def forget(self, process: str, channels: list[str]) -> Steps[None]:
        """Forget sockets that have closed on all servers, not just on the one that took their last messages."""
        trips = Trips()
        local = [names.local_part(channel) for channel in channels]
        for server in range(self._placement.count):
            trips.add(server, ("HDEL", self._keys[server].clients(process), *local))
            trips.add(server, ("HDEL", self._keys[server].orders(process), *local))
        yield from one_round_trip(trips)

    def send_wills(self, process: str, release: Callable[[list[str]], Steps[None]]) -> Steps[int]:
        """Send the will of each socket of a dead process. Returns the number of wills.

        Arguments:
            release: ends everything else that belongs to sockets, given their reply channels.
        """
        sent = 0
        for server in range(self._placement.count):
            cursor = b"0"
            while True:
                trips = Trips()
                trips.add(server, ("HSCAN", self._keys[server].clients(process), cursor, "COUNT", MOST_AT_ONCE))
                cursor, found = (yield trips)[server][0]
                # This may be empty before the end, and much more than was asked for.
                for start in range(0, len(found), 2 * MOST_AT_ONCE):
                    some = found[start : start + 2 * MOST_AT_ONCE]
                    wills = dict(zip(some[::2], some[1::2], strict=True))
                    yield from release([f"{process}!{local.decode()}" for local in wills])
                    sent += yield from self._send_wills(process, server, wills)
                if cursor == b"0":
                    break
        return sent

    def _send_wills(self, process: str, server: int, wills: Mapping[bytes, bytes]) -> Steps[int]:
        trips = Trips()
        for one in range(self._placement.count):
            trips.add(one, ("HMGET", self._keys[one].orders(process), *wills))
        answers = yield trips
        orders = {
            local: max((int(answers[one][0][number] or 0) for one in answers), default=0)
            for number, local in enumerate(wills)
        }
        expires = self._clocks.now() + int(self._expiry * 1_000_000)
        pairs: list[bytes] = []
        for local, sealed in wills.items():
            channel = f"{process}!{local.decode()}"
            body = b""
            try:
                content = codec.unpack(unseal(self._cipher, _place(channel), sealed))
                packed = codec.pack({**content, "order": orders[local] + 1})
                body = self._envelopes.seal(MESSAGE, "", packed, GOODBYE_CHANNEL, expires)
            except ValueError as error:
                logger.error("The will of %s was dropped: %s.", channel, error)
            pairs += [local, body]
        of_server = self._keys[server]
        keys = (
            of_server.clients(process),
            of_server.orders(process),
            *of_server.with_bells([GOODBYE_CHANNEL]),
            of_server.statistics(GOODBYE_CHANNEL),
            of_server.totals,
        )
        trips = Trips()
        trips.add(server, ("goodbye", len(keys), *keys, int(self._expiry * 1000), *pairs))
        return int((yield trips)[server][0])


def _place(channel: str) -> str:
    return f"will:{channel}"
