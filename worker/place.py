"""Where a worker works: what its process has for it."""

from __future__ import annotations

from dataclasses import dataclass

from worker.presence import Hand, Presence
from worker.streams import StreamThreads
from worker.watchdog import Watchdog


@dataclass(frozen=True)
class Place:
    """What a worker gets from its process; one that runs alone has none of it.

    Arguments:
        watchdog: is told when messages wait behind the one that runs.
        streams: gives answers that last; without it they keep the worker until they have come to their end.
        presence: of the process in the registry of the layer.
        number: of the worker in its process, from 0.
    """

    watchdog: Watchdog | None = None
    streams: StreamThreads | None = None
    presence: Presence | None = None
    number: int = 0

    def hand(self) -> Hand:
        """What the worker takes messages with, for as long as that is valid."""
        return Hand() if self.presence is None else self.presence.hand(self.number)

    def confirm(self, hand: Hand) -> Hand:
        """A hand that is valid: the same one, or another one if the process had lapsed.

        Raises:
            LayerUnavailable: the layer does not answer.
        """
        if self.presence is not None:
            self.presence.confirm(hand)
        return self.hand()
