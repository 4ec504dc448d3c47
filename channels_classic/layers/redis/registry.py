"""The registry of processes in Redis: which are alive, and which were declared dead.

Each server has a copy, so that it can refuse what a process sends that was declared dead. The first server decides
which processes are dead, and which process sweeps them. Times are by the clocks of the servers, not of a process.

A process that is missing in the registry was swept, unless the server has lost its data since. In that case the
epoch differs from the one in which the process was registered, and the process is registered again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from channels_classic.layers import codec, names
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.fencing import acting_process
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips
from channels_classic.layers.redis.encryption import Cipher, seal, unseal
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Origin
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import GONE_SECONDS
from channels_classic.layers.types import Beat, Process
from channels_classic.log import logger

FIRST = 0
"""The position of the server that decides."""


class Registry:
    """Knows the processes.

    Arguments:
        keys: the keys of the layer, for each server.
        placement: knows the number of servers.
        cipher: encrypts the details of processes; ``None`` for no encryption.
        life: gives the seconds without a heartbeat after which a process is dead.
    """

    def __init__(
        self, keys: ServerKeys, placement: Placement, cipher: Cipher | None, life: Callable[[], float]
    ) -> None:
        self._keys = keys
        self._placement = placement
        self._cipher = cipher
        self._life = life
        self._epochs: dict[str, dict[int, bytes]] = {}
        """For each process that has sent heartbeats by this layer, the epochs of the servers that registered
        it."""

    @property
    def has_beaten(self) -> bool:
        """Whether any process has sent heartbeats by this layer."""
        return bool(self._epochs)

    def epoch(self, process: str, server: int = FIRST) -> bytes:
        """The epoch of a server in which a process was registered; empty if it was not registered here."""
        return self._epochs.get(process, {}).get(server, b"")

    def fence(self, server: int = FIRST) -> tuple[str, bytes]:
        """The process in whose name this context acts, and the epoch of a server in which it was registered.

        Both are empty if there is none, or the server has never registered it.
        """
        process = acting_process()
        epoch = self.epoch(process, server) if process else b""
        return (process, epoch) if epoch else ("", b"")

    def fenced(self, server: int, process: str, key: str, command: str, *arguments: Any) -> Command:
        """A command that a server carries out only if the process was not declared dead (``fenced.lua``)."""
        of_server = self._keys[server]
        keys = (key, of_server.beats, of_server.epoch)
        return ("fenced", len(keys), *keys, process, self.epoch(process, server), command, *arguments)

    def origin(self, taker: Taker, server: int = FIRST, number: int | None = None) -> Origin:
        """How a server knows a taker that sends."""
        return Origin(taker.process, self.epoch(taker.process, server), taker.name, number)

    def beat(self, process: Process, also: Iterable[tuple[int, Command]] = ()) -> Steps[Beat]:
        """Send a heartbeat of a process.

        Arguments:
            also: more commands for servers, in the same round trip. Their answers do not matter.
        """
        trips = Trips(partial=True)
        details = seal(self._cipher, _place(process.name), codec.pack(dict(process.details)))
        times = (int(self._life() * 1000), GONE_SECONDS * 1000)
        for server in range(self._placement.count):
            own = self._keys[server]
            keys = (own.epoch, own.beats, own.processes, own.gone)
            known = (self.epoch(process.name, server), names.random_part())
            trips.add(server, ("beat", len(keys), *keys, process.name, details, *known, *times))
        for server, command in also:
            trips.add(server, command)
        answers = yield trips
        lapsed, dead = False, []
        for server, of_server in answers.items():
            answer = of_server[0]
            if isinstance(answer, LayerUnavailable):
                if server == FIRST:
                    raise answer
                continue  # the next heartbeat asks again
            has_lapsed, epoch, names_and_details = answer
            if has_lapsed:
                lapsed = True
            else:
                self._epochs.setdefault(process.name, {})[server] = epoch
            if server == FIRST:
                dead = self._opened(names_and_details)
        return Beat(lapsed, dead)

    def alive(self) -> Steps[list[Process]]:
        """The processes that are alive."""
        trips = Trips()
        trips.add(FIRST, ("TIME",))
        seconds, microseconds = (yield trips)[FIRST][0]
        since = int(seconds) * 1000 + int(microseconds) // 1000 - int(self._life() * 1000)
        trips = Trips()
        trips.add(FIRST, ("ZRANGEBYSCORE", self._keys[FIRST].beats, since, "+inf"))
        living = (yield trips)[FIRST][0]
        if not living:
            return []
        trips = Trips()
        trips.add(FIRST, ("HMGET", self._keys[FIRST].processes, *living))
        details = (yield trips)[FIRST][0]
        return self._opened([part for pair in zip(living, details, strict=True) for part in pair])

    def has_ended(self, process: str) -> Steps[bool]:
        """Whether a process has ended within the last minute."""
        trips = Trips()
        trips.add(FIRST, ("ZSCORE", self._keys[FIRST].gone, process))
        return (yield trips)[FIRST][0] is not None

    def claim(self, process: str, sweeper: str, seconds: float, known: bool = False) -> Steps[bool]:
        """Begin the sweep of a process, or its normal end. From here on it can neither take nor send.

        Arguments:
            known: whether the process has to be in the registry. If it is not, it has ended meanwhile.

        Returns:
            Whether the claim succeeded, because nobody else sweeps the process.
        """
        trips = Trips()
        keys = [self._keys[FIRST].sweep(process), self._keys[FIRST].processes]
        trips.add(FIRST, self._claim(FIRST, process, sweeper, seconds, *keys[: 1 + known]))
        if not (yield trips)[FIRST][0]:
            return False
        yield from self._claim_elsewhere(process)
        return True

    def renew(self, process: str, seconds: float) -> Steps[None]:
        """Renew the claim, because the sweep goes on."""
        trips = Trips()
        trips.add(FIRST, ("PEXPIRE", self._keys[FIRST].sweep(process), int(seconds * 1000)))
        yield trips

    def remove(self, process: str) -> Steps[None]:
        """Remove a process from the registry, after all else that it owned."""
        trips = Trips()
        for server in range(self._placement.count):
            trips.add(server, ("HDEL", self._keys[server].processes, process))
        trips.add(FIRST, ("UNLINK", self._keys[FIRST].sweep(process)))
        yield trips

    def answer(self, command: str, process: str, reply_channel: str) -> Trips:
        """Note that a process begins a streaming answer (``SADD``), or has ended it (``SREM``)."""
        trips = Trips()
        server = self._placement.of(process)
        trips.add(
            server, self.fenced(server, process, self._keys[server].answers(process), command, reply_channel)
        )
        return trips

    def _claim(self, server: int, process: str, sweeper: str, seconds: float, *lock: str) -> Command:
        keys = (self._keys[server].beats, self._keys[server].gone, *lock)
        return ("claim", len(keys), *keys, process, sweeper, int(seconds * 1000), GONE_SECONDS * 1000)

    def _claim_elsewhere(self, process: str) -> Steps[None]:
        trips = Trips()
        for server in range(FIRST + 1, self._placement.count):
            trips.add(server, self._claim(server, process, "", 0))
        if trips:
            yield trips

    def _opened(self, names_and_details: list[Any]) -> list[Process]:
        found = []
        for name, sealed in zip(names_and_details[::2], names_and_details[1::2], strict=True):
            process = name.decode()
            details: dict[str, Any] = {}
            try:
                details = codec.unpack(unseal(self._cipher, _place(process), sealed or b""))
            except ValueError as error:
                logger.error("The details of the process %s cannot be read: %s.", process, error)
            found.append(Process(process, details))
        return found


def _place(process: str) -> str:
    return f"process:{process}"
