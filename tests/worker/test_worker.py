"""A worker at work: messages from a layer, consumers, and what they sent (specification, section 7)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from channels_classic import Channel, Group
from channels_classic.exceptions import ConsumeLater, WebsocketCloseException
from channels_classic.layers import Delivery, InMemoryChannelLayer, LayerUnavailable, Received
from channels_classic.message import Message
from channels_classic.routing import Router
from channels_classic.signals import worker_ready
from tests.worker.conftest import (
    CLIENTS,
    DEADLINE,
    REPLY,
    StartWorkers,
    eventually,
    is_empty,
    layer_with,
    receive,
)
from worker import Worker
from worker.watchdog import PATIENCE


def echo(message: Message) -> None:
    assert message.reply_channel is not None
    message.reply_channel.send({"text": message["text"]})


class FlakyLayer(InMemoryChannelLayer):
    """In memory, with an outage when the test wants one."""

    outage: LayerUnavailable | None = None
    failures = 0

    def _check(self) -> None:
        if self.outage is not None:
            self.failures += 1
            raise self.outage

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        self._check()
        return super().send_batch(deliveries)

    def receive_batch(self, channels: Sequence[str], limit: int, timeout: float = 0) -> list[Received]:
        if CLIENTS not in channels:  # the worker, not the test
            self._check()
            timeout = min(timeout, 0.05)
        return super().receive_batch(channels, limit, timeout)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


@contextmanager
def working(worker: Worker) -> Iterator[threading.Thread]:
    """Let one worker run, without a group around it."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_messages_are_consumed_and_answered_in_order(start_workers: StartWorkers) -> None:
    layer = layer_with({"test": echo}, capacity=1000)
    start_workers(layer)
    for number in range(300):
        layer.send("test", {"reply_channel": REPLY, "text": str(number)})
    assert [receive(layer)["text"] for _ in range(300)] == [str(number) for number in range(300)]


def test_a_consumer_sees_what_it_was_sent_and_where_from(start_workers: StartWorkers) -> None:
    seen: list[Message] = []
    layer = layer_with({"test": seen.append})
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY, "number": 1})
    eventually(lambda: seen)
    [message] = seen
    assert message.content == {"reply_channel": REPLY, "number": 1}
    assert (message.channel.name, str(message.reply_channel)) == ("test", REPLY)
    assert message.channel_layer is layer


def test_what_a_consumer_sends_goes_out_when_it_is_done_and_in_order(start_workers: StartWorkers) -> None:
    sent, go_on = threading.Event(), threading.Event()

    def consumer(message: Message) -> None:
        content = {"text": "first"}
        assert message.reply_channel is not None
        message.reply_channel.send(content)
        content["text"] = "changed afterwards"
        Channel("other", channel_layer=message.channel_layer).send({"text": "second"})
        Group("clients", channel_layer=message.channel_layer).send({"text": "third"})
        message.reply_channel.send({"text": "fourth"})
        message.reply_channel.send({"text": "at once"}, immediately=True)
        sent.set()
        go_on.wait(DEADLINE)

    layer = layer_with({"test": consumer})
    layer.group_add("clients", REPLY)
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY})
    assert sent.wait(DEADLINE)
    assert receive(layer) == {"text": "at once"}
    assert is_empty(layer)
    assert is_empty(layer, "other")
    go_on.set()
    assert [receive(layer)["text"] for _ in range(3)] == ["first", "third", "fourth"]
    assert receive(layer, "other") == {"text": "second"}


def test_a_chain_of_consumers(start_workers: StartWorkers) -> None:
    def pass_on(message: Message) -> None:
        Channel("second", channel_layer=message.channel_layer).send(message.content)

    layer = layer_with({"first": pass_on, "second": echo})
    start_workers(layer, 2)
    layer.send("first", {"reply_channel": REPLY, "text": "hello"})
    assert receive(layer) == {"text": "hello"}


@pytest.mark.parametrize(
    "content",
    [{"fail": True}, {"later": True}, {"odd": True}, {"reply_channel": "no such name!?"}, {"reply_channel": 7}],
    ids=str,
)
def test_the_worker_goes_on_after_any_mistake(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture, content: dict[str, Any]
) -> None:
    def consumer(message: Message) -> None:
        if message.get("fail"):
            raise RuntimeError("a bug in the consumer")
        if message.get("later"):
            message.content["reason"] = object()
            raise ConsumeLater
        if message.get("odd"):
            Channel("no such name", channel_layer=message.channel_layer)
        echo(message)

    layer = layer_with({"test": consumer})
    start_workers(layer)
    layer.send("test", content)
    layer.send("test", {"reply_channel": REPLY, "text": "next"})
    assert receive(layer) == {"text": "next"}
    [error] = errors(caplog)
    assert "'test'" in error


def test_consume_later_comes_back_ten_times_and_is_dropped(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[tuple[int, bool]] = []

    def consumer(message: Message) -> None:
        runs.append((message.get("__retries__", 0), message.__doomed__))  # type: ignore[attr-defined]
        raise ConsumeLater

    layer = layer_with({"test": consumer, "last": echo})
    start_workers(layer)
    layer.send("test", {"text": "hello"})
    eventually(lambda: len(runs) == 11)
    layer.send("last", {"reply_channel": REPLY, "text": "done"})
    receive(layer)
    assert runs == [(number, number == 10) for number in range(11)]
    assert is_empty(layer, "test")
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "was dropped" in warning


def test_consume_later_until_its_time_has_come(start_workers: StartWorkers) -> None:
    ready: list[bool] = []

    def wait_for_it(message: Message) -> None:
        if not ready:
            raise ConsumeLater
        echo(message)

    def prepare(message: Message) -> None:
        ready.append(True)

    layer = layer_with({"test": wait_for_it, "prepare": prepare})
    layer.send_batch(
        [layer.prepare("test", {"reply_channel": REPLY, "text": "now"}), layer.prepare("prepare", {})]
    )
    start_workers(layer)
    assert receive(layer) == {"text": "now"}


def test_closing_by_an_exception(start_workers: StartWorkers) -> None:
    def consumer(message: Message) -> None:
        raise WebsocketCloseException(4000)

    layer = layer_with({"websocket.receive": consumer})
    start_workers(layer)
    layer.send("websocket.receive", {"reply_channel": REPLY, "text": "hello"})
    assert receive(layer) == {"close": 4000}


def test_a_full_channel_holds_up_no_other_and_is_given_up_after_two_seconds(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    def consumer(message: Message) -> None:
        for name in ("full", "narrow", "free"):
            Channel(name, channel_layer=message.channel_layer).send({"text": name})

    layer = layer_with({"test": consumer}, channel_capacity={"full": 1, "narrow": 1})
    for name in ("full", "narrow"):
        layer.send(name, {"text": "in the way"})
    start_workers(layer)
    layer.send("test", {})
    assert receive(layer, "free") == {"text": "free"}
    # One that gets room again in time is delivered.
    assert [receive(layer, "narrow")["text"] for _ in range(2)] == ["in the way", "narrow"]
    eventually(lambda: errors(caplog))
    [error] = errors(caplog)
    assert "A message was dropped after 2.0 seconds of trying" in error
    assert "Channel 'full' is full" in error
    assert "raise capacity or channel_capacity" in error
    assert [receive(layer, "full")["text"]] == ["in the way"]
    assert is_empty(layer, "full")


def test_sends_to_another_layer(start_workers: StartWorkers) -> None:
    other = layer_with({}, capacity=1)

    def consumer(message: Message) -> None:
        for text in ("one", "two"):
            Channel("elsewhere", channel_layer=other).send({"text": text})

    layer = layer_with({"test": consumer})
    start_workers(layer)
    layer.send("test", {})
    # The second finds the channel full, and is tried again although no other message wakes the worker.
    assert receive(other, "elsewhere") == {"text": "one"}
    assert receive(other, "elsewhere") == {"text": "two"}


def test_another_layer_that_is_away(start_workers: StartWorkers, caplog: pytest.LogCaptureFixture) -> None:
    flaky = FlakyLayer()
    other = layer_with({}, flaky)

    def consumer(message: Message) -> None:
        Channel("elsewhere", channel_layer=other).send({"text": message["text"]})

    layer = layer_with({"test": consumer, "echo": echo})
    start_workers(layer)
    flaky.outage = LayerUnavailable("It is gone.", nothing_done=True)
    layer.send("test", {"text": "kept"})
    eventually(lambda: flaky.failures > 2)
    layer.send("echo", {"reply_channel": REPLY, "text": "here all is well"})
    assert receive(layer) == {"text": "here all is well"}
    flaky.outage = None
    assert receive(other, "elsewhere") == {"text": "kept"}
    assert errors(caplog) == ["Another channel layer cannot be reached; trying again. It is gone."]


# Which channels.


@pytest.mark.parametrize(
    ("only", "exclude", "channels"),
    [
        (None, None, ["http.request", "thumbnails", "websocket.connect", "websocket.receive"]),
        (["websocket.*"], None, ["websocket.connect", "websocket.receive"]),
        (["http.*", "thumb*"], None, ["http.request", "thumbnails"]),
        (None, ["*.connect"], ["http.request", "thumbnails", "websocket.receive"]),
        (["websocket.*"], ["*.connect"], ["websocket.receive"]),
        (["nothing"], None, []),
    ],
)
def test_only_and_excluded_channels(only: Any, exclude: Any, channels: list[str]) -> None:
    names = ["websocket.connect", "websocket.receive", "http.request", "thumbnails"]
    layer = layer_with(dict.fromkeys(names, echo))
    assert Worker(layer, only_channels=only, exclude_channels=exclude).channels() == channels


def test_what_is_excluded_is_left_to_others(start_workers: StartWorkers) -> None:
    layer = layer_with({"mine": echo, "theirs": echo})
    start_workers(layer, exclude_channels=["theirs"])
    layer.send("theirs", {"reply_channel": REPLY, "text": "theirs"})
    layer.send("mine", {"reply_channel": REPLY, "text": "mine"})
    assert receive(layer) == {"text": "mine"}
    assert receive(layer, "theirs")["text"] == "theirs"


def test_a_worker_without_channels_waits_and_stops(start_workers: StartWorkers) -> None:
    start_workers(layer_with({}))


def test_a_callback_sees_each_message_first(start_workers: StartWorkers) -> None:
    events: list[Any] = []
    layer = layer_with({"test": lambda message: events.append("consumer")})
    start_workers(layer, callback=lambda channel, message: events.append((channel, message.content)))
    layer.send("test", {"number": 1})
    eventually(lambda: len(events) == 2)
    assert events == [("test", {"number": 1}), "consumer"]


def test_worker_ready_comes_from_each_worker(start_workers: StartWorkers) -> None:
    ready: list[Any] = []

    def note(sender: Any, **kwargs: Any) -> None:
        ready.append(sender)

    worker_ready.connect(note)
    try:
        group = start_workers(layer_with({}), 3)
        eventually(lambda: len(ready) == 3)
    finally:
        worker_ready.disconnect(note)
    assert set(ready) == set(group.workers)


# Batches, slow consumers, and the end.


class Slow:
    """A consumer that waits for the test at the messages with ``wait``, and takes ``seconds`` for others."""

    def __init__(self) -> None:
        self.started, self.go_on = threading.Event(), threading.Event()

    def __call__(self, message: Message) -> None:
        if message.get("wait"):
            self.started.set()
            assert self.go_on.wait(DEADLINE)
        time.sleep(message.get("seconds", 0))
        echo(message)


def warm_up(layer: Any, worker: Worker) -> None:
    """Make the worker learn how quick its consumer is, so that it takes more than one message at a time."""
    message = [layer.prepare("test", {"reply_channel": REPLY, "text": "warm"})]

    def is_quick() -> bool:
        layer.send_batch(message)
        receive(layer)
        return worker._limit() > 10

    eventually(is_quick)


def behind_a_slow_one(layer: Any, slow: Slow, worker: Worker) -> None:
    """Make the worker take a slow message and ten quick ones in one batch, and begin with the slow one."""
    warm_up(layer, worker)
    batch = [{"reply_channel": REPLY, "text": "slow", "wait": True}]
    batch += [{"reply_channel": REPLY, "text": str(number)} for number in range(10)]
    layer.send_batch([layer.prepare("test", content) for content in batch])
    assert slow.started.wait(DEADLINE)


def test_nothing_waits_behind_a_slow_consumer(start_workers: StartWorkers) -> None:
    slow = Slow()
    layer = layer_with({"test": slow}, capacity=1000)
    first = start_workers(layer)
    behind_a_slow_one(layer, slow, first.workers[0])
    start_workers(layer)
    assert [receive(layer)["text"] for _ in range(10)] == [str(number) for number in range(10)]
    slow.go_on.set()
    assert receive(layer) == {"text": "slow"}


def test_nothing_waits_behind_one_that_comes_late_in_its_batch(start_workers: StartWorkers) -> None:
    slow = Slow()
    layer = layer_with({"test": slow}, capacity=1000)
    first = start_workers(layer)
    warm_up(layer, first.workers[0])
    batch: list[dict[str, Any]] = [
        {"reply_channel": REPLY, "text": "", "seconds": PATIENCE * 0.6} for _ in range(3)
    ]
    batch += [{"reply_channel": REPLY, "text": "slow", "wait": True}, {"reply_channel": REPLY, "text": "quick"}]
    layer.send_batch([layer.prepare("test", content) for content in batch])
    assert slow.started.wait(DEADLINE)
    start_workers(layer)
    assert {"text": "quick"} in [receive(layer) for _ in range(4)]
    slow.go_on.set()


def test_what_was_sent_does_not_wait_behind_a_slow_consumer(start_workers: StartWorkers) -> None:
    slow = Slow()
    layer = layer_with({"test": slow}, capacity=1000)
    group = start_workers(layer)
    behind_a_slow_one(layer, slow, group.workers[0])
    slow.go_on.set()
    assert [receive(layer)["text"] for _ in range(11)] == ["slow", *(str(number) for number in range(10))]
    slow.started.clear()
    slow.go_on.clear()
    batch: list[dict[str, Any]] = [{"reply_channel": REPLY, "text": "quick"}]
    batch.append({"reply_channel": REPLY, "text": "slow", "wait": True})
    layer.send_batch([layer.prepare("test", content) for content in batch])
    assert slow.started.wait(DEADLINE)
    assert receive(layer) == {"text": "quick"}
    slow.go_on.set()
    assert receive(layer) == {"text": "slow"}


def test_who_is_patient_is_not_relieved() -> None:
    slow = Slow()
    layer = layer_with({"test": slow}, capacity=1000)
    worker = Worker(layer)
    with working(worker):
        worker.relieve(0)  # while it waits there is nothing to relieve it of
        behind_a_slow_one(layer, slow, worker)
        worker.relieve(3600)
        assert is_empty(layer, "test")
        worker.relieve(0)
        assert [receive(layer, "test")["text"] for _ in range(10)] == [str(number) for number in range(10)]
        slow.go_on.set()


def test_a_stop_finishes_what_runs_and_gives_back_what_does_not() -> None:
    slow = Slow()
    layer = layer_with({"test": slow}, capacity=1000)
    worker = Worker(layer)
    with working(worker) as thread:
        behind_a_slow_one(layer, slow, worker)
        worker.stop()
        assert thread.is_alive()
        slow.go_on.set()
        thread.join(DEADLINE)
        assert receive(layer) == {"text": "slow"}
        assert is_empty(layer)
        assert [receive(layer, "test")["text"] for _ in range(10)] == [str(number) for number in range(10)]
        assert is_empty(layer, "test")


def test_a_stop_waits_for_room_for_what_was_sent() -> None:
    def consumer(message: Message) -> None:
        for text in ("one", "two"):
            Channel("narrow", channel_layer=message.channel_layer).send({"text": text})

    layer = layer_with({"test": consumer}, channel_capacity={"narrow": 1})
    worker = Worker(layer)
    with working(worker):
        layer.send("test", {})
        eventually(lambda: worker._outbox.retrying)
        worker.stop()
        assert [receive(layer, "narrow")["text"] for _ in range(2)] == ["one", "two"]


def test_an_idle_worker_stops_at_once() -> None:
    worker = Worker(layer_with({"test": echo}))
    with working(worker) as thread:
        pass
    worker.stop()
    assert not thread.is_alive()


def test_another_router_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.loop.WAIT_SECONDS", 10 * DEADLINE)
    layer = layer_with({"test": echo})
    worker = Worker(layer)
    with working(worker):
        layer.send("test", {"reply_channel": REPLY, "text": "one"})
        assert receive(layer) == {"text": "one"}
        layer.router = Router({"another": echo})
        worker.wake()
        layer.send("another", {"reply_channel": REPLY, "text": "two"})
        assert receive(layer) == {"text": "two"}
        layer.send("test", {"reply_channel": REPLY, "text": "three"})
        layer.send("another", {"reply_channel": REPLY, "text": "four"})
        assert receive(layer) == {"text": "four"}
    assert layer.receive(["test"])[1]["text"] == "three"  # it was left to those who have a route for it


def test_an_outage_of_the_layer(start_workers: StartWorkers, caplog: pytest.LogCaptureFixture) -> None:
    flaky = FlakyLayer()
    layer = layer_with({"test": echo}, flaky)
    start_workers(layer)
    flaky.outage = LayerUnavailable("It is gone.", nothing_done=True)
    eventually(lambda: flaky.failures >= 2)
    flaky.outage = None
    layer.send("test", {"reply_channel": REPLY, "text": "back"})
    assert receive(layer) == {"text": "back"}
    messages = [record.getMessage() for record in caplog.records if record.name == "django.channels"]
    assert messages == [
        "The channel layer cannot be reached; trying again. It is gone.",
        "The channel layer is back.",
    ]


def test_a_stop_during_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    flaky = FlakyLayer()
    worker = Worker(layer_with({"test": echo}, flaky))
    with working(worker):
        flaky.outage = LayerUnavailable("It is gone.")
        eventually(lambda: flaky.failures)
