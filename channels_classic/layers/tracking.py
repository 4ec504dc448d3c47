"""The part of the contract that is about processes: who is alive, what each of them has, and what happens if
one dies.

Its calls belong to the extension ``processes``. A layer without it has the defaults here, and goes on as
before: what a process has when it is killed is lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Beat, DeadLetter, Lease, Process, Swept

BEAT_SECONDS = 0.75
"""How often a process beats."""

LIFE_SECONDS = 3.5
"""A process that has not beaten for so long is dead, by the clock of the layer. Long enough for a pause of a
garbage collector or a busy machine; short enough that what it had runs elsewhere within five seconds."""

GONE_SECONDS = 60
"""How long it is known that a process is gone. What is sent to it meanwhile is dropped at once."""

MOST_DEAD_LETTERS = 1000
MOST_DEAD_LETTER_BYTES = 2**26
"""How many dead letters are kept, and bytes of them. Beyond that the oldest are dropped."""


class Progress(NamedTuple):
    """How far a taker has come with its last batch."""

    batch: int
    """The number of the batch."""

    started: int
    """How many messages were started, in the order in which they were received."""

    done: int = 0
    """A bit for each message, from the lowest, that is done although others of the batch are not."""


Started = Callable[[Process], Mapping[str, Progress] | None]
"""Tells the progress of each taker of a process, by its name; ``None`` if nobody here knows. Then all of each
batch counts as started."""


class ProcessCalls(ABC):
    """The extension "processes"."""

    life: float = LIFE_SECONDS
    """Seconds after which a process that does not beat is dead."""

    def taker(self, process: str, number: int) -> Taker | None:
        """A taker for one thread of a worker, which is handed to ``receive_batch`` and the like.

        Arguments:
            process: the name of the process. It has to beat, or nobody notices its death.
            number: of the taker, from 0.

        Returns:
            The taker; ``None`` if the layer does not keep what is in-flight.
        """
        return None

    def beat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """Say that a process is alive, every ``BEAT_SECONDS``; the first beat registers it.

        Arguments:
            process: its details are those of the last beat.
            leases: of the turns that run in the process. They are renewed.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """
        return Beat(False, [])

    def depart(self, process: Process) -> None:
        """Take a process out of the registry that has come to its end in order, and remove what it owns.

        What its takers hold counts as done, and its sockets as having left.

        Raises:
            LayerUnavailable: the server behind the layer does not answer. Then a sweep does it later.
        """

    def sweep(self, process: Process, started: Started) -> Swept | None:
        """Give to others what a dead process had, and remove what it owned. Whoever knows of its death may do it.

        From the first step on the process itself can take and send nothing more: ``Lapsed``. What was not started
        goes back in front of its channel. What was started runs again if its channel is at-least-once, up to
        ``max_deliveries`` times, and is lost otherwise: then its client gets 502, or its connecting socket is
        refused, and its turn is passed over. The wills of its sockets are sent, and their memberships end.

        Each step may be repeated, so that a sweep that is killed half-way is finished by another one.

        Returns:
            What was done; ``None`` if somebody else sweeps that process at the moment.

        Raises:
            LayerUnavailable: the server behind the layer does not answer. The sweep has to be called again.
        """
        return Swept(0, 0, 0, [], 0)

    def processes(self) -> list[Process]:
        """The processes that are alive."""
        return []

    def has_ended(self, process: str) -> bool:
        """Whether a process was swept, or has departed, within the last ``GONE_SECONDS``."""
        return False

    # Sockets.

    def clients(self, process: str) -> list[str]:
        """The reply channels of the sockets of an interface server process, by its name."""
        return []

    def register_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """Tell the layer of sockets again, after it has lost its data.

        Arguments:
            clients: for each reply channel the order of its last message that the layer has taken, and its will.
        """

    def open_answer(self, process: str, reply_channel: str) -> None:
        """Say that a process gives an answer that lasts; if the process dies, its client gets 502."""

    def close_answer(self, process: str, reply_channel: str) -> None:
        """End ``open_answer``."""

    # Dead letters.

    def dead_letters(self) -> list[DeadLetter]:
        """The messages of channels that are at-least-once which killed their workers too often, the oldest
        first."""
        return []

    def dead_letter_count(self) -> int:
        """How many dead letters there are."""
        return len(self.dead_letters())

    def retry_dead_letter(self, identity: str) -> bool:
        """Send a dead letter to its channel once more, as if it were new; whether it was there."""
        return False

    def drop_dead_letter(self, identity: str) -> bool:
        """Drop a dead letter; whether it was there."""
        return False

    # The same for an event loop.

    @abstractmethod
    async def abeat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """As ``beat``."""

    @abstractmethod
    async def adepart(self, process: Process) -> None:
        """As ``depart``."""

    @abstractmethod
    async def asweep(self, process: Process, started: Started) -> Swept | None:
        """As ``sweep``."""

    @abstractmethod
    async def aregister_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """As ``register_clients``."""
