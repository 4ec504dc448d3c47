"""Makes the commands that put entries into queues and take them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from channels_classic.layers import names
from channels_classic.layers.exceptions import Lapsed, LayerUnavailable
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.replies import BrokenOff
from channels_classic.layers.redis.connections.steps import Command, Trips
from channels_classic.layers.redis.envelope import STAMP_LENGTH
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Client, quick

PAUSE_SECONDS = 3600
"""Seconds after which a pause that was never ended (its process was killed) is forgotten."""

STATISTICS_SECONDS = 86400
"""Seconds for which the statistics of a process's queue stay after the last message to it."""


LAPSED = 2
"""The answer of scripts that did nothing, because the process that sends was declared dead."""


class Push(NamedTuple):
    """One entry to append to a queue.

    Arguments:
        position: its position in the batch; ``None`` if it is in no batch, or goes to a group.
        channel: the channel that it is for.
        body: what the queue holds, without the time of expiry.
        life: seconds until it expires.
        limited: whether the capacity of the queue applies.
        client: the socket that it comes from, with its will as Redis keeps it.
    """

    position: int | None
    channel: str
    body: bytes
    life: float
    limited: bool = True
    client: Client | None = None


quick_push = quick(Push)


class Origin(NamedTuple):
    """The process that sends.

    Arguments:
        process: the name of the process.
        epoch: the epoch in which it was registered; empty if it was not.
        taker: the name of the taker that sends, if a taker sends.
        number: the number of the taker's shipment, if it sends one.
    """

    process: str
    epoch: bytes = b""
    taker: str = ""
    number: int | None = None


class Entry(NamedTuple):
    """One entry taken from a queue, and the server that it was on."""

    server: int
    queue: str
    value: bytes

    @property
    def stamp(self) -> bytes:
        """The time of expiry: 16 digits, microseconds by the clock of its server."""
        return self.value[:STAMP_LENGTH]


quick_entry = quick(Entry)


class Queues:
    """Makes the commands.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the servers of the queues.
        clocks: the clocks of the servers.
        capacity_of: gives the capacity of the queue of a channel.
        expiry: seconds that a message lives.
    """

    def __init__(
        self,
        keys: ServerKeys,
        placement: Placement,
        clocks: Clocks,
        capacity_of: Callable[[str], int],
        expiry: float,
    ) -> None:
        self._keys = keys
        self._clocks = clocks
        self._placement = placement
        self._capacity_of = capacity_of
        self._expiry = expiry
        self._rotation = 0

    def send(
        self,
        pushes: Sequence[Push],
        server: int = 0,
        last: bool = True,
        remembered: Mapping[str, Sequence[str]] | None = None,
        urgent: bool = True,
        origin: Origin | None = None,
    ) -> Command:
        """The command for one server that appends entries.

        Arguments:
            last: whether no other server is tried for what this one refuses.
            remembered: groups and their remembered routes. If these have changed, nothing is sent.
            urgent: whether nothing is sent after the time that the sender waits.
            origin: the process that sends. If it was declared dead, nothing is sent.
        """
        remembered = remembered or {}
        of_queue: dict[str, int] = {}
        arguments: list[Any] = [self._clocks.latest(server) if urgent else 0, STATISTICS_SECONDS]
        arguments += self._origin(origin, pushes)
        arguments.append(len(remembered))
        for routes in remembered.values():
            arguments += [len(routes), *routes]
        run: tuple[str, float, bool] | None = None
        count_at = 0
        for _, channel, body, life, limited, _ in pushes:
            process, mark, local = channel.partition("!")
            queue = process + mark
            if run != (queue, life, limited):
                run = (queue, life, limited)
                number = of_queue.setdefault(queue, len(of_queue) + 1)
                capacity = self._share_of_capacity(channel, server) if limited else -1
                is_normal = names.is_normal(queue)
                refusals_count = int(last or not is_normal)
                count_at = len(arguments) + 5
                arguments += (number, capacity, int(life * 1_000_000), refusals_count, int(is_normal), 0)
            arguments[count_at] += 1
            arguments += (local, body)
        of_server = self._keys[server]
        keys = [of_server.routes(group) for group in remembered]
        for queue in of_queue:
            keys += of_server.for_sending(queue)
        if origin is not None:
            keys += [of_server.clients(origin.process), of_server.orders(origin.process)]
            keys += [of_server.sent(origin.taker), of_server.beats, of_server.epoch]
        return ("send", len(keys) + 2, *keys, of_server.gone, of_server.totals, *arguments)

    def _origin(self, origin: Origin | None, pushes: Sequence[Push]) -> list[Any]:
        if origin is None:
            return ["", "", "", 0]
        number = "" if origin.number is None else origin.number
        arguments: list[Any] = [origin.process, origin.epoch, number, 0]
        for position, push in enumerate(pushes):
            if push.client is not None:
                channel, order, will = push.client
                local = channel.partition("!")[2]
                arguments += (position, local, "" if order is None else order, will or b"")
        arguments[3] = (len(arguments) - 4) // 4
        return arguments

    def sent(self, server: int, answer: Any, origin: Origin | None = None) -> tuple[Sequence[int], Sequence[Any]]:
        """Read the answer to ``send``: the entries that were refused, and the routes that have changed.

        Raises:
            LayerUnavailable: nothing was sent, because the command arrived too late.
            Lapsed: nothing was sent, because the process that sends was declared dead.
        """
        if isinstance(answer, bytes):
            self._clocks.told(server, answer)
            return (), ()
        refused, routes, now, failed = answer
        self._clocks.told(server, now)
        if failed == LAPSED and origin is not None:
            raise Lapsed(origin.process)
        if failed == 3:
            raise BrokenOff("What was sent came late: what its sender sent later had overtaken it.")
        if failed:
            raise LayerUnavailable("Redis hung: what was sent arrived there too late.", nothing_done=True)
        return refused, routes

    def receive(self, queues: Sequence[str], limit: int, server: int = 0, wait: float = 0) -> Command:
        """The command that takes up to ``limit`` entries out of queues. A busy queue does not starve the others.

        Arguments:
            wait: seconds that the server waits before this command.
        """
        of_server = self._keys[server]
        keys = (of_server.epoch, *of_server.queues(queues))
        return ("receive", len(keys), *keys, limit, names.random_part(), self._clocks.latest(server, wait))

    def receive_counted(self, queues: Sequence[str], counts: Sequence[int], server: int) -> Command:
        """The command that takes the given number of entries out of each queue."""
        return (*self.receive(queues, 0, server), *counts)

    def wait(self, queues: Sequence[str], timeout: float, server: int) -> Command:
        """The command that waits up to ``timeout`` seconds for an entry, and takes it."""
        return ("BLPOP", *self._keys[server].queues(queues), timeout)

    def popped(self, server: int, answer: Any) -> Entry:
        """Read the entry in the answer of a server to ``wait``."""
        return Entry(server, self._keys[server].queue_of(answer[0]), answer[1])

    def key(self, queue: str, server: int) -> str:
        """The key of a queue."""
        return self._keys[server].queue(queue)

    def peek(self, queues: Sequence[str], limit: int, server: int) -> Command:
        """The command that gives the times of the first entries of queues."""
        return ("peek", len(queues), *self._keys[server].queues(queues), limit)

    def give_back(
        self, server: int, values: Mapping[str, Sequence[bytes]], taker: Taker | None = None, epoch: bytes = b""
    ) -> Command:
        """The command for one server that puts entries in front of their queues.

        Arguments:
            values: the entries of each queue, by the name of the queue, from the last to the first.
            taker: the taker that has them in-flight, if there is one.
            epoch: the epoch in which its process was registered; empty if it was not.
        """
        of_server = self._keys[server]
        keys = of_server.with_bells(values)
        arguments: list[Any] = [int(self._expiry * 1000), len(values)]
        if taker is None:
            arguments += ["", "", b""]
        else:
            keys += [of_server.in_flight(taker.name), of_server.beats, of_server.epoch]
            arguments += [taker.batch, taker.process, epoch]
        numbered = [(number, value) for number, queue in enumerate(values, 1) for value in values[queue]]
        pairs = [part for pair in numbered for part in pair]
        return ("give_back", len(keys), *keys, *arguments, *pairs)

    def pausing(self, command: str, channels: Iterable[str]) -> Trips:
        """The commands that pause channels of a process (``SADD``), or resume them (``SREM``)."""
        trips = Trips()
        for channel in channels:
            queue = names.queue_name(channel)
            server = self._placement.of_channel(queue)
            key = self._keys[server].paused(queue)
            local = channel[len(queue) :]
            trips.add(server, (command, key, local), ("EXPIRE", key, PAUSE_SECONDS))
        return trips

    def rotated(self, channels: list[str]) -> list[str]:
        """The channels, with another one of them first at each call."""
        self._rotation += 1
        start = self._rotation % len(channels)
        return channels[start:] + channels[:start]

    def _share_of_capacity(self, channel: str, server: int) -> int:
        capacity = self._capacity_of(channel)
        servers = self._placement.count
        if servers == 1 or not names.is_normal(channel):
            return capacity
        share, rest = divmod(capacity, servers)
        return share + (server < rest)
