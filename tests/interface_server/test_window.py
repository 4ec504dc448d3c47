"""The window: how much a channel is offered, judged by what it takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interface_server.window import NARROWEST, RETRY_PAUSE, WIDEST, Window


def test_a_full_channel_is_offered_little_and_not_at_once() -> None:
    window = Window()
    assert not window.is_full
    window.learn(WIDEST, 100, now=5.0)
    assert (window.size, window.is_full) == (100, True)
    assert 5 + RETRY_PAUSE[0] / 2 <= window.opens_at <= 5 + RETRY_PAUSE[0]
    window.learn(100, 0, now=6.0)
    assert (window.size, window.is_full) == (NARROWEST, True)


def test_a_channel_that_takes_all_is_offered_more_at_once() -> None:
    window = Window()
    window.learn(10, 0, now=1.0)
    sizes = []
    while window.size < WIDEST:
        window.learn(window.size, window.size, now=2.0)
        assert not window.is_full
        assert window.opens_at <= 2.0
        sizes.append(window.size)
    assert sizes[:3] == [NARROWEST * 2, NARROWEST * 4, NARROWEST * 8]


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 1000)), min_size=1))
def test_refused_messages_are_not_many_more_than_taken_ones(answers: list[tuple[int, int]]) -> None:
    window, now = Window(), 1.0
    for offered, room in answers:
        offered = min(offered, window.size)
        taken = min(offered, room)
        window.learn(offered, taken, now)
        assert NARROWEST <= window.size <= WIDEST
        assert window.is_full == (taken < offered)
        if window.is_full:
            assert window.size <= max(NARROWEST, taken)
            assert now < window.opens_at <= now + RETRY_PAUSE[1]
        now = max(now, window.opens_at)
