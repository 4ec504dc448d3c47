"""The server of each key. Normal channels are spread over all servers; everything else has one fixed server."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property

from channels_classic.layers import names
from channels_classic.layers.redis.ring import Ring


class Placement:
    """Knows the server of each name.

    Arguments:
        count: gives the number of servers. It is called at first use.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    @cached_property
    def count(self) -> int:
        """The number of servers."""
        return self._count()

    @cached_property
    def _ring(self) -> Ring:
        return Ring(self.count)

    def of(self, name: str) -> int:
        """The server of a group, a value, or the queue of a process, by its name."""
        return self._ring.server_for(name)

    def of_channel(self, channel: str, choice: int | None = None) -> int:
        """The server to send a message for ``channel`` to: always the same one, except for a normal channel.

        Arguments:
            choice: chooses the server of a normal channel; by chance if it is not given.
        """
        if self.count == 1:
            return 0
        if names.is_normal(channel):
            return random.randrange(self.count) if choice is None else choice % self.count
        return self._ring.server_for(names.queue_name(channel))

    def by_server(self, channels: Sequence[str]) -> dict[int, list[str]]:
        """For each server that has queues of these channels, those channels."""
        by_server: dict[int, list[str]] = defaultdict(list)
        for channel in channels:
            for server in range(self.count) if names.is_normal(channel) else [self.of_channel(channel)]:
                by_server[server].append(channel)
        return by_server

    def of_channels(self, channels: Sequence[str]) -> list[int]:
        """The servers that have queues of these channels."""
        return sorted(self.by_server(channels))
