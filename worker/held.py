"""Held batches: batches with messages whose asynchronous consumers still run.

The next round trip of a taker tells the layer that its last batch is done. So a worker must not use the same taker
while asynchronous consumers of the batch run. It *leaves* the batch, with its taker, to them, and goes on with
another taker. When the last of them is done, and all that they sent is on its way, ``Completions`` ends the batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from channels_classic.layers import Lease, Received
from channels_classic.processes.heartbeat import channel_and_path
from worker.consume import Unfinished
from worker.hold import Hold
from worker.host import WorkerHost


class HeldBatch:
    """A batch with asynchronous consumers. It is used under the lock of ``Completions``.

    Arguments:
        hold: the taker that has the batch, and its page of the journal.
        shared_connections: database connections that any thread may use.
    """

    def __init__(self, hold: Hold, shared_connections: Mapping[str, Any]) -> None:
        self.hold = hold
        self.shared_connections = shared_connections
        self.running = 0
        """The number of its asynchronous consumers that run."""
        self.unsent = 1
        """The number of its asynchronous consumers that run, or whose messages are not sent yet. The worker counts
        as one until it has left the batch, so that nobody else ends the batch before."""
        self.places: set[int] = set()
        """The places in the batch of the asynchronous consumers."""
        self.is_attended = False
        """Whether its worker waits for them, and will send their messages."""
        self.is_left = False
        """Whether its worker will not send for them any more."""
        self.finished: list[RunningAsync] = []
        """The consumers that have ended while the worker waited."""
        self.ended = threading.Event()
        """Set when none of them runs any more while the worker waits."""


@dataclass(eq=False)
class RunningAsync:
    """An asynchronous consumer that runs."""

    received: Received
    unfinished: Unfinished
    batch: HeldBatch
    place: int
    """Its place in its batch, from 0."""
    host: WorkerHost
    """The host that it uses."""
    since: float = field(default_factory=time.monotonic)
    """When it began, by ``time.monotonic``."""

    @property
    def what(self) -> str:
        """The message, for the log: its channel, its path if it has one, and its consumer."""
        return f"{channel_and_path(self.received.channel, self.received.content)} ({self.unfinished.name})"

    @property
    def lease(self) -> Lease | None:
        """The lease of its turn, if it has one."""
        return self.host.lease
