"""The parts of a process that a worker uses."""

from __future__ import annotations

from dataclasses import dataclass

from worker.asynchronous import ConsumerLoop
from worker.hold import Hold
from worker.presence import Hand, Presence
from worker.streams import StreamThreads
from worker.watchdog import Watchdog


@dataclass(frozen=True)
class Place:
    """The parts of its process that a worker uses. A worker that runs alone has none of them.

    Arguments:
        watchdog: is told when messages wait behind the one that runs.
        event_loop: runs asynchronous consumers; without it they keep the worker until they have come to their end.
        streams: gives answers that last; without it they keep the worker until they have come to their end.
        presence: of the process in the registry of the layer.
        number: of the worker in its process, from 0.
    """

    watchdog: Watchdog | None = None
    event_loop: ConsumerLoop | None = None
    streams: StreamThreads | None = None
    presence: Presence | None = None
    number: int = 0

    def hand(self) -> Hand:
        """The hand that the worker takes messages with; it may become invalid."""
        return Hand() if self.presence is None else self.presence.hand(self.number)

    def spare_hold(self) -> Hold:
        """What takes the next batch while the last one is held."""
        return Hold() if self.presence is None else self.presence.take_spare()

    def confirm(self, hand: Hand) -> Hand:
        """A hand that is valid: the same one, or another one if the process had lapsed.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        if self.presence is not None:
            self.presence.confirm(hand)
        return self.hand()
