"""How many messages a worker takes at once, by the durations of its consumers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from itertools import count

import pytest

from worker import pace
from worker.pace import Pace, preemptions


@pytest.fixture
def quick() -> Pace:
    """The pace of consumers that have taken 0.1 ms each."""
    quick = Pace()
    for _ in range(100):
        quick.note(0.0001)
    assert quick.limit() in (39, 40)
    return quick


def test_a_slow_consumer_counts_in_full(quick: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "preemptions", lambda: 7)
    quick.limit()
    quick.note(0.02)
    assert quick.limit() == 1


def test_a_preemption_counts_little(quick: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "preemptions", count().__next__)
    quick.limit()
    quick.note(0.02)
    assert quick.limit() >= 35


def test_a_preemption_before_the_batch_does_not_count(quick: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = quick._preemptions
    monkeypatch.setattr(pace, "preemptions", lambda: before + 1)
    quick.limit()
    quick.note(0.02)
    assert quick.limit() == 1


def test_consumers_that_are_slow_and_always_preempted(quick: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "preemptions", count().__next__)
    for _ in range(50):
        quick.note(0.02)
    assert quick.limit() == 1


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_THREAD"), reason="this system does not count preemptions")
def test_preemptions_are_counted() -> None:
    allowed = os.sched_getaffinity(0)
    core = min(allowed)
    os.sched_setaffinity(0, {core})
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # it inherits the core
    try:
        before = preemptions()
        while preemptions() == before:
            pass
    finally:
        rival.kill()
        rival.wait()
        os.sched_setaffinity(0, allowed)
