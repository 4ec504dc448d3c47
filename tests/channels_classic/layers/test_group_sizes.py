"""The sizes of groups: the largest are named, all are counted, and counting stays cheap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.layers import group_sizes
from channels_classic.layers.group_sizes import LARGEST, GroupCounter


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3 * LARGEST))
def test_the_largest_are_named_and_all_are_counted(sizes: dict[str, int]) -> None:
    found = GroupCounter({group: range(size) for group, size in sizes.items()}).count()
    assert list(found.largest.values()) == sorted(sizes.values(), reverse=True)[:LARGEST]
    assert found.largest.items() <= sizes.items()
    assert (found.groups, found.memberships) == (len(sizes), sum(sizes.values()))


def test_very_many_groups_are_counted_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_sizes, "GROUPS_PER_SECOND", 1)
    members = {str(number): range(1) for number in range(1000)}
    counter = GroupCounter(members)
    before = counter.count()
    members.clear()
    assert counter.count() is before
