"""The crowd of the show, as far as it needs no cluster."""

import asyncio
import time

import pytest

from chaos.crowd import Crowd, Visit


def visit(ages: dict[int, float], answered: list[int], ended: float | None = None) -> Visit:
    """A socket that sent frames so many seconds ago."""
    now = time.monotonic()
    one = Visit("s", 0, 8000, now, ended, sent={number: now - age for number, age in ages.items()})
    for number in answered:
        one.answers[number].append(now)
    return one


@pytest.mark.parametrize(
    ("ages", "answered", "has_caught_up"),
    [
        ({}, [], True),
        ({1: 30, 2: 20}, [1, 2], True),
        ({1: 30, 2: 20, 3: -30}, [1, 2], True),
        ({1: 30, 2: 20}, [1], False),
        ({1: 30, 2: 20, 3: 10}, [1, 3], True),
    ],
)
def test_whether_frames_wait(ages: dict[int, float], answered: list[int], has_caught_up: bool) -> None:
    """A frame that was lost does not wait, and nor does one that was just sent."""

    async def ask() -> bool:
        crowd = Crowd([], sockets=0, pause=1, pages=1)
        crowd.fall_silent()
        crowd.visits = [visit(ages, answered), visit({1: 30}, [], ended=1.0)]
        caught_up = crowd.has_caught_up()
        await crowd.leave()
        return caught_up

    assert asyncio.run(ask()) is has_caught_up
