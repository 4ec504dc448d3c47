"""Backpressure: bounds what waits for a client that reads slowly, and makes its senders wait."""

from __future__ import annotations

from typing import NamedTuple

from interface_server.flow import Flow


class Amount(NamedTuple):
    """An amount of messages and bytes that wait. A bound is reached when either number is."""

    messages: int
    size: int
    """Bytes."""


class Bounds(NamedTuple):
    """The three bounds of a buffer."""

    high: Amount
    """From this amount on, the channel of the client is paused: it refuses messages, so senders wait."""

    low: Amount
    """At this amount or less, the channel takes messages again."""

    most: Amount
    """The most that is kept: of messages that were on their way when the channel was paused, and of messages to
    groups, which do not wait."""


class Backpressure:
    """Counts what waits for one client, and pauses and resumes its channel.

    Arguments:
        flow: pauses and resumes channels.
        reply_channel: the reply channel of the client.
        bounds: the bounds of what waits.
    """

    def __init__(self, flow: Flow, reply_channel: str, bounds: Bounds) -> None:
        self.messages = 0
        self.size = 0
        self.is_paused = False
        self._flow = flow
        self._reply_channel = reply_channel
        self.bounds = bounds
        """The bounds that apply from the next ``add`` or ``remove`` on."""

    @property
    def is_full(self) -> bool:
        """Whether the buffer holds the most that is kept."""
        most = self.bounds.most
        return self.messages >= most.messages or self.size >= most.size

    def add(self, size: int, messages: int = 1) -> None:
        """Count a message of ``size`` bytes that waits from now on. With 0 ``messages``, only the bytes count."""
        self.messages += messages
        self.size += size
        high = self.bounds.high
        if not self.is_paused and (self.messages >= high.messages or self.size >= high.size):
            self.is_paused = True
            self._flow.pause(self._reply_channel)

    def remove(self, size: int, messages: int = 1) -> None:
        """Count a message that no longer waits, with the numbers given to ``add``."""
        self.messages -= messages
        self.size -= size
        low = self.bounds.low
        if self.is_paused and self.messages <= low.messages and self.size <= low.size:
            self._resume()

    def clear(self) -> None:
        """Count from zero again, because everything was dropped, or the client has left."""
        self.messages = self.size = 0
        if self.is_paused:
            self._resume()

    def _resume(self) -> None:
        self.is_paused = False
        self._flow.resume(self._reply_channel)
