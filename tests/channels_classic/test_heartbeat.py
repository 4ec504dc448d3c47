"""Who may be judged dead: nobody by a process that has been away itself."""

from __future__ import annotations

import pytest

from channels_classic.heartbeat import Absence
from channels_classic.layers.tracking import BEAT_SECONDS, LIFE_SECONDS


def test_a_new_process_waits_as_long_as_a_process_lives() -> None:
    absence = Absence(lambda: LIFE_SECONDS)
    judged = [absence.can_judge(100 + number * BEAT_SECONDS) for number in range(20)]
    first = judged.index(True)
    assert first * BEAT_SECONDS >= LIFE_SECONDS
    assert (first - 1) * BEAT_SECONDS < LIFE_SECONDS
    assert all(judged[first:])


@pytest.mark.parametrize("life", [0.2, LIFE_SECONDS, 60])
def test_an_outage_that_makes_others_look_dead_is_noticed(life: float) -> None:
    """The others may have beaten a whole interval before this process did."""
    beat = min(BEAT_SECONDS, life / 4)
    absence = Absence(lambda: life)
    now = 100.0
    while not absence.can_judge(now):
        now += beat
    assert absence.can_judge(now + beat)
    now += beat + life - beat  # now one that beat just before this process did is dead
    assert not absence.can_judge(now)
    assert not absence.can_judge(now + beat)
    back = now
    while not absence.can_judge(now):
        now += beat
    assert now - back >= life - 1e-6
