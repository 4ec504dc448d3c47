"""``Alarm``."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest

from worker.alarm import Alarm

DEADLINE = 30


@pytest.fixture
def rings() -> queue.SimpleQueue[None]:
    return queue.SimpleQueue()


@pytest.fixture
def alarm(rings: queue.SimpleQueue[None]) -> Iterator[Alarm]:
    alarm = Alarm(lambda: rings.put(None))
    alarm.start()
    yield alarm
    alarm.stop()


def test_it_rings_once(alarm: Alarm, rings: queue.SimpleQueue[None]) -> None:
    for seconds in (0, -1, 0.01):
        alarm.set(seconds)
        rings.get(timeout=DEADLINE)
    alarm.stop()
    assert rings.empty()


def test_a_later_time_takes_the_place_of_an_earlier_one(alarm: Alarm, rings: queue.SimpleQueue[None]) -> None:
    alarm.set(DEADLINE * 10)
    alarm.set(0)
    rings.get(timeout=DEADLINE)
    alarm.set(DEADLINE * 10)
    alarm.clear()
    alarm.stop()
    assert rings.empty()


def test_it_can_be_stopped_at_any_time(alarm: Alarm) -> None:
    alarm.set(DEADLINE * 10)
    alarm.stop()
