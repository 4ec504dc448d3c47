"""A thread that waits for something else is woken once when the event is set."""

from __future__ import annotations

from channels_classic.stopping import Stopping


def test_set_wakes_waiting_threads() -> None:
    stopping = Stopping()
    woken: list[str] = []
    with stopping.waking(lambda: woken.append("one")), stopping.waking(lambda: woken.append("two")):
        assert woken == []
        stopping.set()
        assert sorted(woken) == ["one", "two"]
        assert stopping.is_set()


def test_late_waiters_are_woken_at_once_and_departed_ones_never() -> None:
    stopping = Stopping()
    woken: list[str] = []
    with stopping.waking(lambda: woken.append("early")):
        pass
    stopping.set()
    with stopping.waking(lambda: woken.append("late")):
        assert woken == ["late"]
