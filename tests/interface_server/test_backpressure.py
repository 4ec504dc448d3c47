"""Backpressure counts what waits for a slow client in messages and bytes, and pauses its channel."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.backpressure import Amount, Backpressure, Bounds
from interface_server.flow import Flow

BOUNDS = Bounds(high=Amount(10, 100), low=Amount(5, 20), most=Amount(50, 1000))


class Switch:
    """Knows whether the channel is paused."""

    def __init__(self) -> None:
        self.is_paused = False

    def pause(self, reply_channel: str) -> None:
        assert (reply_channel, self.is_paused) == ("a!1", False)
        self.is_paused = True

    def resume(self, reply_channel: str) -> None:
        assert (reply_channel, self.is_paused) == ("a!1", True)
        self.is_paused = False


def make() -> tuple[Backpressure, Switch]:
    switch = Switch()
    return Backpressure(cast(Flow, switch), "a!1", BOUNDS), switch


@pytest.mark.parametrize(("count", "size"), [(10, 1), (1, 100)], ids=["messages", "bytes"])
def test_either_bound_pauses_the_channel(count: int, size: int) -> None:
    backpressure, switch = make()
    for _ in range(count):
        assert not switch.is_paused
        backpressure.add(size)
    assert switch.is_paused
    assert not backpressure.is_full


@pytest.mark.parametrize(("count", "size"), [(50, 1), (1, 1000)], ids=["messages", "bytes"])
def test_either_bound_makes_it_full(count: int, size: int) -> None:
    backpressure, _ = make()
    for _ in range(count):
        assert not backpressure.is_full
        backpressure.add(size)
    assert backpressure.is_full


def test_both_bounds_have_to_be_met_before_the_channel_resumes() -> None:
    backpressure, switch = make()
    for _ in range(10):
        backpressure.add(10)
    for left in range(9, 2, -1):
        backpressure.remove(10)
        assert switch.is_paused, left
    backpressure.remove(10)
    assert not switch.is_paused


def test_clear_resumes() -> None:
    backpressure, switch = make()
    backpressure.clear()
    backpressure.add(1000)
    backpressure.clear()
    assert (backpressure.messages, backpressure.size, switch.is_paused) == (0, 0, False)


@given(st.lists(st.one_of(st.integers(0, 120), st.none()), max_size=200))
def test_whatever_comes_and_goes(steps: list[int | None]) -> None:
    """The channel is paused at the high mark, not paused at the low mark, and the counts are right."""
    backpressure, switch = make()
    waiting: list[int] = []
    for size in steps:
        if size is not None:
            waiting.append(size)
            backpressure.add(size)
        elif waiting:
            backpressure.remove(waiting.pop(0))
        assert (backpressure.messages, backpressure.size) == (len(waiting), sum(waiting))
        if len(waiting) >= 10 or sum(waiting) >= 100:
            assert switch.is_paused
        if len(waiting) <= 5 and sum(waiting) <= 20:
            assert not switch.is_paused
        assert backpressure.is_paused is switch.is_paused
