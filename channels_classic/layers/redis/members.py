"""The groups of this process's channels: a message to a group is handed out by this table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from channels_classic.layers.group_sizes import GroupCounter, GroupSizes


class _Kept(NamedTuple):
    """The members of a group in a process, until the first membership ends."""

    process: str
    until: int
    channels: tuple[str, ...]


class MemberTable:
    """The members of groups in this process, as the process has learnt from its own queue."""

    def __init__(self) -> None:
        self._ends: dict[str, dict[str, int]] = {}
        self._groups: dict[str, set[str]] = {}
        self._kept: dict[str, _Kept] = {}
        """For each group what ``members`` last found, until the group changes."""
        self._counter = GroupCounter(self._ends)

    def join(self, group: str, channel: str, ends: int) -> None:
        """Make ``channel`` a member of ``group`` until ``ends`` (microseconds, by the layer's clock)."""
        self._kept.pop(group, None)
        self._ends.setdefault(group, {})[channel] = ends
        self._groups.setdefault(channel, set()).add(group)

    def leave(self, group: str, channel: str) -> None:
        """End the membership of ``channel`` in ``group``."""
        members = self._ends.get(group)
        if members is None or members.pop(channel, None) is None:
            return
        self._kept.pop(group, None)
        if not members:
            del self._ends[group]
        groups = self._groups[channel]
        groups.discard(group)
        if not groups:
            del self._groups[channel]

    def extend(self, group: str, channel: str, ends: int) -> None:
        """Let a membership, if it has not ended, end at ``ends``, as in ``join``."""
        members = self._ends.get(group, {})
        if channel in members:
            self._kept.pop(group, None)
            members[channel] = ends

    def has(self, group: str, channel: str) -> bool:
        """Whether ``channel`` is a member of ``group``."""
        return channel in self._ends.get(group, {})

    def channels(self) -> list[str]:
        """The channels that are members of any group."""
        return list(self._groups)

    def sizes(self) -> GroupSizes:
        """The sizes of the groups. A member whose membership has just ended may still be counted."""
        return self._counter.count()

    def members(self, group: str, process: str, now: int) -> Sequence[str]:
        """The members of ``group`` among the channels of ``process`` (the name up to and including ``!``)."""
        kept = self._kept.get(group)
        if kept is not None and kept.process == process and now <= kept.until:
            return kept.channels
        members = self._ends.get(group)
        if not members:
            return ()
        ended = [channel for channel, ends in members.items() if ends < now]
        for channel in ended:
            self.leave(group, channel)
        channels = tuple(channel for channel in members if channel.startswith(process))
        if members:
            self._kept[group] = _Kept(process, min(members.values()), channels)
        return channels

    def groups_of(self, channel: str) -> list[str]:
        """The groups that ``channel`` is in."""
        return list(self._groups.get(channel, ()))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(group, channel) for group, members in self._ends.items() for channel in members])

    def clear(self) -> None:
        """Forget all memberships."""
        self._ends.clear()
        self._groups.clear()
        self._kept.clear()
