"""A worker at work: messages from a layer, consumers, and what they sent (specification, section 7)."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from channels_classic import Channel, Group
from channels_classic.exceptions import ConsumeLater, WebsocketCloseException
from channels_classic.layers import (
    Delivery,
    InMemoryChannelLayer,
    LayerUnavailable,
    Received,
    RedisChannelLayer,
)
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import Turn
from channels_classic.message import Message
from channels_classic.processes.journal import read_journal
from channels_classic.routing import Router, route
from channels_classic.sessions import enforce_ordering
from channels_classic.signals import consumer_finished, worker_ready
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
from worker import Worker, finish
from worker.watchdog import PATIENCE


def echo(message: Message) -> None:
    assert message.reply_channel is not None
    message.reply_channel.send({"text": message["text"]})


class FlakyLayer(InMemoryChannelLayer):
    """A layer in memory with outages on demand."""

    outage: LayerUnavailable | None = None
    failures = 0

    def _check(self) -> None:
        if self.outage is not None:
            self.failures += 1
            raise self.outage

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        self._check()
        return super().send_batch(deliveries)

    def receive_batch(
        self, channels: Sequence[str], limit: int, timeout: float = 0, taker: Taker | None = None
    ) -> list[Received]:
        if CLIENTS not in channels:  # the worker, not the test
            self._check()
            timeout = min(timeout, 0.05)
        return super().receive_batch(channels, limit, timeout, taker)

    def give_back(self, batch: Sequence[Received], taker: Taker | None = None) -> None:
        self._check()
        super().give_back(batch, taker)


GONE = LayerUnavailable("It is gone.", nothing_done=True)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


@contextmanager
def working(worker: Worker) -> Iterator[threading.Thread]:
    """Run one worker without a group."""
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


def test_sends_go_out_in_order_when_the_consumer_is_done(start_workers: StartWorkers) -> None:
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


def in_one_batch(layer: Any, *contents: dict[str, Any]) -> Worker:
    """A worker that takes these messages on "test" at once."""
    worker = Worker(layer)
    worker._pace.seconds_per_message = 1e-6
    layer.send_batch([layer.prepare("test", {"reply_channel": REPLY, **content}) for content in contents])
    return worker


def test_a_consumer_that_ends_the_program_loses_nothing_of_others() -> None:
    def consumer(message: Message) -> None:
        echo(message)
        if message.get("exit"):
            sys.exit()

    layer = layer_with({"test": consumer})
    contents = [{"text": str(number), "exit": number % 2} for number in range(6)]
    with working(in_one_batch(layer, *contents)) as thread:
        assert [receive(layer)["text"] for _ in range(6)] == [str(number) for number in range(6)]
        assert thread.is_alive()


def test_a_turn_ends_with_a_consumer_that_ends_the_program(start_workers: StartWorkers) -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        if message["order"] == 0:
            sys.exit()
        echo(message)

    layer = layer_with({"test": consumer})
    start_workers(layer)
    for order in range(2):
        layer.send("test", {"reply_channel": REPLY, "order": order, "text": str(order)})
    assert receive(layer) == {"text": "1"}


def test_a_receiver_of_a_signal_that_ends_the_program(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[Any] = []

    def leave(**kwargs: Any) -> None:
        if not left:
            left.append(True)
            sys.exit()

    # The turn of the first message ends, too.
    layer = layer_with({"test": enforce_ordering(echo)})
    consumer_finished.connect(leave)
    try:
        start_workers(layer)
        for order, text in enumerate(("one", "two")):
            layer.send("test", {"reply_channel": REPLY, "text": text, "order": order})
        assert [receive(layer)["text"] for _ in range(2)] == ["one", "two"]
    finally:
        consumer_finished.disconnect(leave)
    assert len(errors(caplog)) == 1


def test_a_message_that_its_consumer_has_changed_can_be_described() -> None:
    """It is named in the log if it runs when the worker has to end, or is lost with it."""
    layer = layer_with([route("test", echo, path="^/")])
    worker = Worker(layer)
    assert "test /a (tests." in worker.describe("test", {"path": "/a"})
    for content in ({"path": "/a", "reply_channel": 7}, {"path": Text()}, {"path": 5}, {}):
        assert worker.describe("test", content).startswith("test")


class Text:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.django_db
def test_ctrl_c_in_the_thread_of_a_worker_ends_it_in_order() -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        echo(message)
        if message.get("interrupt"):
            signal.raise_signal(signal.SIGINT)

    layer = layer_with({"test": consumer})
    contents = [{"order": order, "text": str(order), "interrupt": order == 1} for order in range(4)]
    worker = in_one_batch(layer, *contents)
    worker.signal_handlers = False
    with pytest.raises(KeyboardInterrupt):
        worker.run()
    # What was sent is there, what was not started is back, and the turn of the one that was hit has ended.
    assert [receive(layer)["text"] for _ in range(2)] == ["0", "1"]
    assert [receive(layer, "test")["order"] for _ in range(2)] == [2, 3]
    assert layer.enter_turn(Turn(REPLY, 2, "test"), {})


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


def test_excluded_channels_are_left_to_other_workers(start_workers: StartWorkers) -> None:
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


@pytest.fixture(autouse=True)
def large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that knows how quick its consumer is takes many messages at once, even on a slow machine."""
    monkeypatch.setattr("worker.pace.BATCH_SECONDS", 1.0)


def warm_up(layer: Any, worker: Worker) -> None:
    """Make the worker learn how quick its consumer is."""
    message = [layer.prepare("test", {"reply_channel": REPLY, "text": "warm"})]

    def is_quick() -> bool:
        layer.send_batch(message)
        receive(layer)
        return worker._pace.limit() > 10

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


def test_sends_do_not_wait_behind_a_slow_consumer(start_workers: StartWorkers) -> None:
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


def test_a_worker_within_its_patience_is_not_relieved() -> None:
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


class SlowToTakeBack(InMemoryChannelLayer):
    """A layer that is slow to take messages back, so that others could overtake them."""

    def __init__(self, outage: LayerUnavailable | None, **config: Any) -> None:
        super().__init__(**config)
        self.outage = outage
        self.slow, self.giving_back, self.overtaken = Slow(), threading.Event(), threading.Event()

    def send_and_receive(self, *args: Any) -> Any:
        if self.giving_back.is_set():
            self.overtaken.set()
        return super().send_and_receive(*args)

    def give_back(self, batch: Sequence[Received]) -> None:
        if not self.giving_back.is_set():
            self.giving_back.set()
            self.slow.go_on.set()
            # Who overtakes is through long before. Who does not keeps this waiting to the end.
            self.overtaken.wait(0.5)
            if self.outage is not None:
                raise self.outage
        super().give_back(batch)


@pytest.mark.parametrize("outage", [None, GONE], ids=str)
def test_nothing_overtakes_what_is_given_back(outage: LayerUnavailable | None) -> None:
    flaky = SlowToTakeBack(outage, capacity=1000)
    layer = layer_with({"test": flaky.slow}, flaky)
    worker = Worker(layer)
    with working(worker):
        behind_a_slow_one(layer, flaky.slow, worker)
        layer.send("test", {"reply_channel": REPLY, "text": "new"})
        worker.relieve(0)
        texts = ["slow", *(str(number) for number in range(10)), "new"]
        assert [receive(layer)["text"] for _ in texts] == texts


@pytest.mark.parametrize("outage", [None, GONE], ids=str)
def test_a_stop_waits_for_what_is_given_back(outage: LayerUnavailable | None) -> None:
    flaky = SlowToTakeBack(outage, capacity=1000)
    layer = layer_with({"test": flaky.slow}, flaky)
    worker = Worker(layer)
    with working(worker) as thread:
        behind_a_slow_one(layer, flaky.slow, worker)
        worker.stop()
        threading.Thread(target=lambda: (thread.join(DEADLINE), flaky.overtaken.set())).start()
        worker.relieve(0)
        thread.join(DEADLINE)
        assert [receive(layer, "test")["text"] for _ in range(10)] == [str(number) for number in range(10)]
        assert is_empty(layer, "test")


def test_giving_back_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    slow, flaky = Slow(), FlakyLayer(capacity=1000)
    layer = layer_with({"test": slow}, flaky)
    worker = Worker(layer)
    with working(worker):
        behind_a_slow_one(layer, slow, worker)
        flaky.outage = GONE
        assert [worker.relieve(0) for _ in range(3)] == [True, True, True]
        flaky.outage = None
        assert not worker.relieve(0)
        assert [receive(layer, "test")["text"] for _ in range(10)] == [str(number) for number in range(10)]
        slow.go_on.set()
    assert errors(caplog) == [
        "Messages behind a consumer that takes long cannot be given back; trying again. It is gone."
    ]


def test_messages_that_may_be_back_are_not_given_back_twice(caplog: pytest.LogCaptureFixture) -> None:
    slow, flaky = Slow(), FlakyLayer(capacity=1000)
    layer = layer_with({"test": slow}, flaky)
    worker = Worker(layer)
    with working(worker):
        behind_a_slow_one(layer, slow, worker)
        flaky.outage = LayerUnavailable("It went away.")
        assert not worker.relieve(0)
        flaky.outage = None
        slow.go_on.set()
        assert receive(layer) == {"text": "slow"}
    assert is_empty(layer, "test")
    assert errors(caplog) == ["10 messages were lost with the channel layer. It went away."]


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
        eventually(lambda: worker._senders.own.retrying)
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


@pytest.fixture
def redis_layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer([redis_url])
    yield layer
    layer.close()


def test_a_full_redis_holds_up_replies_and_no_consumer(
    redis_url: str,
    redis_layer: RedisChannelLayer,
    start_workers: StartWorkers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("worker.sender.RETRY_SECONDS", 60)
    runs, go_on, next_runs = threading.Event(), threading.Event(), threading.Event()

    def consumer(message: Message) -> None:
        runs.set()
        go_on.wait(DEADLINE)
        echo(message)

    def next_consumer(message: Message) -> None:
        next_runs.set()

    layer = layer_with({"test": consumer, "next": next_consumer}, redis_layer)
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY, "text": "late"})
    assert runs.wait(DEADLINE)
    layer.send("next", {})
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", 1)
        try:
            go_on.set()
            # The worker takes this message by the trip that was to send the reply.
            assert next_runs.wait(DEADLINE)
        finally:
            client.config_set("maxmemory", 0)
    assert receive(layer) == {"text": "late"}
    [error] = errors(caplog)
    assert re.search(r"trying again\. .*Redis at .* is full: its memory has reached maxmemory", error)


def test_a_stop_during_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    flaky = FlakyLayer()
    worker = Worker(layer_with({"test": echo}, flaky))
    with working(worker):
        flaky.outage = LayerUnavailable("It is gone.")
        eventually(lambda: flaky.failures)


def ending_in_an_outage(flaky: FlakyLayer, layer: Any, slow: Slow, worker: Worker) -> None:
    """Make the worker end in an outage, with ten messages that were not started and one to send."""
    behind_a_slow_one(layer, slow, worker)
    flaky.outage = GONE
    worker.stop()
    failures = flaky.failures
    slow.go_on.set()
    eventually(lambda: flaky.failures > failures)


def test_the_end_waits_for_a_layer_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    slow, flaky = Slow(), FlakyLayer(capacity=1000)
    layer = layer_with({"test": slow}, flaky)
    worker = Worker(layer)
    with working(worker) as thread:
        ending_in_an_outage(flaky, layer, slow, worker)
        failures = flaky.failures
        eventually(lambda: flaky.failures > failures)
        flaky.outage = None
        thread.join(DEADLINE)
        assert receive(layer) == {"text": "slow"}
        assert [receive(layer, "test")["text"] for _ in range(10)] == [str(number) for number in range(10)]
    assert errors(caplog) == ["The worker has to wait for the channel layer before it can end. It is gone."]


@pytest.mark.parametrize("hurry", [False, True])
def test_the_end_does_not_wait_forever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, hurry: bool
) -> None:
    monkeypatch.setattr(finish, "OUTAGE_SECONDS", 3600 if hurry else 0.5)
    slow, flaky = Slow(), FlakyLayer(capacity=1000)
    layer = layer_with({"test": slow}, flaky)
    worker = Worker(layer)
    with working(worker) as thread:
        ending_in_an_outage(flaky, layer, slow, worker)
        if hurry:
            worker.hurry()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert errors(caplog)[1:] == [
        "Lost at the end of a worker: 10 messages that it had not started, 1 that consumers had sent, "
        "the ends of 0 turns. It is gone."
    ]


def test_what_cannot_be_given_back_at_the_end_is_given_to_others(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer is back before the process has ended, or only later."""
    monkeypatch.setattr(finish, "OUTAGE_SECONDS", 0.5)
    monkeypatch.setattr("worker.watchdog.PATIENCE", 2 * DEADLINE)
    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 64)
    runs, go_on = threading.Event(), threading.Event()

    def slow(message: Message) -> None:
        runs.set()
        assert go_on.wait(DEADLINE)

    flaky = FlakyLayer()
    layer = layer_with({"test": slow}, flaky)
    for number in range(3):
        layer.send("test", {"number": number})
    group = start_workers(layer)
    assert runs.wait(DEADLINE)
    [process] = layer.processes()
    flaky.outage = GONE
    go_on.set()
    group.workers[0].stop()
    group.threads[0].join(DEADLINE)
    flaky.outage = None
    group.stop()
    swept = layer.sweep(process, read_journal)
    assert (swept.back, [lost.content["number"] for lost in swept.lost]) == (2, [0])
    assert [layer.receive(["test"])[1]["number"] for _ in range(2)] == [1, 2]
    assert not [error for error in errors(caplog) if error.startswith("Lost")]


def test_the_end_does_not_wait_forever_for_another_layer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish, "OUTAGE_SECONDS", 0.5)
    flaky = FlakyLayer()
    flaky.outage = GONE

    def consumer(message: Message) -> None:
        Channel("elsewhere", channel_layer=layer_with({}, flaky)).send({"text": "lost"})

    layer = layer_with({"test": consumer})
    worker = Worker(layer)
    with working(worker) as thread:
        layer.send("test", {})
        eventually(lambda: flaky.failures)
        worker.stop()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert "0 messages that it had not started, 1 that consumers had sent" in errors(caplog)[-1]


def test_the_end_does_not_wait_forever_for_room(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish, "OUTAGE_SECONDS", 0.1)

    @enforce_ordering
    def consumer(message: Message) -> None:
        for _ in range(2):
            Channel("narrow", channel_layer=message.channel_layer).send({})

    layer = layer_with({"test": consumer}, channel_capacity={"narrow": 1})
    worker = Worker(layer)
    with working(worker) as thread:
        layer.send("test", {"reply_channel": REPLY, "order": 0})
        eventually(lambda: worker._senders.own.retrying)
        worker.stop()
        thread.join(DEADLINE)
    assert errors(caplog) == [
        "Lost at the end of a worker: 0 messages that it had not started, 1 that consumers had sent, "
        "the ends of 1 turns. A channel stayed full, or another layer away."
    ]
