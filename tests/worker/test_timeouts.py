"""Consumers that run longer than they should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from channels_classic.message import Message
from tests.worker.conftest import DEADLINE, StartWorkers, eventually, layer_with
from worker import WorkerGroup
from worker.timeouts import ConsumerTimeout


@contextmanager
def looked_after(group: WorkerGroup, seconds: float) -> Iterator[list[float]]:
    exceeded: list[float] = []
    timeout = ConsumerTimeout(seconds, group.running_consumers, lambda: exceeded.append(seconds))
    timeout.start()
    try:
        yield exceeded
    finally:
        timeout.stop()


def test_the_log_says_once_where_it_is(start_workers: StartWorkers, caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()

    def deep_inside_of_it() -> None:
        assert go_on.wait(DEADLINE)

    def slow(message: Message) -> None:
        deep_inside_of_it()

    layer = layer_with({"slow": slow, "quick": lambda message: None})
    group = start_workers(layer, 3)
    with looked_after(group, 0.05) as exceeded:
        layer.send("slow", {"path": "/reports/"})
        eventually(lambda: len(exceeded) == 1)
        layer.send("slow", {"path": "/other/"})
        eventually(lambda: len(exceeded) == 2)
        for _ in range(100):
            layer.send("quick", {})
        eventually(lambda: not layer.channel_statistics("quick")["messages_pending"])
        go_on.set()
        eventually(lambda: not group.running_consumers())
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == len(exceeded) == 2
    assert "A consumer runs longer than 0.05 s: slow /reports/ (tests.worker.test_timeouts." in texts[0]
    assert "deep_inside_of_it()" in texts[0]
    assert "slow /other/" in texts[1]


def test_consumers_that_end_in_time_are_not_mentioned(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    handled = []
    layer = layer_with({"quick": handled.append}, capacity=1000)
    with looked_after(start_workers(layer, 2), 3600) as exceeded:
        for _ in range(200):
            layer.send("quick", {})
        eventually(lambda: len(handled) == 200)
    assert not exceeded
    assert not caplog.records
