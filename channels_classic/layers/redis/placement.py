"""The server for each key. Normal channels are spread over all servers; all else has one fixed server."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property

from channels_classic.layers import names
from channels_classic.layers.redis.ring import Ring


class Placement:
    """The places of names.

    Arguments:
        count: tells how many servers there are; asked at first use.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    @cached_property
    def count(self) -> int:
        """How many servers there are."""
        return self._count()

    @cached_property
    def _ring(self) -> Ring:
        return Ring(self.count)

    def of(self, name: str) -> int:
        """The server that has the group or the value of that name, or all that is sent to a client's process."""
        return self._ring.server_for(name)

    def of_channel(self, channel: str, choice: int | None = None) -> int:
        """The server for what is sent to ``channel``: always the same one but for a normal channel.

        Arguments:
            choice: says which one for a normal channel, instead of chance.
        """
        if self.count == 1:
            return 0
        if names.is_normal(channel):
            return random.randrange(self.count) if choice is None else choice % self.count
        return self._ring.server_for(names.queue_name(channel))

    def by_server(self, channels: Sequence[str]) -> dict[int, list[str]]:
        """For each server that has something of these channels, which of them."""
        by_server: dict[int, list[str]] = defaultdict(list)
        for channel in channels:
            for server in range(self.count) if names.is_normal(channel) else [self.of_channel(channel)]:
                by_server[server].append(channel)
        return by_server

    def of_channels(self, channels: Sequence[str]) -> list[int]:
        """The servers that have something of these channels."""
        return sorted(self.by_server(channels))
