"""Whoever waits for something else is woken once when the event is set."""

from __future__ import annotations

from channels_classic.stopping import Stopping


def test_set_wakes_those_who_wait() -> None:
    stopping = Stopping()
    woken: list[str] = []
    with stopping.waking(lambda: woken.append("one")), stopping.waking(lambda: woken.append("two")):
        assert woken == []
        stopping.set()
        assert sorted(woken) == ["one", "two"]
        assert stopping.is_set()


def test_those_who_come_later_are_woken_at_once_and_those_who_left_never() -> None:
    stopping = Stopping()
    woken: list[str] = []
    with stopping.waking(lambda: woken.append("early")):
        pass
    stopping.set()
    with stopping.waking(lambda: woken.append("late")):
        assert woken == ["late"]
