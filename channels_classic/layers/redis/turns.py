"""Turns over Redis: the extension "ordering" of ``RedisChannelLayer``. What happens is in ``turns.lua``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from channels_classic.layers import codec, names, turns
from channels_classic.layers.base import Delivery
from channels_classic.layers.redis.core import RedisCore, Steps, Trips
from channels_classic.layers.redis.envelope import MESSAGE
from channels_classic.layers.redis.servers import Command


class Turns(RedisCore):
    """The part of ``RedisChannelLayer`` that lets the messages of a client run one after another.

    The turns of a client are on the server of its reply channel. What waits for its turn comes back to the queue
    of its channel on that server, as good as any for a normal channel.
    """

    def enter_turn(
        self,
        reply_channel: str,
        order: int,
        channel: str,
        message: dict[str, Any],
        slight: bool = False,
        token: str = "",
    ) -> bool:
        """As the contract has it."""
        self.check_turn(order, channel)
        body = self._seal(MESSAGE, "", codec.pack(message))
        limits = (turns.MAX_WAITING, turns.MAX_WAITING_BYTES)
        steps = self._step(reply_channel, "enter", order, int(slight), channel, body, token, *limits)
        return turns.may_run(turns.Verdict(self._carry_out(steps)), reply_channel, order, channel)

    def suspend_turn(self, reply_channel: str, order: int, token: str = "") -> None:
        """As the contract has it."""
        self._carry_out(self._step(reply_channel, "suspend", order, token))

    def _step(self, client: str, step: str, *arguments: Any) -> Steps[Any]:
        server = self._server_of(client)
        answers = yield {server: [self._turn_command(client, step, *arguments)]}
        return self._verdict(answers[server][0])

    def _release_turns(self, clients: Sequence[str]) -> Steps[Any]:
        for start in range(0, len(clients), 1000):
            trips: Trips = defaultdict(list)
            for client in clients[start : start + 1000]:
                trips[self._server_of(client)].append(self._turn_command(client, "release"))
            answers = yield trips
            for of_server in answers.values():
                for answer in of_server:
                    self._verdict(answer)

    def _add_turn_ends(self, trips: Trips, deliveries: Iterable[Delivery]) -> None:
        """Put the ends of turns among ``deliveries`` into ``trips``, behind what is there."""
        for delivery in deliveries:
            if delivery.turn_end is not None:
                order, last = delivery.turn_end
                command = self._turn_command(delivery.name, "end", order, int(last))
                trips.setdefault(self._server_of(delivery.name), []).append(command)

    def _end_turns(self, deliveries: Iterable[Delivery]) -> Steps[Any]:
        trips: Trips = {}
        self._add_turn_ends(trips, deliveries)
        if trips:
            yield trips

    def _verdict(self, answer: Sequence[Any]) -> str:
        verdict, passed_over = answer
        for client, first, last, reason in passed_over:
            turns.report_passed_over(client.decode(), int(first), int(last), reason.decode())
        return str(verdict.decode())

    def _turn_command(self, client: str, step: str, *arguments: Any) -> Command:
        patience = self.expiry + turns.EXTRA_PATIENCE
        times = (turns.LEASE_SECONDS, patience, self.expiry, self.group_expiry)
        keys = (f"{self.prefix}turns:{client}", f"{self.prefix}turns:")
        return ("turns", 2, *keys, self.prefix, client, *times, step, *arguments)

    def _server_of(self, client: str) -> int:
        return self._ring.server_for(names.queue_name(client))
