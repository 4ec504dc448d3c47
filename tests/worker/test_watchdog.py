"""Who looks after workers, and when."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest

from tests.worker.conftest import DEADLINE
from worker.watchdog import PATIENCE, Watchdog


class Patient:
    def __init__(self) -> None:
        self.visits: queue.Queue[float] = queue.Queue()

    def relieve(self, patience: float) -> None:
        self.visits.put(patience)


@pytest.fixture
def patients() -> list[Patient]:
    return [Patient(), Patient()]


@pytest.fixture
def watchdog(patients: list[Patient]) -> Iterator[Watchdog]:
    watchdog = Watchdog(patients)
    watchdog.start()
    yield watchdog
    watchdog.stop()


def test_it_looks_after_all_of_them_once_it_is_woken(watchdog: Watchdog, patients: list[Patient]) -> None:
    for _ in range(3):
        watchdog.wake()
        for patient in patients:
            # Twice: what began just when it came is looked at again.
            assert [patient.visits.get(timeout=DEADLINE) for _ in range(2)] == [PATIENCE, PATIENCE]
            assert patient.visits.empty() or patient.visits.get() == PATIENCE


def test_it_sleeps_until_then_and_ends_when_told(watchdog: Watchdog, patients: list[Patient]) -> None:
    watchdog.stop()
    seen = sum(patient.visits.qsize() for patient in patients)
    assert seen <= 4  # stop wakes it for a last look at the most
    watchdog.wake()
    assert sum(patient.visits.qsize() for patient in patients) == seen


def test_one_wake_is_enough_for_many(watchdog: Watchdog, patients: list[Patient]) -> None:
    for _ in range(100):
        watchdog.wake()
    patients[0].visits.get(timeout=DEADLINE)
    watchdog.stop()
    assert patients[0].visits.qsize() < 10
