"""SIGTERM and SIGINT, and the names under which old code stops workers."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from channels_classic.processes.signals import STOP
from channels_classic.signals import worker_ready
from tests.worker.conftest import layer_with
from worker import Worker, WorkerGroup
from worker.signals import stopping_at_signals


@pytest.mark.parametrize("number", sorted(STOP))
def test_a_signal_stops(number: int) -> None:
    stopped = threading.Event()
    former = signal.getsignal(number)
    with stopping_at_signals(stopped.set):
        os.kill(os.getpid(), number)
        assert stopped.wait(60)
    assert signal.getsignal(number) is former


def test_elsewhere_than_in_the_main_thread_nothing_is_changed() -> None:
    handlers: list[Any] = []

    def look() -> None:
        with stopping_at_signals(lambda: None):
            handlers.append(signal.getsignal(signal.SIGTERM))

    former = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [former]


@pytest.mark.django_db
def test_a_worker_in_the_main_thread() -> None:
    layer = layer_with({"queue": lambda message: os.kill(os.getpid(), signal.SIGTERM)})
    layer.send("queue", {})
    worker = Worker(layer)
    assert worker.termed is False
    worker.run()
    assert worker.termed is True
    assert not worker.in_job


def test_termed_from_another_thread() -> None:
    worker = Worker(layer_with({"queue": lambda message: None}), signal_handlers=False)
    thread = threading.Thread(target=worker.run)
    thread.start()
    worker.termed = False
    assert worker.termed is False
    worker.termed = True
    thread.join(60)
    assert not thread.is_alive()
    worker.termed = False
    assert worker.termed is False


def test_stopped_by_a_signal_handler_of_the_project() -> None:
    worker = Worker(layer_with({"queue": print}), None, 10, False, ["queue"], ["other"])
    assert (worker.only_channels, worker.exclude_channels) == (["queue"], ["other"])
    thread = threading.Thread(target=worker.run)
    thread.start()
    worker.sigterm_handler(signal.SIGTERM, None)
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.django_db
def test_in_job() -> None:
    seen: list[bool] = []
    layer = layer_with({"queue": lambda message: seen.append(worker.in_job) or setattr(worker, "termed", True)})
    worker = Worker(layer, signal_handlers=False)
    layer.send("queue", {})
    worker.run()
    assert seen == [True]


@pytest.mark.django_db
def test_a_subclass_may_count_the_turns() -> None:
    class Turns(Worker):
        left = 2

        @property
        def termed(self) -> bool:
            self.left -= 1
            return self.left < 0

    seen: list[str] = []
    layer = layer_with({name: lambda message: seen.append(message.channel.name) for name in ("first", "second")})
    layer.send("first", {})
    layer.send("second", {})
    Turns(layer, signal_handlers=False).run()
    assert sorted(seen) == ["first", "second"]


def test_a_group_by_the_old_names() -> None:
    layer = layer_with({"queue": lambda message: None})
    group = WorkerGroup(layer, n_threads=2, signal_handlers=False, stop_gracefully=True, callback=None)
    thread = threading.Thread(target=group.run)
    thread.start()
    group.sigterm_handler(signal.SIGTERM, None)
    thread.join(60)
    assert not any(each.is_alive() for each in [thread, *group.threads])
    with pytest.raises(ValueError, match="always lets the consumers finish"):
        WorkerGroup(layer, stop_gracefully=False)


def test_the_workers_of_a_group_that_something_else_runs() -> None:
    layer = layer_with({"queue": lambda message: None})
    group = WorkerGroup(layer, n_threads=3)
    assert not any(worker.signal_handlers for worker in group.workers)
    threads = [threading.Thread(target=worker.run) for worker in group.workers]
    for thread in threads:
        thread.start()
    group.sigterm_handler(signal.SIGTERM, None)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.django_db
def test_ready_by_hand_tells_once() -> None:
    ready: list[object] = []

    def note(sender: object, **kwargs: object) -> None:
        ready.append(sender)

    layer = layer_with({"queue": lambda message: setattr(worker, "termed", True)})
    layer.send("queue", {})
    worker = Worker(layer, signal_handlers=False)
    group = WorkerGroup(layer, n_threads=4)
    worker_ready.connect(note)
    try:
        worker.ready()
        worker.run()
        group.ready()
    finally:
        worker_ready.disconnect(note)
    assert ready == [worker, *group.workers]


def test_channel_filters_need_no_layer() -> None:
    worker = Worker(None, only_channels=["yes.*", "maybe.*"])  # type: ignore[arg-type]
    assert worker.apply_channel_filters(["yes.1", "no.1", "maybe.2", "yes"]) == ["yes.1", "maybe.2"]
