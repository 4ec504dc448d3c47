"""The watchdog of workers."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest

from tests.worker.conftest import DEADLINE
from worker.watchdog import PATIENCE, Watchdog


class Patient:
    """A worker whose work lasts for a number of visits."""

    def __init__(self) -> None:
        self.visits: queue.Queue[float] = queue.Queue()
        self.work = 0

    def relieve(self, patience: float) -> bool:
        self.visits.put(patience)
        self.work -= 1
        return self.work > 0


@pytest.fixture
def patients() -> list[Patient]:
    return [Patient(), Patient()]


@pytest.fixture
def watchdog(patients: list[Patient]) -> Iterator[Watchdog]:
    watchdog = Watchdog()
    watchdog.start(patients)
    yield watchdog
    watchdog.stop()


def test_it_watches_all_workers_until_none_has_work(watchdog: Watchdog, patients: list[Patient]) -> None:
    for _ in range(3):
        patients[1].work = 4
        watchdog.wake()
        for patient in patients:
            assert [patient.visits.get(timeout=DEADLINE) for _ in range(4)] == [PATIENCE] * 4


def test_an_error_that_nobody_foresaw_does_not_end_it(
    watchdog: Watchdog, patients: list[Patient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise no message would be given back any more, and nobody would know."""
    monkeypatch.setattr("worker.watchdog.FAULT_PAUSE", PATIENCE)
    errors = [RuntimeError("a bug in the layer")]

    def fail_once(patience: float) -> bool:
        if errors:
            raise errors.pop()
        return Patient.relieve(patients[0], patience)

    monkeypatch.setattr(patients[0], "relieve", fail_once)
    watchdog.wake()
    for patient in patients:
        assert patient.visits.get(timeout=DEADLINE) == PATIENCE
    assert "a bug in the layer" in caplog.text


def test_it_sleeps_until_it_is_woken_and_ends_when_told(watchdog: Watchdog, patients: list[Patient]) -> None:
    watchdog.wake()
    patients[0].visits.get(timeout=DEADLINE)
    watchdog.stop()
    watchdog.wake()
    assert patients[0].visits.empty()
    assert patients[1].visits.qsize() == 1


def test_one_wake_is_enough_for_many(watchdog: Watchdog, patients: list[Patient]) -> None:
    for _ in range(100):
        watchdog.wake()
    patients[0].visits.get(timeout=DEADLINE)
    watchdog.stop()
    assert patients[0].visits.qsize() < 10
