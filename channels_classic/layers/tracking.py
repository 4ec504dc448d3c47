"""The part of the contract about processes: their registry, what each has, and the sweep of a dead one.

These calls belong to the extension ``processes``. A layer without it has the defaults here: what a process has
when it is killed is lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Beat, DeadLetter, Lease, Process, Swept

BEAT_SECONDS = 0.75
"""Seconds between two heartbeats of a process."""

LIFE_SECONDS = 3.5
"""A process that has sent no heartbeat for this many seconds is dead, by the clock of the layer. This is long
enough for a pause of the garbage collector or a busy machine, and short enough that another process has taken over
within five seconds."""

GONE_SECONDS = 60
"""Seconds for which the layer remembers that a process is gone. Whatever is sent to such a process is dropped at
once."""

MOST_DEAD_LETTERS = 1000
MOST_DEAD_LETTER_BYTES = 2**26
"""How many dead letters, and bytes of them, are kept. Beyond that the oldest are dropped."""


class Progress(NamedTuple):
    """How far a taker has come with its last batch."""

    batch: int
    """The number of the batch."""

    started: int
    """How many messages were started, in the order in which they were received."""

    done: int = 0
    """One bit per message of the batch, the lowest for the first: set if the message is done although others are
    not."""


Started = Callable[[Process], Mapping[str, Progress] | None]
"""Gives the progress of each taker of a process, by the taker's name. ``None`` if nobody here knows: then every
message that the process had taken counts as started."""


class ProcessCalls(ABC):
    """The extension "processes"."""

    life: float = LIFE_SECONDS
    """Seconds without a heartbeat after which a process is dead."""

    def taker(self, process: str, number: int) -> Taker | None:
        """Make a taker for one thread of a worker, to pass to ``receive_batch`` and the like.

        Arguments:
            process: the name of the process. It has to send heartbeats, or nobody notices its death.
            number: the number of the taker in its process, from 0.

        Returns:
            The taker; ``None`` if the layer does not keep what is in-flight.
        """
        return None

    def beat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        """Send a heartbeat, every ``BEAT_SECONDS``. The first one registers the process.

        Arguments:
            process: the process. The registry keeps the details that came last.
            leases: the leases of the turns that run in the process; they are renewed.

        Raises:
            LayerUnavailable: the server behind the layer does not answer.
        """
        return Beat(False, [])

    def depart(self, process: Process) -> None:
        """Remove a process that ends normally from the registry, and all that it owns.

        What its takers have counts as done, and its sockets count as closed.

        Raises:
            LayerUnavailable: the server behind the layer does not answer. A sweep does the same later.
        """

    def sweep(self, process: Process, started: Started) -> Swept | None:
        """Give the messages of a dead process to others, and remove what it owned. Any process may call this.

        From the first step on, the process itself can take and send nothing more: its calls raise ``Lapsed``.
        Messages that were not started go back in front of their channels. Messages that were started run again if
        their channel is at-least-once, up to ``max_deliveries`` times, and are lost otherwise. The client of a
        lost request gets 502, a socket whose ``websocket.connect`` is lost is refused, and the turn of a lost
        message is passed over. The wills of the process's sockets are sent, and their memberships end.

        Each step can be repeated, so another sweep finishes one that was killed.

        Returns:
            The result; ``None`` if somebody else sweeps that process at the moment, or the process has ended.

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

    def client_groups(self, reply_channel: str) -> list[str]:
        """The groups that a client is a member of, by its reply channel."""
        return []

    def register_clients(self, process: str, clients: Mapping[str, tuple[int, bytes]]) -> None:
        """Register sockets again after the layer has lost its data.

        Arguments:
            clients: for each reply channel the order of its last message that the layer has taken, and its will.
        """

    def open_answer(self, process: str, reply_channel: str) -> None:
        """Note that a process begins a streaming answer. If the process dies, the client gets 502."""

    def close_answer(self, process: str, reply_channel: str) -> None:
        """Note that a streaming answer has ended."""

    # Dead letters.

    def dead_letters(self) -> list[DeadLetter]:
        """The dead letters, the oldest first."""
        return []

    def dead_letter_count(self) -> int:
        """The number of dead letters."""
        return len(self.dead_letters())

    def retry_dead_letter(self, identity: str) -> bool:
        """Send a dead letter to its channel once more, as if it were new. Returns whether it was there."""
        return False

    def drop_dead_letter(self, identity: str) -> bool:
        """Drop a dead letter. Returns whether it was there."""
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
