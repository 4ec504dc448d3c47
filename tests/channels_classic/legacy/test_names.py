"""Names that only old code knows."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from channels_classic import auth, sessions
from channels_classic.channel import Channel
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.legacy.management.commands.runserver import WorkerThread
from channels_classic.legacy.names import (
    name_that_thing,
    pending_message_store,
    requeue_messages,
    wait_channel_name,
)
from channels_classic.pending import PendingSends
from channels_classic.signals import worker_ready
from tests.worker.conftest import eventually, layer_with, receive


class Example:
    def method(self) -> None: ...

    @classmethod
    def class_method(cls) -> None: ...


def test_name_that_thing() -> None:
    here = f"{__name__}.Example"
    for thing, name in (
        (Example, here),
        (Example(), here),
        (Example.method, f"{here}.method"),
        (Example().method, f"{here}.method"),
        (Example.class_method, f"{here}.class_method"),
        (name_that_thing, "channels_classic.legacy.names.name_that_thing"),
        (1, "builtins.int"),
    ):
        assert name_that_thing(thing) == name


@pytest.mark.parametrize(
    "decorator",
    [
        auth.channel_and_http_session_user_from_http,
        auth.channel_session_user,
        auth.channel_session_user_from_http,
        auth.http_session_user,
        sessions.channel_and_http_session,
        sessions.channel_session,
        sessions.enforce_ordering,
        sessions.http_session,
    ],
)
def test_decorators_take_the_consumer_by_its_old_name(decorator: Any) -> None:
    def consumer(message: object) -> None: ...

    assert decorator(func=consumer).__name__ == "consumer"


def test_wait_channel_name() -> None:
    assert wait_channel_name("websocket.send!abc") == "__wait__.websocket.send?abc"


def test_the_store_of_pending_messages() -> None:
    layer = InMemoryChannelLayer()
    channel = Channel("queue", channel_layer=layer)
    assert not pending_message_store.active
    pending_message_store.append(channel, {"number": 0})
    pending_message_store.send_and_flush()
    assert layer.receive(["queue"]) == ("queue", {"number": 0})
    with PendingSends() as sends:
        assert pending_message_store.active
        pending_message_store.append(channel, {"number": 1})
        assert layer.receive(["queue"]) == (None, None)
        pending_message_store.send_and_flush()
        assert layer.receive(["queue"]) == ("queue", {"number": 1})
    assert sends.deliveries == []


def test_the_store_of_pending_messages_outside_a_consumer() -> None:
    layer = InMemoryChannelLayer()
    pending_message_store.prepare(environ={})
    assert pending_message_store.active
    Channel("queue", channel_layer=layer).send({"number": 0})
    assert layer.receive(["queue"]) == (None, None)
    pending_message_store.send_and_flush()
    assert layer.receive(["queue"]) == ("queue", {"number": 0})
    assert not pending_message_store.active
    Channel("queue", channel_layer=layer).send({"number": 1})
    assert layer.receive(["queue"]) == ("queue", {"number": 1})


def test_messages_that_wait_need_no_help() -> None:
    assert requeue_messages(object()) is None


@pytest.mark.parametrize("number", [1, 2])
def test_worker_threads(number: int) -> None:
    started: list[object] = []

    def ready(sender: object, **kwargs: object) -> None:
        started.append(sender)

    worker_ready.connect(ready)
    layer = layer_with({"queue": lambda message: message.reply_channel.send({"done": True})})
    threads = [WorkerThread(layer, logging.getLogger("test")) for _ in range(number)]
    for thread in threads:
        thread.start()
    layer.send("queue", {"reply_channel": "interface.test!client"})
    assert receive(layer) == {"done": True}
    eventually(lambda: len(started) == number)
    for worker in started:
        worker.stop()  # type: ignore[attr-defined]
    for thread in threads:
        thread.join(60)
    worker_ready.disconnect(ready)
