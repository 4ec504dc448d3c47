"""The workers of a process: threads, their end, and signals."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest
from django.db import InterfaceError

from channels_classic.layers import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.signals import worker_process_ready, worker_ready
from tests.interface_server.hosted import Hosted
from tests.worker.conftest import DEADLINE, REPLY, StartWorkers, eventually, layer_with, receive
from worker import WorkerGroup


class BrokenLayer(InMemoryChannelLayer):
    def send_and_receive(self, *args: Any) -> Any:
        raise RuntimeError("a bug in the layer")


def echo(message: Message) -> None:
    assert message.reply_channel is not None
    message.reply_channel.send({"text": message["text"]})


def test_as_many_consumers_run_at_a_time_as_there_are_threads(start_workers: StartWorkers) -> None:
    together = threading.Barrier(4)

    def consumer(message: Message) -> None:
        together.wait(DEADLINE)
        echo(message)

    layer = layer_with({"test": consumer})
    start_workers(layer, 4)
    for number in range(8):
        layer.send("test", {"reply_channel": REPLY, "text": str(number)})
    assert {receive(layer)["text"] for _ in range(8)} == {str(number) for number in range(8)}


def test_a_quick_message_overtakes_slow_ones(start_workers: StartWorkers) -> None:
    go_on = threading.Event()

    def slow(message: Message) -> None:
        assert go_on.wait(DEADLINE)
        echo(message)

    layer = layer_with({"slow": slow, "quick": echo})
    start_workers(layer, 2)
    layer.send("slow", {"reply_channel": REPLY, "text": "slow"})
    layer.send("quick", {"reply_channel": REPLY, "text": "quick"})
    assert receive(layer) == {"text": "quick"}
    go_on.set()
    assert receive(layer) == {"text": "slow"}


def test_signals_of_the_process_and_of_its_workers() -> None:
    events: list[Any] = []

    def process(sender: Any, **kwargs: Any) -> None:
        events.append(sender)

    def worker(sender: Any, **kwargs: Any) -> None:
        events.append("worker")

    worker_process_ready.connect(process)
    worker_ready.connect(worker)
    try:
        group = WorkerGroup(layer_with({}), 3, signal_handlers=False)
        group.start()
        eventually(lambda: len(events) == 4)
        group.stop()
    finally:
        worker_process_ready.disconnect(process)
        worker_ready.disconnect(worker)
    assert events == [WorkerGroup, "worker", "worker", "worker"]


def test_a_group_does_not_wait_for_what_comes_behind_the_work_of_its_threads() -> None:
    """It is told that a worker has ended while the thread still lives. It must not wait to be told again."""
    of_thread, began, go_on = threading.local(), threading.Event(), threading.Event()

    class Lasting:
        def __del__(self) -> None:  # when the thread forgets what is its own, as its last step
            assert go_on.wait(DEADLINE)

    def consumer(message: Message) -> None:
        of_thread.lasting = Lasting()
        began.set()

    layer = layer_with({"test": consumer})
    group = WorkerGroup(layer, 1, signal_handlers=False, stop_timeout=2 * DEADLINE)
    group.start()
    layer.send("test", {})
    assert began.wait(DEADLINE)
    stopper = threading.Thread(target=group.stop)
    stopper.start()
    stopper.join(DEADLINE)
    alive = [thread.is_alive() for thread in (stopper, group.threads[0])]
    go_on.set()
    stopper.join()
    group.threads[0].join()
    assert alive == [False, True]


def test_a_group_sees_the_end_of_an_asynchronous_consumer_whose_messages_are_sent_before() -> None:
    """The thread that sends may be done before the event loop has taken the consumer out."""
    began, go_on, sent = threading.Event(), threading.Event(), threading.Event()

    async def consumer(message: Message) -> None:
        began.set()
        await asyncio.to_thread(go_on.wait, DEADLINE)

    layer = layer_with({"test": consumer})
    group = WorkerGroup(layer, 1, signal_handlers=False, stop_timeout=2 * DEADLINE)
    completions = group._event_loop.completions
    end = completions.end

    def end_late(run: Any) -> bool:
        is_left = end(run)
        eventually(lambda: not completions.is_at_work)
        sent.set()
        return is_left

    completions.end = end_late  # type: ignore[method-assign]
    group.start()
    layer.send("test", {})
    assert began.wait(DEADLINE)
    stopper = threading.Thread(target=group.stop)
    stopper.start()
    eventually(lambda: group.workers[0] in group._ended)
    go_on.set()
    assert sent.wait(DEADLINE)
    stopper.join(DEADLINE)
    is_stopped = not stopper.is_alive()
    group.hurry()
    stopper.join()
    assert is_stopped


def test_two_threads_can_stop_a_group() -> None:
    began, go_on = threading.Event(), threading.Event()

    def consumer(message: Message) -> None:
        began.set()
        assert go_on.wait(DEADLINE)

    layer = layer_with({"test": consumer})
    group = WorkerGroup(layer, 1, signal_handlers=False, stop_timeout=2 * DEADLINE)
    group.start()
    layer.send("test", {})
    assert began.wait(DEADLINE)
    stoppers = [threading.Thread(target=group.stop) for _ in range(2)]
    for stopper in stoppers:
        stopper.start()
    # Both have told the group to end, and wait.
    eventually(lambda: [thread.name for thread in threading.enumerate()].count("worker-waker") == 2)
    eventually(group._news.empty)
    go_on.set()
    for stopper in stoppers:
        stopper.join(DEADLINE)
    are_stopped = [not stopper.is_alive() for stopper in stoppers]
    group.hurry()
    group.hurry()
    for stopper in stoppers:
        stopper.join()
    assert are_stopped == [True, True]


def test_options_are_for_each_worker() -> None:
    group = WorkerGroup(layer_with({"a": echo, "b": echo}), 2, only_channels=["a"], message_retries=3)
    assert [(worker.channels(), worker.message_retries) for worker in group.workers] == [(["a"], 3)] * 2


@pytest.mark.parametrize("number", [0, -1])
def test_no_threads_at_all(number: int) -> None:
    with pytest.raises(ValueError, match=f"needs at least one thread, not {number}"):
        WorkerGroup(layer_with({}), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_runs(number: signal.Signals) -> None:
    def consumer(message: Message) -> None:
        os.kill(os.getpid(), number)
        echo(message)

    layer = layer_with({"test": consumer})
    former = signal.getsignal(number)
    layer.send("test", {"reply_channel": REPLY, "text": "finished"})
    WorkerGroup(layer, 2).run()
    assert receive(layer) == {"text": "finished"}
    assert signal.getsignal(number) is former
    layer.send("test", {"reply_channel": REPLY, "text": "nobody is here"})
    assert layer.channel_statistics("test")["messages_pending"] == 1


def test_a_worker_that_dies_ends_the_group(caplog: pytest.LogCaptureFixture) -> None:
    layer = layer_with({"test": echo}, BrokenLayer())
    with pytest.raises(RuntimeError, match="a bug in the layer"):
        WorkerGroup(layer, 3).run()
    assert {record.getMessage() for record in caplog.records} == {"A worker died:"}


_of_ended_processes: list[WorkerGroup] = []
"""A real process ends without freeing them. To free a broken event loop warns of the tasks in it."""


def test_an_event_loop_that_dies_ends_the_group(caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise no asynchronous consumer of the process would run any more. Nobody waits for those that ran."""

    def fail() -> float:
        raise OSError("Bad file descriptor")

    async def consumer(message: Message) -> None:
        asyncio.get_running_loop().time = fail  # type: ignore[method-assign]
        await asyncio.Event().wait()

    layer = layer_with({"test": consumer})
    layer.send("test", {})
    group = WorkerGroup(layer, 1, stop_timeout=2 * DEADLINE)
    with pytest.raises(OSError, match="Bad file descriptor"):
        group.run()
    assert "The event loop of asynchronous consumers has died:" in caplog.messages
    assert len(group.still_running()) == 1
    assert group._presence is not None
    group._presence.stop(DEADLINE, departs=False)
    _of_ended_processes.append(group)


def test_a_worker_that_dies_ends_the_group_although_the_log_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer may have closed the stream. The status must not say that all is well."""

    def fail(*args: Any) -> None:
        raise ValueError("I/O operation on closed file.")

    layer = layer_with({"test": echo}, BrokenLayer())
    monkeypatch.setattr("worker.group.logger.exception", fail)
    monkeypatch.setattr(threading, "excepthook", lambda failure: None)
    with pytest.raises(RuntimeError, match="a bug in the layer"):
        WorkerGroup(layer, 1).run()


def test_a_worker_that_dies_ends_the_group_although_its_connections_cannot_be_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise InterfaceError("not connected")

    layer = layer_with({"test": echo}, BrokenLayer())
    monkeypatch.setattr("worker.group.connections.close_all", fail)
    monkeypatch.setattr(threading, "excepthook", lambda failure: None)
    with pytest.raises(RuntimeError, match="a bug in the layer"):
        WorkerGroup(layer, 1).run()


def test_ctrl_c_where_no_signal_is_handled_ends_it_after_what_runs() -> None:
    def consumer(message: Message) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        echo(message)

    layer = layer_with({"test": consumer})
    layer.send("test", {"reply_channel": REPLY, "text": "finished"})
    with pytest.raises(KeyboardInterrupt):
        WorkerGroup(layer, 2, signal_handlers=False).run()
    assert receive(layer) == {"text": "finished"}
    layer.send("test", {"reply_channel": REPLY, "text": "nobody is here"})
    assert layer.channel_statistics("test")["messages_pending"] == 1


# With an interface server in front, as clients see it.


def test_what_a_client_sees_of_a_consumer_that_raises(start_workers: StartWorkers) -> None:
    def fail(message: Message) -> None:
        raise RuntimeError("a bug")

    layer = layer_with({"http.request": fail, "websocket.connect": fail})
    start_workers(layer, 2)
    with Hosted(layer.channel_layer) as hosted:
        response = hosted.get().result(DEADLINE)
        assert (response.status_code, response.text) == (500, "Server Error (500)")
        refused = hosted.dial().exception(DEADLINE)
        assert refused is not None
        assert "403" in str(refused)


def test_what_a_client_sees_of_an_echo(start_workers: StartWorkers) -> None:
    layer = layer_with({"websocket.receive": echo, "websocket.connect": lambda message: None}, capacity=1000)
    start_workers(layer, 4)
    with Hosted(layer.channel_layer) as hosted:
        connection = hosted.dial().result(DEADLINE)
        for number in range(200):
            connection.send(str(number))
            assert connection.recv(timeout=DEADLINE) == str(number)
