"""The capacities of queues, in messages."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Any

from channels_classic.layers import names
from channels_classic.layers.keywords import check_number, masked

INTERFACE_PREFIX = "interface."
INTERFACE_CAPACITY = 10_000
"""The capacity of the queue of an interface server process. Its name begins with ``INTERFACE_PREFIX``.

All clients of the process share this queue, and batches of several workers arrive in it, so the capacity of a
single channel would refuse replies for no reason. The interface server itself bounds what waits for each client.
"""

BODY_PREFIX = "http.request.body?"
BODY_CAPACITY = 4
"""The capacity of a channel for a request body, whose messages are much larger than others. The sender waits for
room."""

MOST_REMEMBERED = 1000


def check_patterns(channel_capacity: Any) -> dict[str | re.Pattern[str], int]:
    """Check the value of ``channel_capacity``, and return it as a dict.

    Raises:
        ValueError: the value is not a dict of globs or compiled regular expressions to capacities.
    """
    if channel_capacity is None:
        return {}
    if not isinstance(channel_capacity, Mapping):
        raise ValueError(
            "channel_capacity of a channel layer must be a dict of globs or compiled regular expressions to "
            f"capacities, not {masked(channel_capacity)}."
        )
    for pattern, limit in channel_capacity.items():
        if not isinstance(pattern, (str, re.Pattern)) or isinstance(getattr(pattern, "pattern", ""), bytes):
            raise ValueError(
                "The keys of channel_capacity must be globs ('http.*') or compiled regular expressions of str, "
                f"not {masked(pattern)}."
            )
        check_number(f"channel_capacity[{getattr(pattern, 'pattern', pattern)!r}]", limit, whole=True)
    return dict(channel_capacity)


class Capacities:
    """The capacities of a layer's channels.

    Arguments:
        capacity: of a channel that no pattern matches.
        patterns: globs or compiled regular expressions to capacities. The first that matches a channel applies.
    """

    def __init__(self, capacity: int, patterns: Mapping[str | re.Pattern[str], int]) -> None:
        self._capacity = capacity
        self._patterns = [
            (re.compile(fnmatch.translate(pattern)) if isinstance(pattern, str) else pattern, limit)
            for pattern, limit in patterns.items()
        ]
        self._known: dict[str, int] = {}

    def of(self, channel: str) -> int:
        """The capacity of the queue of ``channel``."""
        if not self._patterns:
            return self._default(channel)
        kind = names.kind_name(channel)
        capacity = self._known.get(kind)
        if capacity is None:
            matching = (limit for pattern, limit in self._patterns if pattern.match(channel))
            capacity = next(matching, self._default(channel))
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[kind] = capacity
        return capacity

    def _default(self, channel: str) -> int:
        if channel.startswith(INTERFACE_PREFIX) and "!" in channel:
            return max(self._capacity, INTERFACE_CAPACITY)
        if channel.startswith(BODY_PREFIX):
            return min(self._capacity, BODY_CAPACITY)
        return self._capacity
