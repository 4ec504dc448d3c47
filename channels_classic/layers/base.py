"""The base of every channel layer: its keywords, the contract, the classic calls and the threaded ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from channels_classic.layers.capacity import Capacities, check_patterns
from channels_classic.layers.classic import ClassicCalls
from channels_classic.layers.globs import Globs
from channels_classic.layers.keywords import check_globs, check_number
from channels_classic.layers.threaded import ThreadedCalls


class BaseChannelLayer(ClassicCalls, ThreadedCalls):
    """A transport of messages between processes.

    Arguments:
        expiry: seconds after which the layer drops a message that nobody has received.
        group_expiry: seconds after which a group membership ends unless it was added again.
        capacity: how many messages a channel holds.
        channel_capacity: capacities of particular channels: a dict of globs (``"http.*"``) or compiled regular
            expressions to numbers. The first pattern that matches a channel applies.
        at_least_once: globs (``"mail.*"``) of normal channels. A message of such a channel runs again if its
            worker died while it ran. All other messages run at most once.
        max_deliveries: how many times such a message is delivered before it is kept as a dead letter.

    Raises:
        ValueError: a keyword has a value that is not allowed; the text says what is.
    """

    def __init__(
        self,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[str | re.Pattern[str], int] | None = None,
        at_least_once: Sequence[str] = (),
        max_deliveries: int = 3,
    ) -> None:
        check_number("expiry", expiry)
        check_number("group_expiry", group_expiry)
        check_number("capacity", capacity, whole=True)
        check_number("max_deliveries", max_deliveries, whole=True)
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.capacity = capacity
        self.channel_capacity = check_patterns(channel_capacity)
        self._capacities = Capacities(capacity, self.channel_capacity)
        self.at_least_once = check_globs("at_least_once", at_least_once)
        self.max_deliveries = max_deliveries
        self._at_least_once = Globs(self.at_least_once)

    def describe_servers(self) -> str:
        """The addresses of its servers, without user names and passwords; empty if there are none."""
        return ""

    def capacity_of(self, channel: str) -> int:
        """How many messages the queue of ``channel`` holds."""
        return self._capacities.of(channel)

    def is_at_least_once(self, channel: str) -> bool:
        """Whether the keyword ``at_least_once`` names ``channel``."""
        return self._at_least_once.match(channel)
