"""Batches with asynchronous consumers end once, whoever comes to their end last."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections import Counter
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest
import redis

from channels_classic import Channel
from channels_classic.layers import InMemoryChannelLayer, LayerUnavailable, RedisChannelLayer
from channels_classic.message import Message
from channels_classic.routing import route
from tests.ordering.served import DEADLINE, wait_for
from tests.worker.conftest import REPLY, StartWorkers, layer_with, receive
from worker.completions import Completions


def echo(message: Message) -> None:
    message.reply_channel.send({"text": message["text"]})


async def aecho(message: Message) -> None:
    echo(message)


def test_who_is_told_that_all_is_settled_finds_it_so() -> None:
    """Otherwise a worker that stops would look too early, and wait for news until its time is over."""
    states: SimpleQueue[bool] = SimpleQueue()
    completions = Completions(InMemoryChannelLayer(), None, lambda: states.put(completions.is_at_work))
    completions.start()
    called = Event()
    completions.call(called.set)
    assert called.wait(DEADLINE)
    assert not states.get(timeout=DEADLINE)
    assert not states.get(timeout=DEADLINE)
    completions.stop()
    completions.thread.join(DEADLINE)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_consumer_that_ends_before_its_worker_leaves_the_batch(
    start_workers: StartWorkers, redis_url: str, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """All that it sent has arrived while another message of the batch still runs. Each message runs once."""
    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 10)
    runs: Counter[str] = Counter()

    async def quick(message: Message) -> None:
        runs[message["text"]] += 1
        Channel("arrived", channel_layer=layer).send({"text": message["text"]})

    def waits(message: Message) -> None:
        runs[message["text"]] += 1
        assert receive(layer, "arrived")["text"] == f"quick {message['text']}"
        message.reply_channel.send({"text": message["text"]})

    routing = [route("test", quick, kind="quick"), route("test", waits)]
    layer: Any = layer_with(routing, RedisChannelLayer(hosts=[redis_url]))
    for number in range(50):
        batch = [{"kind": "quick", "text": f"quick {number}"}, {"reply_channel": REPLY, "text": str(number)}]
        layer.send_batch([layer.prepare("test", message) for message in batch])
        if not number:
            start_workers(layer, threads)
        assert receive(layer)["text"] == str(number)
    assert set(runs.values()) == {1}


def test_a_batch_ends_although_the_layer_raised_something_unforeseen(
    start_workers: StartWorkers, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise its messages would stay in-flight until the process ends, and its taker would be lost."""
    failed, began, go = Event(), Event(), Event()

    class Unforeseen(RedisChannelLayer):
        """Fails when it is told for the first time that a held batch is done."""

        def receive_batch(self, channels: Any, limit: int, timeout: float = 0, taker: Any = None) -> Any:
            if limit == 1 and taker is not None and not failed.is_set():
                failed.set()
                raise RuntimeError("unforeseen")
            return super().receive_batch(channels, limit, timeout, taker)

    async def slow(message: Message) -> None:
        began.set()
        while not go.is_set():
            await asyncio.sleep(0.01)

    layer: Any = layer_with([route("test", slow)], Unforeseen(hosts=[redis_url]))
    layer.send("test", {})
    start_workers(layer, 1)
    assert began.wait(DEADLINE)
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("*inflight:*")
        go.set()
        wait_for(lambda: failed.is_set() and not client.keys("*inflight:*"))
    assert "unforeseen" in caplog.text


def test_consumers_that_ended_are_sent_for_although_a_worker_cannot_be_woken(
    start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is one that nobody foresaw. The worker looks by itself after a while."""
    monkeypatch.setattr("worker.handover.ATTEND_SECONDS", 0)
    monkeypatch.setattr("worker.loop.WAIT_SECONDS", 0.1)

    class Unforeseen(InMemoryChannelLayer):
        def send_batch(self, deliveries: Any) -> Any:
            if threading.current_thread().name == "asynchronous-sender" and "wake" in str(deliveries):
                raise RuntimeError("unforeseen")
            return super().send_batch(deliveries)

    async def slow(message: Message) -> None:
        await asyncio.sleep(0.01)
        echo(message)

    layer: Any = layer_with([route("test", slow)], Unforeseen())
    start_workers(layer, 1, concurrency=1)
    for number in range(5):
        layer.send("test", {"reply_channel": REPLY, "text": str(number)})
    assert [receive(layer)["text"] for _ in range(5)] == [str(number) for number in range(5)]
    assert "could not be woken" in caplog.text


def test_while_nothing_can_be_sent_no_more_consumers_begin_than_may_run(
    start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their batches stay in-flight until all that they sent is on its way. Others go on meanwhile."""
    monkeypatch.setattr("worker.handover.ATTEND_SECONDS", 0)
    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 1)
    is_full, runs = Event(), Counter[str]()
    is_full.set()

    class Full(InMemoryChannelLayer):
        """Takes nothing from asynchronous consumers for a while, as a Redis does that is full."""

        def send_and_receive(self, deliveries: Any, *args: Any, **kwargs: Any) -> Any:
            if is_full.is_set() and threading.current_thread().name == "asynchronous-sender":
                raise LayerUnavailable("It is full.", nothing_done=True)
            return super().send_and_receive(deliveries, *args, **kwargs)

    async def slow(message: Message) -> None:
        runs["slow"] += 1
        await asyncio.sleep(0.01)
        echo(message)

    layer: Any = layer_with({"slow": slow, "test": echo}, Full())
    start_workers(layer, 1, concurrency=2)
    texts = {str(number) for number in range(20)}
    for text in texts:
        layer.send("slow", {"reply_channel": REPLY, "text": text})
    wait_for(lambda: runs["slow"] == 2)
    for number in range(5):
        layer.send("test", {"reply_channel": REPLY, "text": f"other {number}"})
        assert receive(layer)["text"] == f"other {number}"
    assert runs["slow"] <= 3  # one more is taken before the worker knows that they are asynchronous
    is_full.clear()
    assert {receive(layer)["text"] for _ in texts} == texts


def test_a_worker_sends_for_the_consumers_of_its_batch(
    start_workers: StartWorkers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share its round trip, and begin as soon as it waits for them, without the help of a timer."""
    monkeypatch.setattr("worker.asynchronous.LOOK_SECONDS", 2 * DEADLINE)
    monkeypatch.setattr("worker.handover.ATTEND_SECONDS", DEADLINE)
    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 10)
    senders: Counter[str] = Counter()

    class Watched(RedisChannelLayer):
        """Notes which threads send."""

        def send_and_receive(self, deliveries: Any, *args: Any, **kwargs: Any) -> Any:
            senders[threading.current_thread().name] += bool(deliveries)
            return super().send_and_receive(deliveries, *args, **kwargs)

    layer: Any = layer_with([route("test", aecho)], Watched(hosts=[redis_url]))
    start_workers(layer, 1)
    for number in range(20):
        batch = [{"reply_channel": REPLY, "text": f"{number} {place}"} for place in range(10)]
        layer.send_batch([layer.prepare("test", message) for message in batch])
        # They end in any order if consumer_finished has a receiver, as it has where bindings are used.
        assert {receive(layer)["text"] for _ in batch} == {message["text"] for message in batch}
    assert "asynchronous-sender" not in senders


def test_messages_of_asynchronous_consumers_are_freed_without_the_garbage_collector(
    start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs seldom in a worker, and looking for them took a seventh of the worker's time."""
    # The thread that sends for a worker that is late keeps the last consumers until it has others.
    monkeypatch.setattr("worker.asynchronous.LOOK_SECONDS", 2 * DEADLINE)
    monkeypatch.setattr("worker.handover.ATTEND_SECONDS", DEADLINE)
    messages: list[weakref.ref[Message]] = []

    async def echo(message: Message) -> None:
        messages.append(weakref.ref(message))
        message.reply_channel.send({"text": message["text"]})

    layer = layer_with([route("test", echo)])
    gc.disable()
    try:
        start_workers(layer, 1)
        for number in range(20):
            layer.send("test", {"reply_channel": REPLY, "text": str(number)})
            assert receive(layer)["text"] == str(number)
        wait_for(lambda: all(message() is None for message in messages[:-1]))
    finally:
        gc.enable()


def test_another_host_knows_what_was_done_of_a_held_batch(
    start_workers: StartWorkers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot read the journal, but the last heartbeat says it. Only what was not done by then is lost."""
    monkeypatch.setattr("worker.pace.Pace.limit", lambda pace: 10)
    go = Event()

    async def slow(message: Message) -> None:
        while not go.is_set():
            await asyncio.sleep(0.01)

    layer: Any = layer_with(
        [route("test", slow, kind="slow"), route("test", echo)], RedisChannelLayer([redis_url])
    )
    batch = [{"kind": "echo", "reply_channel": REPLY, "text": str(number)} for number in range(4)]
    layer.send_batch([layer.prepare("test", message) for message in [*batch[:2], {"kind": "slow"}, *batch[2:]]])
    start_workers(layer, 1)
    assert [receive(layer)["text"] for _ in batch] == [message["text"] for message in batch]
    wait_for(lambda: [one.details.get("done") for one in layer.processes()] not in ([], [{}], [None]))
    [process] = layer.processes()
    swept = layer.sweep(process, lambda process: None)
    go.set()
    assert [lost.content["kind"] for lost in swept.lost] == ["slow"]
    assert (swept.back, swept.again) == (0, 0)
