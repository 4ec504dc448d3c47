"""Asynchronous consumers: they have all features of synchronous ones, and many run at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import translation

from channels_classic import Channel, Group
from channels_classic.exceptions import ConsumeLater, DenyConnection, WebsocketCloseException
from channels_classic.message import Message
from channels_classic.sessions import channel_session, enforce_ordering
from channels_classic.signals import consumer_finished
from tests.worker.conftest import DEADLINE, REPLY, StartWorkers, eventually, layer_with, receive
from worker import Worker

marker: contextvars.ContextVar[str] = contextvars.ContextVar("marker", default="none")


@pytest.fixture(autouse=True)
def _sessions(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    cache.clear()  # all tests of a process share it, and use the same client


class Held:
    """A consumer that waits until it may go on."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self._go_on = threading.Event()

    def go_on(self) -> None:
        self._go_on.set()

    async def __call__(self, message: Message) -> None:
        text = message["text"]
        self.running.append(text)
        message.reply_channel.send({"text": f"begun {text}"}, immediately=True)
        try:
            while not self._go_on.is_set():
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.cancelled.append(text)
            raise
        self.ended.append(text)
        message.reply_channel.send({"text": f"ended {text}"})


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.go_on()


async def echo(message: Message) -> None:
    await asyncio.sleep(0)
    message.reply_channel.send({"text": message["text"]})
    await message.reply_channel.asend({"text": "and more"})


class Callable_:
    async def __call__(self, message: Message) -> None:
        await echo(message)


class Future_:
    """An awaitable that is no coroutine."""

    def __init__(self, message: Message) -> None:
        self.message = message

    def __await__(self) -> Any:
        return echo(self.message).__await__()


@pytest.mark.parametrize(
    "consumer",
    [echo, Callable_(), lambda message: echo(message), Future_, channel_session(echo), enforce_ordering(echo)],
    ids=["function", "object", "returned", "awaitable", "session", "ordering"],
)
def test_an_asynchronous_consumer_runs(start_workers: StartWorkers, consumer: Any) -> None:
    layer = layer_with({"test": consumer})
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY, "text": "hello", "order": 0})
    assert [receive(layer)["text"], receive(layer)["text"]] == ["hello", "and more"]


def test_it_runs_without_an_event_loop_of_its_process() -> None:
    layer = layer_with({"test": echo})
    worker = Worker(layer, signal_handlers=False)
    thread = threading.Thread(target=worker.run)
    thread.start()
    layer.send("test", {"reply_channel": REPLY, "text": "hello"})
    assert [receive(layer)["text"], receive(layer)["text"]] == ["hello", "and more"]
    worker.stop()
    thread.join()


def test_many_run_at_the_same_time_and_no_synchronous_one_waits(start_workers: StartWorkers, held: Held) -> None:
    layer = layer_with({"slow": held, "test": lambda message: message.reply_channel.send({"text": "done"})})
    start_workers(layer)
    for number in range(50):
        layer.send("slow", {"reply_channel": REPLY, "text": str(number)})
    for _ in range(50):
        assert receive(layer)["text"].startswith("begun")
    layer.send("test", {"reply_channel": REPLY})
    assert receive(layer)["text"] == "done"
    held.go_on()
    assert {receive(layer)["text"] for _ in range(50)} == {f"ended {number}" for number in range(50)}


def test_no_more_than_the_concurrency_run_at_the_same_time(start_workers: StartWorkers, held: Held) -> None:
    layer = layer_with({"slow": held, "test": lambda message: message.reply_channel.send({"text": "done"})})
    group = start_workers(layer, 2, concurrency=3)
    layer.send("slow", {"reply_channel": REPLY, "text": "first"})
    assert receive(layer)["text"] == "begun first"
    for number in range(10):
        layer.send("slow", {"reply_channel": REPLY, "text": str(number)})
    for _ in range(2):
        receive(layer)
    layer.send("test", {"reply_channel": REPLY})
    assert receive(layer)["text"] == "done"
    assert len(held.running) == 3
    held.go_on()
    texts = {receive(layer)["text"] for _ in range(3 + 8 * 2)}
    assert {f"ended {number}" for number in range(10)} < texts
    eventually(lambda: not group.still_running())


def test_sends_wait_for_the_end_of_the_consumer(start_workers: StartWorkers) -> None:
    async def consumer(message: Message) -> None:
        await Channel("other", channel_layer=layer).asend({"text": "1"})
        Group("group", channel_layer=layer).send({"text": "2"})
        await Group("group", channel_layer=layer).asend({"text": "3"})
        assert layer.receive_many(["other"]) == (None, None)
        await message.reply_channel.asend({"text": "0"}, immediately=True)

    layer = layer_with({"test": consumer})
    Group("group", channel_layer=layer).add("other")
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY})
    assert receive(layer)["text"] == "0"
    assert [receive(layer, "other")["text"] for _ in range(3)] == ["1", "2", "3"]


def test_a_task_that_outlives_its_consumer_sends_at_once(start_workers: StartWorkers) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def late(message: Message, done: asyncio.Event) -> None:
        await done.wait()
        await message.reply_channel.asend({"text": "late"})

    async def consumer(message: Message) -> None:
        done = asyncio.Event()
        tasks.append(asyncio.create_task(late(message, done)))
        asyncio.get_running_loop().call_later(0.01, done.set)

    layer = layer_with({"test": consumer})
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY})
    assert receive(layer)["text"] == "late"


def test_each_has_a_context_of_its_own(start_workers: StartWorkers) -> None:
    async def consumer(message: Message) -> None:
        before = marker.get(), translation.get_language()
        marker.set(message["text"])
        translation.activate("de")
        await asyncio.sleep(0.001)
        inside = await sync_to_async(lambda: (marker.get(), translation.get_language()))()
        message.reply_channel.send({"text": repr((before, inside))})

    layer = layer_with({"test": consumer})
    start_workers(layer)
    for text in "ab":
        layer.send("test", {"reply_channel": REPLY, "text": text})
    assert {receive(layer)["text"] for _ in "ab"} == {
        repr((("none", "en-us"), ("a", "de"))),
        repr((("none", "en-us"), ("b", "de"))),
    }


def raising(error: BaseException) -> Callable[[Message], Any]:
    async def consumer(message: Message) -> None:
        await asyncio.sleep(0)
        raise error

    return consumer


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (DenyConnection(), {"close": True}),
        (WebsocketCloseException(4001), {"close": 4001}),
        (ValueError("broken"), {"close": True}),
        (SystemExit(1), {"close": True}),
        (asyncio.CancelledError(), {"close": True}),
        (GeneratorExit(), {"close": True}),
        (KeyboardInterrupt(), {"close": True}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_it_raises_means_the_same(start_workers: StartWorkers, error: BaseException, answer: Any) -> None:
    layer = layer_with({"websocket.connect": raising(error), "test": echo})
    start_workers(layer)
    layer.send("websocket.connect", {"reply_channel": REPLY})
    assert receive(layer) == answer
    layer.send("test", {"reply_channel": REPLY, "text": "goes on"})
    assert receive(layer)["text"] == "goes on"


async def exits() -> None:
    await asyncio.sleep(0)
    raise SystemExit(1)


async def interrupts() -> None:
    raise KeyboardInterrupt


async def stops_the_loop() -> None:
    asyncio.get_running_loop().stop()


@pytest.mark.parametrize("task", [exits, interrupts, stops_the_loop])
def test_a_task_that_it_has_begun_does_not_end_the_event_loop(
    start_workers: StartWorkers, held: Held, task: Callable[[], Any]
) -> None:
    """Otherwise no asynchronous consumer of the process would run any more."""

    async def consumer(message: Message) -> None:
        await asyncio.gather(task(), return_exceptions=True)
        message.reply_channel.send({"text": "done"})

    layer = layer_with({"test": consumer, "slow": held})
    start_workers(layer)
    layer.send("slow", {"reply_channel": REPLY, "text": "beside it"})
    assert receive(layer)["text"] == "begun beside it"
    for _ in range(2):
        layer.send("test", {"reply_channel": REPLY})
        assert receive(layer)["text"] == "done"
    held.go_on()
    assert receive(layer)["text"] == "ended beside it"


@pytest.mark.parametrize("fails", [False, True])
def test_a_cancellation_that_comes_after_its_end(start_workers: StartWorkers, fails: bool) -> None:
    """The consumer has left it behind. Its socket is answered, its turn ends, and its place is free."""

    @enforce_ordering
    async def consumer(message: Message) -> None:
        await sync_to_async(str)()  # so that its thread has to be put in order afterwards
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if fails:
            raise ValueError("broken")

    layer = layer_with({"websocket.connect": consumer, "websocket.receive": enforce_ordering(echo)})
    start_workers(layer, concurrency=1)
    layer.send("websocket.connect", {"reply_channel": REPLY, "order": 0})
    layer.send("websocket.receive", {"reply_channel": REPLY, "order": 1, "text": "next"})
    assert receive(layer) == ({"close": True} if fails else {"accept": True})
    assert receive(layer)["text"] == "next"


@pytest.mark.parametrize("lacks", ["thread", "descriptors"])
def test_a_system_without_room_for_an_event_loop_fails_one_message(
    start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    """Its socket is answered, and its turn ends. The next one finds room."""
    failed: list[str] = []

    def fail(error: Exception, call: Callable[..., Any], *args: Any) -> Any:
        if failed or (lacks == "thread" and args[0].name != "asynchronous"):
            return call(*args)
        failed.append(lacks)
        raise error

    layer = layer_with({"websocket.connect": enforce_ordering(echo), "websocket.receive": enforce_ordering(echo)})
    start_workers(layer)
    start, new_event_loop = threading.Thread.start, asyncio.new_event_loop
    if lacks == "thread":
        no_thread = RuntimeError("can't start new thread")
        monkeypatch.setattr(threading.Thread, "start", lambda thread: fail(no_thread, start, thread))
    else:
        no_file = OSError(errno.EMFILE, "Too many open files")
        monkeypatch.setattr(asyncio, "new_event_loop", lambda: fail(no_file, new_event_loop))
    layer.send("websocket.connect", {"reply_channel": REPLY, "order": 0, "text": "no room"})
    assert receive(layer) == {"close": True}
    layer.send("websocket.receive", {"reply_channel": REPLY, "order": 1, "text": "room"})
    assert receive(layer)["text"] == "room"
    assert failed == [lacks]


def test_one_that_has_changed_its_message_is_named(start_workers: StartWorkers, held: Held) -> None:
    """A worker that stops names what it does not wait for, whatever the consumer has put into its message."""

    async def consumer(message: Message) -> None:
        message["path"] = 5
        await held(message)

    layer = layer_with({"slow": consumer})
    group = start_workers(layer, stop_timeout=0.01)
    layer.send("slow", {"reply_channel": REPLY, "text": "one", "path": "/a"})
    assert receive(layer)["text"] == "begun one"
    [text] = group.stop()
    assert text.startswith(f"slow ({__name__}.")


def test_each_channel_may_bring_one_more_than_the_concurrency(start_workers: StartWorkers, held: Held) -> None:
    """Only then is it known that its consumers are asynchronous. Each of these batches is held."""
    channels = [f"slow.{number}" for number in range(8)]
    layer = layer_with({**dict.fromkeys(channels, held), "test": echo_here})
    start_workers(layer, 1, concurrency=1)
    for channel in channels:
        layer.send(channel, {"reply_channel": REPLY, "text": channel})
        assert receive(layer)["text"] == f"begun {channel}"
    layer.send("test", {"reply_channel": REPLY, "text": "goes on"})
    assert receive(layer)["text"] == "goes on"
    held.go_on()
    assert {receive(layer)["text"] for _ in channels} == {f"ended {channel}" for channel in channels}


def echo_here(message: Message) -> None:
    message.reply_channel.send({"text": message["text"]})


def test_a_socket_that_it_does_not_answer_opens(start_workers: StartWorkers) -> None:
    async def connect(message: Message) -> None:
        await asyncio.sleep(0)

    layer = layer_with({"websocket.connect": connect})
    start_workers(layer)
    layer.send("websocket.connect", {"reply_channel": REPLY})
    assert receive(layer) == {"accept": True}


def test_a_failed_request_has_its_answer(start_workers: StartWorkers) -> None:
    layer = layer_with({"http.request": raising(ValueError())})
    start_workers(layer)
    layer.send("http.request", {"reply_channel": REPLY})
    assert receive(layer)["status"] == 500


def test_it_may_be_put_back(start_workers: StartWorkers) -> None:
    async def consumer(message: Message) -> None:
        if message.get("__retries__", 0) < 2:
            raise ConsumeLater
        message.reply_channel.send({"text": "at last"})

    layer = layer_with({"test": enforce_ordering(consumer)})
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY, "order": 0})
    assert receive(layer)["text"] == "at last"


def test_ordered_messages_run_one_after_another(start_workers: StartWorkers) -> None:
    at_once: list[int] = []
    most: list[int] = []

    @enforce_ordering
    async def consumer(message: Message) -> None:
        at_once.append(1)
        most.append(len(at_once))
        message.channel_session["count"] = message.channel_session.get("count", 0) + 1
        await asyncio.sleep(0.002)
        at_once.pop()
        message.reply_channel.send({"order": message["order"], "count": message.channel_session["count"]})

    layer = layer_with({"test": consumer})
    start_workers(layer, 3)
    for order in reversed(range(20)):
        layer.send("test", {"reply_channel": REPLY, "order": order})
    received = [receive(layer) for _ in range(20)]
    assert [(one["order"], one["count"]) for one in received] == [(order, order + 1) for order in range(20)]
    assert set(most) == {1}


async def blocks() -> None:
    time.sleep(0.3)


async def when_cancelled() -> None:
    try:
        await asyncio.sleep(DEADLINE)
    except asyncio.CancelledError:
        time.sleep(0.3)


@pytest.mark.parametrize(
    "block",
    [
        blocks,
        lambda: asyncio.wait_for(blocks(), DEADLINE),
        lambda: asyncio.gather(blocks(), asyncio.sleep(0)),
        lambda: asyncio.wait_for(when_cancelled(), 0.001),
    ],
    ids=["itself", "within a time", "with others", "when it is cancelled"],
)
def test_a_consumer_that_blocks_the_loop_is_named(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture, block: Callable[[], Any]
) -> None:
    async def rude(message: Message) -> None:
        with contextlib.suppress(TimeoutError):
            await block()
        message.reply_channel.send({"text": "done"})

    layer = layer_with({"test": rude})
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY})
    receive(layer)
    # The message is sent by another thread, which may be quicker than the warning.
    (text,) = eventually(lambda: [text for text in caplog.messages if "blocked" in text])
    assert "rude" in text
    assert "for 0." in text


def test_it_may_end_within_the_stop_timeout(start_workers: StartWorkers, held: Held) -> None:
    layer = layer_with({"test": held})
    group = start_workers(layer, stop_timeout=DEADLINE)
    layer.send("test", {"reply_channel": REPLY, "text": "1"})
    receive(layer)
    threading.Timer(0.05, held.go_on).start()
    assert group.stop() == []
    assert receive(layer)["text"] == "ended 1"
    assert held.cancelled == []


def test_it_is_cancelled_after_the_stop_timeout(
    start_workers: StartWorkers, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    layer = layer_with({"test": held})
    group = start_workers(layer, stop_timeout=0.1)
    for text in "12":
        layer.send("test", {"reply_channel": REPLY, "text": text, "path": "/here"})
        receive(layer)
    running = group.stop()
    assert len(running) == 2
    assert all("test /here" in text for text in running)
    assert all("Held" in text for text in running)
    assert sorted(held.cancelled) == ["1", "2"]


def test_signals_are_sent(start_workers: StartWorkers) -> None:
    seen: list[Any] = []

    def finished(**kwargs: Any) -> None:
        seen.append(threading.current_thread().name)

    layer = layer_with({"test": echo})
    start_workers(layer)
    consumer_finished.connect(finished)
    try:
        layer.send("test", {"reply_channel": REPLY, "text": "hello"})
        receive(layer)
    finally:
        consumer_finished.disconnect(finished)
    assert len(seen) == 1


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_orm_works_and_no_transaction_stays_open(
    start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    def begin() -> None:
        transaction.set_autocommit(False)
        connection.in_atomic_block = True

    async def leaves_open(message: Message) -> None:
        await sync_to_async(begin)()
        raise asyncio.CancelledError

    async def consumer(message: Message) -> None:
        await User.objects.acreate(username=message["text"])
        names = [user.username async for user in User.objects.order_by("username")]
        await message.reply_channel.asend({"names": names})

    layer = layer_with({"test": consumer, "http.request": leaves_open})
    start_workers(layer)
    layer.send("test", {"reply_channel": REPLY, "text": "one"})
    assert receive(layer)["names"] == ["one"]
    layer.send("http.request", {"reply_channel": REPLY})
    assert receive(layer)["status"] == 500
    layer.send("test", {"reply_channel": REPLY, "text": "two"})
    assert receive(layer)["names"] == ["one", "two"]
    assert "left a database transaction open" in caplog.text
