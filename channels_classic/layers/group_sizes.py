"""``GroupSizes``: how many members the groups of one process have, for people who look at the layer."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sized
from operator import itemgetter
from typing import NamedTuple

LARGEST = 20
"""The number of groups of a process whose sizes are published."""

GROUPS_PER_SECOND = 5000
"""A count of more groups than this is used again for a while. So a process with a million groups spends no more of
its time on counting than one with a few thousand."""


class GroupSizes(NamedTuple):
    """The sizes of the groups of one process.

    Arguments:
        largest: the number of members of each of the largest groups, by their names.
        groups: the number of all groups.
        memberships: the number of members of all groups together.
    """

    largest: Mapping[str, int]
    groups: int
    memberships: int


NO_GROUPS = GroupSizes({}, 0, 0)


class GroupCounter:
    """Counts members, so seldom that it costs next to nothing. It is used under the lock of the groups.

    Arguments:
        members: the members of each group. It is read at each count.
    """

    def __init__(self, members: Mapping[str, Sized]) -> None:
        self._members = members
        self._counted = NO_GROUPS
        self._count_at = 0.0

    def count(self) -> GroupSizes:
        """The sizes now, or of a moment ago if there are very many groups."""
        now = time.monotonic()
        if now >= self._count_at:
            sizes = dict(zip(self._members, map(len, self._members.values()), strict=True))
            largest = heapq.nlargest(LARGEST, sizes.items(), key=itemgetter(1))
            self._counted = GroupSizes(dict(largest), len(sizes), sum(sizes.values()))
            self._count_at = now + len(sizes) // GROUPS_PER_SECOND
        return self._counted
