"""Turns over Redis: the extension "ordering" of ``RedisChannelLayer``. The rules are in ``turns.lua``.

The turns of a client are on the server of its reply channel. A message that waited for its turn goes back to the
queue of its channel on that server, because a normal channel can use any server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from channels_classic.layers import codec, names, turns
from channels_classic.layers.exceptions import Lapsed
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips
from channels_classic.layers.redis.envelope import MESSAGE, Envelopes
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Origin
from channels_classic.layers.redis.registry import Registry
from channels_classic.layers.types import Delivery, Lease, Turn
from channels_classic.log import logger

MOST_AT_ONCE = 1000
"""The number of clients that are released in one round trip."""


class Turns:
    """The turns of clients.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of the clients.
        clocks: the clocks of the servers.
        envelopes: seal messages that wait.
        registry: knows whether heartbeats renew the leases of turns here, and which processes were declared dead.
        expiry: seconds that a message lives in a queue.
        kept: seconds for which a client's turns are kept after its last message.
    """

    def __init__(
        self,
        keys: ServerKeys,
        placement: Placement,
        clocks: Clocks,
        envelopes: Envelopes,
        registry: Registry,
        expiry: float,
        kept: float,
    ) -> None:
        self._keys = keys
        self._placement = placement
        self._clocks = clocks
        self._envelopes = envelopes
        self._registry = registry
        self._expiry = expiry
        self._kept = kept

    def enter(self, turn: Turn, message: dict[str, Any]) -> Steps[turns.Verdict]:
        """Ask for a turn. Returns the fate of the message.

        Raises:
            Lapsed: the process in whose name this context acts was declared dead.
        """
        # While it waits, its order keeps it from being handled twice, so it needs no time of expiry until it is
        # back in its queue.
        expires = self._clocks.now() + int(self._kept * 1_000_000)
        body = self._envelopes.seal(MESSAGE, "", codec.pack(message), turn.channel, expires)
        asked = (turn.order, int(turn.slight), turn.channel, body, turn.token)
        limits = (turns.MAX_WAITING, turns.MAX_WAITING_BYTES)
        server, command = self._command(turn.reply_channel, "enter", *asked, *limits)
        process, epoch = self._registry.fence(server)
        if process:
            keys = (*command[2:4], self._keys[server].beats, self._keys[server].epoch)
            command = (command[0], len(keys), *keys, *command[4:], process, epoch)
        verdict = yield from self._ask(server, command)
        if verdict == "lapsed":
            raise Lapsed(process)
        return turns.Verdict(verdict)

    def suspend(self, turn: Turn, forced: bool = False) -> Steps[str]:
        """Put a message that runs back to its channel.

        Arguments:
            forced: whether to do so whatever token the message entered with.
        """
        return self._step(turn.reply_channel, "suspend", turn.order, turn.token, int(forced))

    def lose(self, turn: Turn) -> Steps[str]:
        """Pass over the turn of a lost message, now or when it comes."""
        return self._step(turn.reply_channel, "lose", turn.order)

    def renewals(self, leases: Iterable[Lease]) -> list[tuple[int, Command]]:
        """The commands, each with its server, that renew the leases of turns."""
        return [self._command(lease.reply_channel, "renew", lease.order, lease.token) for lease in leases]

    def release(self, clients: Sequence[str]) -> Steps[None]:
        """Let the turns of clients that have left end soon."""
        for start in range(0, len(clients), MOST_AT_ONCE):
            trips = Trips()
            for client in clients[start : start + MOST_AT_ONCE]:
                trips.add(*self._command(client, "release"))
            answers = yield trips
            for of_server in answers.values():
                for answer in of_server:
                    self._verdict(answer)

    def resume(self, orders: Mapping[str, int], settled: bool) -> Steps[None]:
        """Let clients go on whose turns a server has lost, from the given order on.

        Arguments:
            settled: as in the layer's ``resume_turns``.
        """
        clients = list(orders)
        forward = 0
        for start in range(0, len(clients), MOST_AT_ONCE):
            trips = Trips()
            for client in clients[start : start + MOST_AT_ONCE]:
                trips.add(*self._command(client, "resume", orders[client], int(settled)))
            answers = yield trips
            forward += sum(
                verdict_of(answer) == b"forward" for of_server in answers.values() for answer in of_server
            )
        if forward:
            logger.warning(
                "Redis had lost messages of %d clients, or that these had been handled: the later ones go on.",
                forward,
            )

    def add_ends(self, trips: Trips, deliveries: Iterable[Delivery], origin: Origin | None = None) -> None:
        """Append the ends of turns among ``deliveries`` to ``trips``.

        Arguments:
            origin: if given, the turns end only if nothing of its round trip was refused.
        """
        depends = origin is not None and origin.number is not None
        for delivery in deliveries:
            if delivery.turn_end is not None:
                order, last = delivery.turn_end
                number = origin.number if depends and origin is not None else ""
                server, command = self._command(delivery.name, "end", order, int(last), number)
                if depends and origin is not None:
                    sent = self._keys[server].sent(origin.taker)
                    command = (command[0], 3, *command[2:4], sent, *command[4:])
                trips.add(server, command)

    def _step(self, client: str, step: str, *arguments: Any) -> Steps[str]:
        return self._ask(*self._command(client, step, *arguments))

    def _ask(self, server: int, command: Command) -> Steps[str]:
        trips = Trips()
        trips.add(server, command)
        return self._verdict((yield trips)[server][0])

    def _verdict(self, answer: Any) -> str:
        if not isinstance(answer, bytes):
            for client, first, last, reason in answer[1]:
                turns.report_passed_over(client.decode(), int(first), int(last), reason.decode())
        return verdict_of(answer).decode()

    def _command(self, client: str, step: str, *arguments: Any) -> tuple[int, Command]:
        """The server that has the turns of a client, and the command for it."""
        server = self._placement.of(names.queue_name(client))
        of_server = self._keys[server]
        keys = (of_server.turns(client), of_server.waiting_clients)
        lease = turns.RENEWED_LEASE_SECONDS if self._registry.has_beaten else turns.LEASE_SECONDS
        times = (lease, self._expiry + turns.EXTRA_PATIENCE, self._expiry, self._kept)
        return server, ("turns", 2, *keys, of_server.prefix, client, *times, step, *arguments)


def verdict_of(answer: Any) -> bytes:
    """The verdict in an answer of ``turns.lua``."""
    verdict: bytes = answer if isinstance(answer, bytes) else answer[0]
    return verdict
