"""The table of members, against a plain dict of memberships."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channels_classic.layers.redis.members import MemberTable

GROUPS = ["one", "two"]
PROCESSES = ["a!", "b!"]
CHANNELS = ["a!1", "b!1"]
TIMES = st.integers(0, 2)
CHANGES = st.one_of(
    st.tuples(
        st.sampled_from(["join", "extend", "leave"]),
        st.sampled_from(GROUPS),
        st.sampled_from(CHANNELS),
        TIMES,
    ),
    st.just(("clear", "", "", 0)),
)


@given(st.lists(st.tuples(CHANGES, TIMES, st.sampled_from(PROCESSES)), min_size=30, max_size=60))
def test_it_finds_the_members_after_each_change(steps: list[tuple[tuple[str, str, str, int], int, str]]) -> None:
    table = MemberTable()
    ends: dict[tuple[str, str], int] = {}
    for (change, group, channel, end), now, process in steps:
        match change:
            case "join":
                ends[group, channel] = end
                table.join(group, channel, end)
            case "extend":
                if (group, channel) in ends:
                    ends[group, channel] = end
                table.extend(group, channel, end)
            case "leave":
                ends.pop((group, channel), None)
                table.leave(group, channel)
            case _:
                ends.clear()
                table.clear()
        ends = {membership: end for membership, end in ends.items() if end >= now}
        for each in GROUPS:
            expected = [channel for of, channel in ends if of == each and channel.startswith(process)]
            assert sorted(table.members(each, process, now)) == sorted(expected)
        assert set(table) == ends.keys()
