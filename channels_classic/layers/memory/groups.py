"""Groups in memory: the members of each group, and when their memberships end."""

from __future__ import annotations

import time
from collections.abc import Iterable

from channels_classic.layers import names
from channels_classic.layers.group_sizes import GroupCounter, GroupSizes


class Groups:
    """The groups and their members. They are used under the layer's lock.

    Arguments:
        group_expiry: seconds after which a membership ends unless it is renewed.
    """

    def __init__(self, group_expiry: float) -> None:
        self._group_expiry = group_expiry
        self._ends: dict[str, dict[str, float]] = {}
        self._joined: dict[str, set[str]] = {}
        self._counter = GroupCounter(self._ends)

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, group: str, channel: str) -> None:
        """Make a channel a member."""
        self._ends.setdefault(group, {})[channel] = time.monotonic() + self._group_expiry
        self._joined.setdefault(channel, set()).add(group)

    def discard(self, group: str, channel: str) -> None:
        """End a membership, if there is one."""
        members = self._ends.get(group, {})
        if members.pop(channel, None) is None:
            return
        if not members:
            del self._ends[group]
        joined = self._joined[channel]
        joined.remove(group)
        if not joined:
            del self._joined[channel]

    def joined(self) -> list[str]:
        """The process-specific channels that are members of any group."""
        return [channel for channel in self._joined if "!" in channel]

    def sizes(self) -> GroupSizes:
        """The sizes of the groups. A member whose membership has just ended may still be counted."""
        return self._counter.count()

    def renew(self, channels: Iterable[str]) -> None:
        """Renew all memberships of these channels."""
        now = time.monotonic()
        for channel in channels:
            for group in list(self._joined.get(channel, ())):
                if self._ends[group][channel] >= now:
                    self.add(group, channel)

    def release(self, channels: Iterable[str]) -> None:
        """End all memberships of these channels."""
        for channel in channels:
            for group in list(self._joined.get(channel, ())):
                self.discard(group, channel)

    def release_process(self, queue: str) -> None:
        """End all memberships of the channels of a process, given the name of its queue."""
        self.release([channel for channel in self._joined if channel.startswith(queue)])

    def members(self, group: str, now: float) -> list[str]:
        """The members of a group."""
        members = self._ends.get(group, {})
        for channel in [channel for channel, ends in members.items() if ends < now]:
            self.discard(group, channel)
        return list(members)

    def of_channel(self, channel: str, now: float) -> list[str]:
        """The groups that a channel is a member of."""
        return [group for group in self._joined.get(channel, ()) if self._ends[group][channel] >= now]

    def members_by_queue(self, group: str, now: float) -> dict[str, tuple[str, ...]]:
        """The members of a group, by the queue that they share."""
        by_queue: dict[str, list[str]] = {}
        for channel in self.members(group, now):
            by_queue.setdefault(names.queue_name(channel), []).append(channel)
        return {queue: tuple(channels) for queue, channels in by_queue.items()}

    def forget(self, now: float) -> None:
        """Drop the memberships that have ended."""
        for group in list(self._ends):
            self.members(group, now)

    def clear(self) -> None:
        """Drop all."""
        self._ends.clear()
        self._joined.clear()
