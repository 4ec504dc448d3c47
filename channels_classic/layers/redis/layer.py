"""The channel layer over Redis (specification, section 3): passes the calls of the contract on to its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.layers import names
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.group_sizes import GroupSizes
from channels_classic.layers.keywords import check_prefixes
from channels_classic.layers.redelivery import Rules
from channels_classic.layers.redis.connections.addresses import PoolSource, found_by
from channels_classic.layers.redis.connections.steps import Steps, one_round_trip
from channels_classic.layers.redis.encryption import make_cipher
from channels_classic.layers.redis.envelope import JOIN, LEAVE
from channels_classic.layers.redis.epochs import flush
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.parts import Parts
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import Started
from channels_classic.layers.turns import check_turn, may_run
from channels_classic.layers.types import (
    Beat,
    DeadLetter,
    Delivery,
    Lease,
    Process,
    Received,
    Swept,
    Turn,
)


class RedisChannelLayer(BaseChannelLayer):
    """A channel layer between any number of processes and machines.

    Arguments:
        hosts: a list of servers: URLs, ``(host, port)`` pairs or dicts of keywords for redis-py. Several servers
            share the load. The default is one local server. A subclass that finds its servers in another way
            passes a function that returns a ``PoolSource`` for each; it is called at first use.
        prefix: the prefix of all keys. Two projects on one server need different prefixes. A list has one prefix
            for each of ``hosts``: in Redis Cluster, each host needs a hash tag whose slot it has.
        stats_prefix: the prefix of the keys of statistics, or a list in the same way.
        symmetric_encryption_keys: a list of strings. Messages are encrypted with the first, and decrypted with all
            of them.
        connection_kwargs: keywords for redis-py's connections.
        config: the keywords of ``BaseChannelLayer``.

    Raises:
        ValueError: a keyword has a value that is not allowed; the text says what is.
    """

    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, "ordering", "values", "processes"]

    def __init__(
        self,
        hosts: Sequence[Any] | Callable[[], Sequence[PoolSource]] | None = None,
        prefix: str | Sequence[str] = "asgi:",
        stats_prefix: str | Sequence[str] = "asgi-meta:",
        symmetric_encryption_keys: Sequence[str | bytes] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        super().__init__(**config)
        find = hosts if callable(hosts) else found_by(hosts, connection_kwargs)
        servers = None if callable(hosts) else len(find())
        keys = ServerKeys(
            check_prefixes("prefix", prefix, servers), check_prefixes("stats_prefix", stats_prefix, servers)
        )
        parts = Parts(self, find, keys, make_cipher(symmetric_encryption_keys))
        self.prefix = prefix
        self.stats_prefix = stats_prefix
        self._keys = parts.keys
        self._transport = parts.transport
        self._placement = parts.placement
        self._queues = parts.queues
        self._groups = parts.groups
        self._registry = parts.registry
        self._turns = parts.turns
        self._values = parts.values
        self._statistics = parts.statistics
        self._epochs = parts.epochs
        self._receiving = parts.receiving
        self._sockets = parts.sockets
        self._letters = parts.letters
        self._sweeps = parts.sweeps
        self._batches = parts.batches

    def close(self) -> None:
        """Close the connections of all threads."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._transport.aclose()

    def describe_servers(self) -> str:
        """The addresses of its servers, as far as they are known without asking sentinels."""
        return self._transport.describe()

    # Messages.

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """See the contract."""
        return self._transport.run(self._batches.send_and_receive(deliveries, [], 0))[0]

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        """See the contract."""
        return (await self._transport.arun(self._batches.send_and_receive(deliveries, [], 0)))[0]

    def receive_batch(
        self, channels: Sequence[str], limit: int, timeout: float = 0, taker: Taker | None = None
    ) -> list[Received]:
        """See the contract."""
        channels = names.check_all_receivable(channels)
        if taker is not None:
            return self._batches.send_and_wait([], channels, limit, timeout, taker)[1]
        return self._batches.receive(channels, limit, timeout)

    async def areceive_batch(self, channels: Sequence[str], limit: int, timeout: float) -> list[Received]:
        """See the contract."""
        channels = names.check_all_receivable(channels)
        await self._transport.ready()
        servers = self._placement.of_channels(channels)
        if len(servers) != 1:
            return await super().areceive_batch(channels, limit, timeout)
        return await self._batches.areceive(servers[0], channels, limit, timeout)

    async def areceive_own(self, process: str, limit: int, timeout: float) -> list[Received]:
        """See the contract. What was lost with a connection comes again."""
        names.check_receivable(f"{process}!")
        await self._transport.ready()
        return await self._batches.areceive_own(process, limit, timeout)

    def send_and_receive(
        self,
        deliveries: Sequence[Delivery],
        channels: Sequence[str],
        limit: int,
        timeout: float = 0,
        taker: Taker | None = None,
    ) -> tuple[list[int], list[Received]]:
        """See the contract, in one round trip."""
        channels = names.check_all_receivable(channels)
        if taker is not None:
            return self._batches.send_and_wait(deliveries, channels, limit, timeout, taker)
        if timeout:
            return super().send_and_receive(deliveries, channels, limit, timeout)
        return self._transport.run(self._batches.send_and_receive(deliveries, channels, limit))

    def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> None:
        """See the contract."""
        self._transport.run(self._batches.give_back(batch, taker))

    # Groups.

    def group_add(self, group: str, channel: str) -> None:
        """See the contract."""
        self._transport.run(self._change(group, channel, JOIN))

    async def agroup_add(self, group: str, channel: str) -> None:
        """See the contract."""
        await self._transport.arun(self._change(group, channel, JOIN))

    def group_discard(self, group: str, channel: str) -> None:
        """See the contract."""
        self._transport.run(self._change(group, channel, LEAVE))

    async def agroup_discard(self, group: str, channel: str) -> None:
        """See the contract."""
        await self._transport.arun(self._change(group, channel, LEAVE))

    def group_channels(self, group: str) -> list[str]:
        """See the contract."""
        names.check_group(group)
        return self._transport.run(self._groups.channels(group))

    def release(self, channels: Iterable[str]) -> None:
        """See the contract."""
        self._transport.run(self._release(list(channels)))

    async def arelease(self, channels: Iterable[str]) -> None:
        """See the contract."""
        await self._transport.arun(self._release(list(channels)))

    def joined(self) -> list[str]:
        """See the contract."""
        return self._groups.joined()

    def group_sizes(self) -> GroupSizes:
        """See the contract."""
        return self._groups.sizes()

    def renew(self, channels: Iterable[str]) -> None:
        """See the contract."""
        self._transport.run(self._groups.renew(channels))

    async def arenew(self, channels: Iterable[str]) -> None:
        """See the contract."""
        await self._transport.arun(self._groups.renew(channels))

    @property
    def losses(self) -> int:
        """See the contract."""
        return self._epochs.losses

    def repair(self) -> None:
        """See the contract."""
        self._transport.run(self._epochs.compare(self._queues, len(self._transport.servers)))

    async def arepair(self) -> None:
        """See the contract."""
        await self._transport.ready()
        await self._transport.arun(self._epochs.compare(self._queues, len(self._transport.servers)))

    def _change(self, group: str, channel: str, kind: bytes) -> Steps[None]:
        names.check_group(group)
        names.check_channel(channel)
        return self._groups.change([(group, channel)], kind)

    def _release(self, channels: list[str]) -> Steps[None]:
        yield from self._groups.change(self._groups.memberships_of(channels), LEAVE)
        yield from self._turns.release(channels)

    # Turns.

    def enter_turn(self, turn: Turn, message: dict[str, Any]) -> bool:
        """See the contract."""
        check_turn(turn)
        verdict = self._transport.run(self._turns.enter(turn, message))
        return may_run(verdict, turn)

    def suspend_turn(self, turn: Turn) -> None:
        """See the contract."""
        self._transport.run(self._turns.suspend(turn))

    def resume_turns(self, orders: Mapping[str, int], settled: bool = False) -> None:
        """See the contract."""
        self._transport.run(self._turns.resume(orders, settled))

    async def aresume_turns(self, orders: Mapping[str, int], settled: bool = False) -> None:
        """See the contract."""
        await self._transport.arun(self._turns.resume(orders, settled))

    # Processes.

    def taker(self, process: str, number: int) -> Taker:
        """See the contract."""
        return Taker(process, number)

    def beat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """See the contract."""
        return self._transport.run(self._registry.beat(process, self._turns.renewals(leases)))

    async def abeat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """See the contract."""
        await self._transport.ready()
        return await self._transport.arun(self._registry.beat(process, self._turns.renewals(leases)))

    def depart(self, process: Process) -> None:
        """See the contract."""
        self._transport.run(self._sweeps.depart(process.name))

    async def adepart(self, process: Process) -> None:
        """See the contract."""
        await self._transport.ready()
        await self._transport.arun(self._sweeps.depart(process.name))

    def sweep(self, process: Process, started: Started) -> Swept | None:
        """See the contract."""
        return self._transport.run(self._sweeps.sweep(process, self._rules(process), started))

    async def asweep(self, process: Process, started: Started) -> Swept | None:
        """See the contract."""
        await self._transport.ready()
        return await self._transport.arun(self._sweeps.sweep(process, self._rules(process), started))

    def processes(self) -> list[Process]:
        """See the contract."""
        return self._transport.run(self._registry.alive())

    def has_ended(self, process: str) -> bool:
        """See the contract."""
        return self._transport.run(self._registry.has_ended(process))

    def clients(self, process: str) -> list[str]:
        """See the contract."""
        return self._transport.run(self._sockets.channels(process))

    def client_groups(self, reply_channel: str) -> list[str]:
        """See the contract."""
        names.check_channel(reply_channel)
        return self._transport.run(self._groups.of_client(reply_channel))

    def register_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """See the contract."""
        self._transport.run(self._sockets.register(process, clients))

    async def ataken_orders(self, process: str, channels: Sequence[str]) -> dict[str, int] | None:
        """See the contract."""
        await self._transport.ready()
        return await self._transport.arun(self._sockets.orders(process, channels))

    async def aregister_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """See the contract."""
        await self._transport.ready()
        await self._transport.arun(self._sockets.register(process, clients))

    def open_answer(self, process: str, reply_channel: str) -> None:
        """See the contract."""
        self._transport.run(one_round_trip(self._registry.answer("SADD", process, reply_channel)))

    def close_answer(self, process: str, reply_channel: str) -> None:
        """See the contract."""
        self._transport.run(one_round_trip(self._registry.answer("SREM", process, reply_channel)))

    def dead_letters(self) -> list[DeadLetter]:
        """See the contract."""
        return self._transport.run(self._letters.all())

    def dead_letter_count(self) -> int:
        """See the contract."""
        return self._transport.run(self._letters.count())

    def retry_dead_letter(self, identity: str) -> bool:
        """See the contract."""
        return self._transport.run(self._letters.retry(identity))

    def drop_dead_letter(self, identity: str) -> bool:
        """See the contract."""
        return self._transport.run(self._letters.drop(identity))

    def _rules(self, process: Process) -> Rules:
        return Rules(process, self.is_at_least_once, self.max_deliveries)

    # Values.

    def get_value(self, name: str) -> tuple[bytes, float] | None:
        """See the contract."""
        return self._transport.run(self._values.get(name))

    def set_value(self, name: str, value: bytes, seconds: float, replace: bool) -> bool:
        """See the contract."""
        return self._transport.run(self._values.set(name, value, seconds, replace))

    def keep_value(self, name: str, seconds: float) -> None:
        """See the contract."""
        self._transport.run(self._values.keep(name, seconds))

    def delete_value(self, name: str) -> None:
        """See the contract."""
        self._transport.run(self._values.delete(name))

    # Flow control.

    def pause(self, channels: Iterable[str]) -> None:
        """See the contract."""
        self._transport.run(one_round_trip(self._queues.pausing("SADD", channels)))

    async def apause(self, channels: Iterable[str]) -> None:
        """See the contract."""
        await self._transport.arun(one_round_trip(self._queues.pausing("SADD", channels)))

    def resume(self, channels: Iterable[str]) -> None:
        """See the contract."""
        self._transport.run(one_round_trip(self._queues.pausing("SREM", channels)))

    async def aresume(self, channels: Iterable[str]) -> None:
        """See the contract."""
        await self._transport.arun(one_round_trip(self._queues.pausing("SREM", channels)))

    # Flush and statistics.

    def flush(self) -> None:
        """See the contract."""
        for number, server in enumerate(self._transport.servers):
            flush(server, self._keys[number])
        self._groups.forget()
        self._receiving.forget()

    def global_statistics(self) -> dict[str, int]:
        """See the contract."""
        return self._transport.run(self._statistics.totals())

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """See the contract."""
        names.check_channel(channel)
        return self._transport.run(self._statistics.of_channel(channel))
