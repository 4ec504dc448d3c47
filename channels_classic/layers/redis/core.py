"""What the parts of the Redis layer share: servers, keys, and how the steps of a call are carried out.

What a call takes is written down once, as a generator of trips, and carried out by ``_carry_out`` for threads
and by ``_acarry_out`` for an event loop. All that has to be atomic is in ``scripts/``.
"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from channels_classic.layers import names
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis import envelope
from channels_classic.layers.redis.addresses import Address
from channels_classic.layers.redis.encryption import Cipher
from channels_classic.layers.redis.members import MemberTable
from channels_classic.layers.redis.ring import Ring
from channels_classic.layers.redis.servers import Command, Servers, failure_in

Trips = dict[int, list[Command]]
"""For each server, by position, the commands of one trip."""


class Attempt(dict[int, list[Command]]):
    """Trips of which a part may fail: a ``LayerUnavailable`` is in the place of each answer that did not come.

    When any other trip fails, the error is raised where it was asked for.
    """


Result = TypeVar("Result")
Steps = Generator[Trips, dict[int, Sequence[Any]], Result]


class RedisCore(BaseChannelLayer):
    """The bottom of ``RedisChannelLayer``, whose keywords it takes."""

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        prefix: str = "asgi:",
        stats_prefix: str = "asgi-meta:",
        symmetric_encryption_keys: Sequence[str | bytes] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        super().__init__(**config)
        self.prefix = prefix
        self.stats_prefix = stats_prefix
        self._cipher = Cipher(symmetric_encryption_keys) if symmetric_encryption_keys else None
        self._servers = self._make_servers(hosts, connection_kwargs or {})
        self._ring = Ring(len(self._servers))
        self._table = MemberTable()
        self._table_lock = threading.Lock()
        # Messages to groups whose members could not be asked for, until the process receives again.
        self._unopened: list[Any] = []
        self._route_memory: dict[str, list[str]] = {}
        self._epochs: dict[int, bytes] = {}
        self._turn = 0
        self._broken = False

    def _make_servers(self, hosts: Sequence[Any] | None, connection_kwargs: Mapping[str, Any]) -> Servers:
        if isinstance(hosts, (str, bytes, Mapping)):
            raise ValueError(f"hosts must be a list; put the single one into a list: [{hosts!r}].")
        return Servers([Address(host, connection_kwargs) for host in (hosts or ["redis://localhost:6379/0"])])

    # Carrying out.

    def close(self) -> None:
        """Let go of the connections of all threads."""
        for server in self._servers.sync:
            server.close()

    async def aclose(self) -> None:
        """Let go of the connections of the event loop that runs."""
        await self._servers.close_loop()

    def _carry_out(self, steps: Steps[Result]) -> Result:
        servers = self._servers.sync
        try:
            trips = next(steps)
            while True:
                answers = {number: servers[number].attempt(commands) for number, commands in trips.items()}
                failure = _failure(trips, answers)
                trips = steps.send(answers) if failure is None else steps.throw(failure)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    async def _acarry_out(self, steps: Steps[Result]) -> Result:
        servers = self._servers.of_loop()
        try:
            trips = next(steps)
            while True:
                answers = {number: await servers[number].attempt(commands) for number, commands in trips.items()}
                failure = _failure(trips, answers)
                trips = steps.send(answers) if failure is None else steps.throw(failure)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    # Where things are.

    def _home(self, channel: str, choice: int | None = None) -> int:
        """The server for what is sent to ``channel``: always the same one but for a normal channel.

        Arguments:
            choice: says which one for a normal channel, instead of chance.
        """
        if len(self._servers) == 1:
            return 0
        if is_spread(channel):
            return random.randrange(len(self._servers)) if choice is None else choice % len(self._servers)
        return self._ring.server_for(names.queue_name(channel))

    def _channels_by_server(self, channels: Sequence[str]) -> dict[int, list[str]]:
        by_server: dict[int, list[str]] = defaultdict(list)
        for channel in channels:
            on = range(len(self._servers)) if is_spread(channel) else [self._home(channel)]
            for server in on:
                by_server[server].append(channel)
        return by_server

    def _rotated(self, channels: list[str]) -> list[str]:
        start = self._turn % len(channels)
        return channels[start:] + channels[:start]

    def _keys(self, channels: Iterable[str]) -> list[str]:
        return [self.prefix + channel for channel in channels]

    def _channel_of(self, key: bytes) -> str:
        return key.decode()[len(self.prefix) :]

    def _paused_key(self, queue: str) -> str:
        return f"{self.prefix}paused:{queue}"

    def _statistics_key(self, queue: str) -> str:
        return self.stats_prefix + names.kind_name(queue)

    def _routes_key(self, group: str) -> str:
        return f"{self.prefix}group:{group}"

    def _members_key(self, group: str, process: str) -> str:
        return f"{self.prefix}group:{group}:{process}"

    def _seal(self, kind: bytes, name: str, payload: bytes) -> bytes:
        body = envelope.seal(kind, name, payload)
        return body if self._cipher is None else self._cipher.encrypt(body)

    def _decrypt(self, body: bytes) -> bytes:
        return body if self._cipher is None else self._cipher.decrypt(body)


STATISTICS = ("messages_count", "channel_full_count")


def is_spread(channel: str) -> bool:
    """Whether ``channel`` is a normal one, which all servers share."""
    return "!" not in channel and "?" not in channel


def _failure(trips: Trips, answers: Mapping[int, Sequence[Any]]) -> LayerUnavailable | None:
    if isinstance(trips, Attempt):
        return None
    return failure_in(answer for of_server in answers.values() for answer in of_server)


def one_trip(trips: Trips) -> Steps[None]:
    """The steps of a call that is a single trip, whose answers say nothing."""
    if trips:
        yield from change(trips)


def change(trips: Trips) -> Steps[dict[int, Sequence[Any]]]:
    """Carry out trips that change something: of several servers one may do it though another fails.

    Raises:
        LayerUnavailable: one of them has failed; ``nothing_done`` is about all of them.
    """
    answers = yield Attempt(trips)
    failures = [failure for of_server in answers.values() if (failure := failure_in(of_server))]
    if failures:
        nothing_done = len(failures) == len(trips) and all(failure.nothing_done for failure in failures)
        failures[0].nothing_done = nothing_done
        raise failures[0]
    return answers
