"""The channel layer over Redis (specification, section 3): the calls of the contract.

How each of them is done is in the modules beside this one, in this order: ``core``, ``sending``, ``groups``,
``receiving``; ``turns`` and ``values`` are extensions of their own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import ClassVar

from channels_classic.layers import names
from channels_classic.layers.base import BaseChannelLayer, Delivery, Received
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.core import Attempt, Steps, Trips, one_trip
from channels_classic.layers.redis.envelope import LEAVE, MESSAGE, time_of_expiry
from channels_classic.layers.redis.receiving import FLUSHED, Receiving
from channels_classic.layers.redis.sending import positions
from channels_classic.layers.redis.servers import Command, failure_in
from channels_classic.layers.redis.turns import Turns
from channels_classic.layers.redis.values import Values

PAUSE_SECONDS = 3600
"""After this time a pause that was never ended (its process was killed) is forgotten."""

SHORTEST_WAIT = 0.005
"""Seconds; a server may take a shorter wait for none, which to it means for ever."""

STATISTICS = ("messages_count", "channel_full_count")


class RedisChannelLayer(Receiving, Turns, Values):
    """A channel layer between any number of processes and machines.

    Arguments:
        hosts: a list of servers: URLs, ``(host, port)`` pairs or dicts of keywords for redis-py; several share
            the load. One local server if there is none.
        prefix: of all keys; two projects on one server need two.
        stats_prefix: of the keys of statistics.
        symmetric_encryption_keys: a list of strings: messages are encrypted with the first and can be read with
            any of them.
        connection_kwargs: keywords for redis-py's connections.
        config: the keywords of ``BaseChannelLayer``.

    Raises:
        ValueError: a keyword has a value that makes no sense; the text says what would.
    """

    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, "ordering", "values"]

    # Messages.

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it."""
        return self._carry_out(self._exchange(deliveries, [], 0))[0]

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """As the contract has it."""
        return (await self._acarry_out(self._exchange(deliveries, [], 0)))[0]

    def send_and_receive(
        self, deliveries: Sequence[Delivery], channels: Sequence[str], limit: int
    ) -> tuple[list[int], list[Received]]:
        """As the contract has it, in one trip."""
        return self._carry_out(self._exchange(deliveries, self.check_channels(channels), limit))

    def receive_batch(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        """As the contract has it."""
        channels = self.check_channels(channels)
        deadline = time.monotonic() + timeout
        on_one = len(self._waited_on(channels)) == 1
        received: list[Received] = []
        # To wait on one server is to receive from it, but a single message comes without the server's epoch.
        if not on_one or limit == 1 or timeout <= SHORTEST_WAIT or self._broken:
            received = self._carry_out(self._exchange([], channels, limit))[1]
            self._broken = False
        # What comes may be no more than changes of membership: then the wait goes on.
        while not received and channels and (left := deadline - time.monotonic()) > SHORTEST_WAIT:
            wait = self._wait_and_receive(channels, limit, left) if on_one else self._wait_on_all(channels, left)
            try:
                received = self._carry_out(wait)
            except LayerUnavailable:
                self._broken = True
                raise
        return received

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """As the contract has it."""
        channels = self.check_channels(channels)
        if len(self._waited_on(channels)) != 1:
            return await super().areceive_batch(channels, limit, timeout)
        deadline = time.monotonic() + timeout
        if self._broken:
            # A server that comes back empty has to be told of the members first, or no broadcast ends the wait.
            received = (await self._acarry_out(self._exchange([], channels, limit)))[1]
            self._broken = False
            if received:
                return received
        while (left := deadline - time.monotonic()) > SHORTEST_WAIT:
            try:
                received = await self._acarry_out(self._wait_and_receive(channels, limit, left))
            except LayerUnavailable:
                self._broken = True
                raise
            if received:
                return received
        return (await self._acarry_out(self._exchange([], channels, limit)))[1]

    def give_back(self, batch: Sequence[Received]) -> None:
        """As the contract has it."""
        back: dict[int, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        for received in reversed(batch):
            server, stamp, payload = received.receipt
            process, mark, local = received.channel.partition("!")
            key = self.prefix + process + mark
            back[server][key].append(stamp + self._seal(MESSAGE, local, payload))
        self._carry_out(one_trip({server: [self._give_back_command(back[server])] for server in back}))

    def _payload(self, channel: str, packed: bytes) -> bytes:
        # What the queue will hold.
        return self._seal(MESSAGE, channel.partition("!")[2], packed)

    def _exchange(
        self, deliveries: Sequence[Delivery], channels: list[str], limit: int
    ) -> Steps[tuple[list[int], list[Received]]]:
        """Send, then receive: in one trip, where there is one server and the routes of groups are remembered."""
        groups = {delivery.name for delivery in deliveries if delivery.to_group}
        if len(self._servers) > 1:
            pushes = self._pushes(deliveries, (yield from self._routes(groups)))
            full = yield from self._send_to_several(pushes)
            try:
                yield from self._end_turns(deliveries)
            except LayerUnavailable as error:
                error.nothing_done = error.nothing_done and not pushes
                raise
            if not channels:
                return full, []
            receiving = self._receive_from_several(channels, limit)
            return full, (yield from self._receive_behind(deliveries, receiving))
        remembered: dict[str, list[str]] = {}
        # The end of a turn must not overtake what its consumer sent, if that had to be sent once more.
        if not any(delivery.turn_end for delivery in deliveries):
            remembered = self._remembered_routes(groups)
        pushes = self._pushes(deliveries, remembered or (yield from self._routes(groups)))
        trips: Trips = Attempt()
        if pushes or remembered:
            trips[0] = [self._send_command(pushes, remembered=remembered)]
        self._add_turn_ends(trips, deliveries)
        asked = self._add_receive_commands(trips, channels, limit) if channels else {}
        if not trips:
            return [], []
        answers = yield trips
        failure = failure_in(answers[0][:-1] if asked else answers[0])
        if failure is not None and failure is not answers[0][0]:
            failure.nothing_done = False
        refused: Sequence[int] = []
        if (pushes or remembered) and failure is None:
            refused, routes = answers[0][0]
            if routes:
                pushes = self._pushes(deliveries, self._remember_routes(remembered, routes))
                try:
                    ((refused, _),) = (yield {0: [self._send_command(pushes)]})[0]
                except LayerUnavailable as error:
                    failure = error
        receiving = self._receive_from_one(answers, asked, channels, limit)
        received = yield from self._receive_behind(deliveries, receiving, failure)
        if failure is not None:
            failure.received = received
            raise failure
        return positions(pushes, refused), received

    def _receive_behind(
        self,
        deliveries: Sequence[Delivery],
        receiving: Steps[list[Received]],
        failure: LayerUnavailable | None = None,
    ) -> Steps[list[Received]]:
        """Receive; if there were messages to send, what became of them is to be told though receiving fails.

        Arguments:
            failure: that of sending.
        """
        try:
            return (yield from receiving)
        except LayerUnavailable as error:
            if not deliveries:
                raise
            if error is not failure:
                self._pass_over(error)
            return []

    # Departures.

    def release(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        self._carry_out(self._release(list(channels)))

    async def arelease(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        await self._acarry_out(self._release(list(channels)))

    def _release(self, channels: list[str]) -> Steps[None]:
        yield from self._change_membership(self._memberships_of(channels), LEAVE)
        yield from self._release_turns(channels)

    # Flow control.

    def pause(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        self._carry_out(one_trip(self._pausing("SADD", channels)))

    async def apause(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        await self._acarry_out(one_trip(self._pausing("SADD", channels)))

    def resume(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        self._carry_out(one_trip(self._pausing("SREM", channels)))

    async def aresume(self, channels: Iterable[str]) -> None:
        """As the contract has it."""
        await self._acarry_out(one_trip(self._pausing("SREM", channels)))

    def _pausing(self, command: str, channels: Iterable[str]) -> Trips:
        trips: Trips = defaultdict(list)
        for channel in channels:
            process, mark, local = channel.partition("!")
            key = self._paused_key(process + mark)
            trips[self._home(process + mark)] += [(command, key, local), ("EXPIRE", key, PAUSE_SECONDS)]
        return trips

    # Flush and statistics.

    def flush(self) -> None:
        """As the contract has it."""
        for server in self._servers.sync:
            for prefix in (self.prefix, self.stats_prefix):
                pattern = "".join(f"\\{character}" if character in "*?[]\\" else character for character in prefix)
                cursor = b"0"
                while True:
                    ((cursor, keys),) = server.trip([("SCAN", cursor, "MATCH", pattern + "*", "COUNT", 1000)])
                    if keys:
                        server.trip([("UNLINK", *keys)])
                    if cursor == b"0":
                        break
            server.trip([("SET", self.prefix + "epoch", FLUSHED + names.random_part())])
        with self._table_lock:
            self._table.clear()
            self._unopened.clear()
        self._drop_left_over()

    def global_statistics(self) -> dict[str, int]:
        """As the contract has it."""
        answers = [server.trip([_hmget(self.stats_prefix)])[0] for server in self._servers.sync]
        return {
            field: sum(int(answer[number] or 0) for answer in answers) for number, field in enumerate(STATISTICS)
        }

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """As the contract has it."""
        names.check_channel(channel)
        queue = names.queue_name(channel)
        commands: list[Command] = [
            _hmget(self._statistics_key(queue)),
            ("waiting", 1, self.prefix + queue),
        ]
        statistics: dict[str, float] = dict.fromkeys((*STATISTICS, "messages_pending", "messages_max_age"), 0)
        for number in self._waited_on([queue]):
            counts, (now, pending, oldest) = self._servers.sync[number].trip(commands)
            for field, count in zip(STATISTICS, counts, strict=True):
                statistics[field] += int(count or 0)
            statistics["messages_pending"] += pending
            if expires := time_of_expiry(oldest):
                age = (int(now) - expires) / 1_000_000 + self.expiry
                statistics["messages_max_age"] = max(statistics["messages_max_age"], age)
        return statistics


def _hmget(key: str) -> Command:
    return ("HMGET", key, *STATISTICS)
