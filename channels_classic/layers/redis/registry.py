"""The registry of processes in Redis: who is alive, and who was declared dead.

Each server has it, so that each can refuse what a process sends that was declared dead. Who is dead is said by the
first server, and who sweeps is said there too. The clocks of the servers count, and no process's own.

A process that is not in the registry was swept, unless the server has lost its data since. Then its epoch
differs from that in which the process was registered, and the process is registered again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from channels_classic.layers import codec, names
from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.steps import Command, Steps, Trips
from channels_classic.layers.redis.encryption import Cipher, seal, unseal
from channels_classic.layers.redis.keys import Keys
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Origin
from channels_classic.layers.takers import Taker
from channels_classic.layers.tracking import GONE_SECONDS
from channels_classic.layers.types import Beat, Process
from channels_classic.log import logger

FIRST = 0
"""The server whose word counts."""


class Registry:
    """Knows the processes.

    Arguments:
        keys: of the layer.
        placement: tells how many servers there are.
        cipher: encrypts the details of processes, if there is one.
        life: tells after how many seconds without a heartbeat a process is dead.
    """

    def __init__(self, keys: Keys, placement: Placement, cipher: Cipher | None, life: Callable[[], float]) -> None:
        self._keys = keys
        self._placement = placement
        self._cipher = cipher
        self._life = life
        self._epochs: dict[str, dict[int, bytes]] = {}
        """For each process that has beaten here, the epoch of each server in which it was registered."""

    @property
    def has_beaten(self) -> bool:
        """Whether any process has beaten over this layer."""
        return bool(self._epochs)

    def epoch(self, process: str, server: int = FIRST) -> bytes:
        """The epoch of a server in which a process was registered; empty if it was not, as far as known here."""
        return self._epochs.get(process, {}).get(server, b"")

    def origin(self, taker: Taker, server: int = FIRST, number: int | None = None) -> Origin:
        """How a taker that sends is known to a server."""
        return Origin(taker.process, self.epoch(taker.process, server), taker.name, number)

    def beat(self, process: Process, also: Iterable[tuple[int, Command]] = ()) -> Steps[Beat]:
        """A process is alive.

        Arguments:
            also: further commands for servers, in the same round trip; what they answer does not matter.
        """
        trips = Trips(partial=True)
        details = seal(self._cipher, _place(process.name), codec.pack(dict(process.details)))
        keys = (self._keys.epoch, self._keys.beats, self._keys.processes, self._keys.gone)
        times = (int(self._life() * 1000), GONE_SECONDS * 1000)
        for server in range(self._placement.count):
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
                continue  # it is asked again with the next beat
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
        trips.add(FIRST, ("ZRANGEBYSCORE", self._keys.beats, since, "+inf"))
        living = (yield trips)[FIRST][0]
        if not living:
            return []
        trips = Trips()
        trips.add(FIRST, ("HMGET", self._keys.processes, *living))
        details = (yield trips)[FIRST][0]
        return self._opened([part for pair in zip(living, details, strict=True) for part in pair])

    def has_ended(self, process: str) -> Steps[bool]:
        """Whether a process has ended a short while ago."""
        trips = Trips()
        trips.add(FIRST, ("ZSCORE", self._keys.gone, process))
        return (yield trips)[FIRST][0] is not None

    def claim(self, process: str, sweeper: str, seconds: float) -> Steps[bool]:
        """Begin the sweep of a process, or its end in order: from here on it can neither take nor send.

        Returns:
            Whether nobody else sweeps it.
        """
        trips = Trips()
        trips.add(FIRST, self._claim(process, sweeper, seconds, self._keys.sweep(process)))
        if not (yield trips)[FIRST][0]:
            return False
        yield from self._claim_elsewhere(process)
        return True

    def renew(self, process: str, seconds: float) -> Steps[None]:
        """The sweep of a process goes on."""
        trips = Trips()
        trips.add(FIRST, ("PEXPIRE", self._keys.sweep(process), int(seconds * 1000)))
        yield trips

    def remove(self, process: str) -> Steps[None]:
        """Forget a process: nothing of it is left."""
        trips = Trips()
        for server in range(self._placement.count):
            trips.add(server, ("HDEL", self._keys.processes, process))
        trips.add(FIRST, ("UNLINK", self._keys.sweep(process)))
        yield trips

    def answer(self, command: str, process: str, reply_channel: str) -> Trips:
        """Notes that a process gives an answer that lasts (``SADD``), or not any more (``SREM``)."""
        trips = Trips()
        trips.add(self._placement.of(process), (command, self._keys.answers(process), reply_channel))
        return trips

    def _claim(self, process: str, sweeper: str, seconds: float, *lock: str) -> Command:
        keys = (self._keys.beats, self._keys.gone, *lock)
        return ("claim", len(keys), *keys, process, sweeper, int(seconds * 1000))

    def _claim_elsewhere(self, process: str) -> Steps[None]:
        trips = Trips()
        for server in range(FIRST + 1, self._placement.count):
            trips.add(server, self._claim(process, "", 0))
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
