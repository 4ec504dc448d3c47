"""Back-pressure: how much may wait for a client that reads slowly, and who is made to wait in its place."""

from __future__ import annotations

from typing import NamedTuple

from interface_server.flow import Flow


class Amount(NamedTuple):
    """An amount that waits, in messages and bytes. A bound is reached when either is."""

    messages: int
    size: int
    """Bytes."""


class Bounds(NamedTuple):
    """The three marks of a buffer."""

    high: Amount
    """From here on the client's channel is paused: it refuses messages, and so its sender waits."""

    low: Amount
    """At this or less the channel takes messages again."""

    most: Amount
    """No more than this is kept of what is on its way by then, or comes from groups, which wait for nobody."""


class Backpressure:
    """Counts what waits for one client, and pauses and resumes its channel.

    Arguments:
        flow: pauses and resumes channels.
        reply_channel: the client's.
        bounds: of what waits.
    """

    def __init__(self, flow: Flow, reply_channel: str, bounds: Bounds) -> None:
        self.messages = 0
        self.size = 0
        self.is_paused = False
        self._flow = flow
        self._reply_channel = reply_channel
        self.bounds = bounds
        """What counts at the next ``add`` or ``remove``."""

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may be kept."""
        most = self.bounds.most
        return self.messages >= most.messages or self.size >= most.size

    def add(self, size: int, messages: int = 1) -> None:
        """Count a message of ``size`` bytes that waits from now on; 0 ``messages`` where only bytes matter."""
        self.messages += messages
        self.size += size
        high = self.bounds.high
        if not self.is_paused and (self.messages >= high.messages or self.size >= high.size):
            self.is_paused = True
            self._flow.pause(self._reply_channel)

    def remove(self, size: int, messages: int = 1) -> None:
        """Count what waits no more, as it was counted by ``add``."""
        self.messages -= messages
        self.size -= size
        low = self.bounds.low
        if self.is_paused and self.messages <= low.messages and self.size <= low.size:
            self._resume()

    def clear(self) -> None:
        """Nothing waits any more: all was dropped, or the client is gone."""
        self.messages = self.size = 0
        if self.is_paused:
            self._resume()

    def _resume(self) -> None:
        self.is_paused = False
        self._flow.resume(self._reply_channel)
