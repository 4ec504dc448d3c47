"""Batches that are held: some of their messages are in the hands of asynchronous consumers.

A worker's next trip says that its last batch is done. So it must not make that trip with the same taker while
asynchronous consumers of the batch run. It *leaves* the batch to them, with its taker, and goes on with another
taker. When the last of them is done, and all that they sent is on its way, ``Completions`` ends the batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from channels_classic.layers import Lease, Received
from worker.consume import Unfinished
from worker.hold import Hold
from worker.host import WorkerHost


class HeldBatch:
    """A batch with asynchronous consumers. It is used under the lock of ``Completions``.

    Arguments:
        hold: the taker that has the batch, and its page of the journal.
    """

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.running = 0
        """How many of its asynchronous consumers run."""
        self.unsent = 0
        """How many have not sent all yet: those that run, and those whose messages wait to be sent."""
        self.places: set[int] = set()
        """The places in the batch of the asynchronous consumers."""
        self.is_attended = False
        """Whether its worker waits for them, and will send what they sent."""
        self.finished: list[RunningAsync] = []
        """Those that have ended while it waited."""
        self.ended = threading.Event()
        """Set when none runs any more while its worker waits."""


@dataclass(eq=False)
class RunningAsync:
    """An asynchronous consumer that runs."""

    received: Received
    unfinished: Unfinished
    batch: HeldBatch
    place: int
    """In its batch, from 0."""
    host: WorkerHost
    """What it sees of the worker."""
    shared_connections: Mapping[str, Any]
    """Database connections that may be used in any thread."""
    since: float = field(default_factory=time.monotonic)
    """When it began, by ``time.monotonic``."""

    @property
    def what(self) -> str:
        """The message as the log names it: its channel, its path if it has one, and its consumer."""
        path = self.received.content.get("path")
        return " ".join(filter(None, [self.received.channel, path, f"({self.unfinished.name})"]))

    @property
    def lease(self) -> Lease | None:
        """Of its turn, if it has one."""
        return self.host.lease
