"""One message and its consumer, with all possible ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.dispatch import Signal

from channels_classic import Group, route
from channels_classic.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from channels_classic.message import Message
from channels_classic.pending import PendingSends
from channels_classic.signals import consumer_finished, consumer_started
from tests.worker.conftest import REPLY, Consumer, is_empty, layer_with, receive
from worker.consume import SERVER_ERROR, consume

# Around a consumer the connections of its thread are looked at, and here that may be one of an earlier test.
pytestmark = pytest.mark.django_db

RETRIES = 10


class Sender:
    """Stands where the worker's class does, as the sender of signals."""


def run(consumer: Consumer, channel: str = "test", **content: Any) -> list[tuple[str, dict[str, Any]]]:
    """Run the consumer on a message. Returns the messages to send, as pairs of channel and content."""
    layer = layer_with({channel: consumer})
    message = Message({"reply_channel": REPLY, **content}, channel, layer)
    return sent(layer, consume(message, layer.router, RETRIES, Sender).deliveries)


def sent(layer: Any, deliveries: Any) -> list[tuple[str, dict[str, Any]]]:
    from channels_classic.layers.codec import unpack

    assert all(target is layer.channel_layer for target, _ in deliveries)
    return [(delivery.name, unpack(delivery.payload)) for _, delivery in deliveries]


def ignore(message: Message) -> None:
    pass


def fail(message: Message) -> None:
    raise RuntimeError("a bug in the consumer")


def deny(message: Message) -> None:
    raise DenyConnection


def greet(message: Message) -> None:
    message.reply_channel.send({"text": "hello"})  # type: ignore[union-attr]


def later(message: Message) -> None:
    raise ConsumeLater


def test_the_consumer_gets_the_message_and_the_groups_of_its_filters() -> None:
    got: list[Any] = []

    def consumer(message: Message, **kwargs: Any) -> None:
        got.append((message.content, kwargs))

    layer = layer_with([route("test", consumer, path=r"^/(?P<room>\w+)/")])
    consume(Message({"path": "/lobby/"}, "test", layer), layer.router, RETRIES, Sender)
    assert got == [({"path": "/lobby/"}, {"room": "lobby"})]


def test_what_it_sends_waits_until_it_is_done() -> None:
    layer = layer_with({})
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        for number in range(3):
            message.reply_channel.send({"text": str(number)})
        seen.append(is_empty(layer))
        message.reply_channel.send({"text": "now"}, immediately=True)
        seen.append(receive(layer))
        Group("everyone", channel_layer=layer).send({"text": "group"})

    layer.router.add_route(route("test", consumer))
    pending = consume(Message({"reply_channel": REPLY}, "test", layer), layer.router, RETRIES, Sender)
    assert seen == [True, {"text": "now"}]
    assert sent(layer, pending.deliveries) == [
        (REPLY, {"text": "0"}),
        (REPLY, {"text": "1"}),
        (REPLY, {"text": "2"}),
        ("everyone", {"text": "group"}),
    ]


# Accepting and denying.


def test_a_connect_that_nobody_answered_is_accepted() -> None:
    assert run(ignore, "websocket.connect") == [(REPLY, {"accept": True})]


def test_a_connect_that_was_answered_is_left_alone() -> None:
    assert run(greet, "websocket.connect") == [(REPLY, {"text": "hello"})]


def test_a_connect_that_was_answered_at_once_is_left_alone() -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"accept": False}, immediately=True)

    assert run(consumer, "websocket.connect") == []


def test_a_message_to_others_is_not_an_answer() -> None:
    def consumer(message: Message) -> None:
        Group("everyone", channel_layer=message.channel_layer).send({"text": "someone is here"})

    assert run(consumer, "websocket.connect")[-1] == (REPLY, {"accept": True})


def test_explicit_accept(settings: Any) -> None:
    settings.CHANNELS_EXPLICIT_ACCEPT = True
    assert run(ignore, "websocket.connect") == []
    settings.CHANNELS_EXPLICIT_ACCEPT = False
    assert run(ignore, "websocket.connect") == [(REPLY, {"accept": True})]


@pytest.mark.parametrize("channel", ["websocket.receive", "websocket.disconnect", "http.request", "test"])
def test_nothing_else_is_accepted(channel: str) -> None:
    assert run(ignore, channel) == []


def test_a_connect_without_a_reply_channel() -> None:
    assert run(ignore, "websocket.connect", reply_channel=None) == []
    assert run(deny, "websocket.connect", reply_channel=None) == []


def test_deny_connection() -> None:
    assert run(deny, "websocket.connect") == [(REPLY, {"close": True})]


def test_what_was_sent_before_deny_connection_goes_out_before_the_close() -> None:
    """As in Channels 1, the client can learn the reason. It sees a socket that opens and closes."""

    def explain_and_deny(message: Message) -> None:
        greet(message)
        raise DenyConnection

    assert run(explain_and_deny, "websocket.connect") == [(REPLY, {"text": "hello"}), (REPLY, {"close": True})]


def test_deny_connection_outside_of_connect_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    assert run(deny, "websocket.receive") == []
    text = caplog.records[0].getMessage()
    assert "tests.worker.test_consume.deny raised DenyConnection for a message on 'websocket.receive'" in text


# Exceptions that act on their message.


def test_a_socket_exception_is_run_with_the_message() -> None:
    class Tell(ChannelSocketException):
        def run(self, message: Message) -> None:
            assert message.reply_channel is not None
            message.reply_channel.send({"text": f"it was {message['text']}"})

    def consumer(message: Message) -> None:
        raise Tell

    assert run(consumer, "websocket.receive", text="late") == [(REPLY, {"text": "it was late"})]


@pytest.mark.parametrize(("code", "close"), [(None, True), (1000, 1000), (3000, 3000), (4999, 4999)])
def test_websocket_close_exception(code: int | None, close: Any) -> None:
    def consumer(message: Message) -> None:
        raise WebsocketCloseException(code)

    assert run(consumer, "websocket.receive") == [(REPLY, {"close": close})]
    assert run(consumer, "websocket.connect") == [(REPLY, {"close": close})]


@pytest.mark.parametrize("code", [0, 999, 1001, 1006, 2999, 5000])
def test_a_close_code_that_no_application_may_send(code: int) -> None:
    with pytest.raises(ValueError, match=f"not {code}"):
        WebsocketCloseException(code)


def test_a_socket_exception_that_fails_itself(caplog: pytest.LogCaptureFixture) -> None:
    def consumer(message: Message) -> None:
        raise ChannelSocketException("half-made")

    assert run(consumer) == []
    [record] = caplog.records
    assert "half-made" in record.getMessage()
    assert "consumer" in record.getMessage()
    assert "has to define run(message)" in str(record.exc_info)


def leave(message: Message) -> None:
    sys.exit("enough")


def cancel(message: Message) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    asyncio.run(cancelled())


def close_generator(message: Message) -> None:
    raise GeneratorExit


@pytest.mark.parametrize("consumer", [leave, cancel, close_generator])
@pytest.mark.parametrize(
    ("channel", "answer"),
    [("http.request", "status"), ("websocket.connect", "close"), ("websocket.receive", None)],
)
def test_system_exit_is_just_a_failed_consumer(
    caplog: pytest.LogCaptureFixture, consumer: Consumer, channel: str, answer: str | None
) -> None:
    left = run(consumer, channel)
    assert [(name, answer in content) for name, content in left] == ([(REPLY, True)] if answer else [])
    [record] = caplog.records
    assert f"Error in the consumer tests.worker.test_consume.{consumer.__name__} on" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[2] is not None


def test_a_socket_exception_that_would_end_the_program(caplog: pytest.LogCaptureFixture) -> None:
    class Leave(ChannelSocketException):
        def run(self, message: Message) -> None:
            sys.exit()

    def consumer(message: Message) -> None:
        raise Leave

    assert run(consumer) == []
    assert "failed when it was run" in caplog.records[0].getMessage()


def test_ctrl_c_is_for_the_program_but_the_client_is_answered() -> None:
    def interrupted(message: Message) -> None:
        raise KeyboardInterrupt

    layer = layer_with({"http.request": interrupted})
    pending = PendingSends()
    message = Message({"reply_channel": REPLY}, "http.request", layer)
    with pytest.raises(KeyboardInterrupt):
        consume(message, layer.router, RETRIES, Sender, pending=pending)
    assert [(name, content["status"]) for name, content in sent(layer, pending.deliveries)] == [(REPLY, 500)]


# Consuming later.


def test_consume_later_puts_the_message_back() -> None:
    layer = layer_with({"test": later})
    content: dict[str, Any] = {"reply_channel": REPLY, "text": "hello"}
    for number in range(1, RETRIES + 1):
        message = Message(content, "test", layer)
        pending = consume(message, layer.router, RETRIES, Sender)
        assert message.__doomed__ is False  # type: ignore[attr-defined]
        assert sent(layer, pending.deliveries) == [
            ("test", {"reply_channel": REPLY, "text": "hello", "__retries__": number})
        ]
        [(_, content)] = sent(layer, pending.deliveries)


def test_the_last_time_it_is_doomed_and_then_dropped(caplog: pytest.LogCaptureFixture) -> None:
    doomed = []

    def consumer(message: Message) -> None:
        doomed.append(message.__doomed__)  # type: ignore[attr-defined]
        raise ConsumeLater

    assert run(consumer, __retries__=RETRIES) == []
    assert doomed == [True]
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "A message on 'test' was dropped" in record.getMessage()
    assert "has put it back 10 times" in record.getMessage()


@pytest.mark.parametrize("number", ["many", None, b"1", [1]])
def test_a_count_that_is_no_number_fails_only_its_message(caplog: pytest.LogCaptureFixture, number: Any) -> None:
    called: list[Message] = []
    [(name, content)] = run(called.append, "http.request", __retries__=number)
    assert (name, content["status"]) == (REPLY, 500)
    assert called == []
    [record] = caplog.records
    assert "Error in the consumer" in record.getMessage()


def unsendable(message: Message) -> None:
    message["user"] = object()
    raise ConsumeLater


def much_larger(message: Message) -> None:
    message["text"] = "x" * 2**21
    raise ConsumeLater


@pytest.mark.parametrize("consumer", [unsendable, much_larger])
def test_a_message_that_cannot_be_put_back_has_its_answer(
    caplog: pytest.LogCaptureFixture, consumer: Consumer
) -> None:
    """Its consumer has changed it."""
    [(name, content)] = run(consumer, "http.request")
    assert (name, content["status"]) == (REPLY, 500)
    assert run(consumer, "websocket.connect") == [(REPLY, {"close": True})]
    assert "cannot put its message back on 'http.request'" in caplog.messages[0]


# Mistakes.


@pytest.mark.parametrize(
    ("channel", "answer"),
    [
        (
            "http.request",
            [(REPLY, {**SERVER_ERROR, "headers": [[b"content-type", b"text/plain; charset=utf-8"]]})],
        ),
        ("websocket.connect", [(REPLY, {"close": True})]),
        ("websocket.receive", []),
        ("websocket.disconnect", []),
        ("test", []),
    ],
)
def test_a_consumer_that_raises(caplog: pytest.LogCaptureFixture, channel: str, answer: Any) -> None:
    assert run(fail, channel) == answer
    [record] = caplog.records
    assert (record.name, record.levelname) == ("django.channels", "ERROR")
    assert record.getMessage() == f"Error in the consumer tests.worker.test_consume.fail on {channel!r}:"
    assert "a bug in the consumer" in str(record.exc_info)


@pytest.mark.parametrize("channel", ["http.request", "websocket.connect"])
def test_a_consumer_that_raises_after_it_answered(channel: str) -> None:
    def consumer(message: Message) -> None:
        greet(message)
        fail(message)

    assert run(consumer, channel) == [(REPLY, {"text": "hello"})]


@pytest.mark.parametrize(
    ("channel", "answer"),
    [
        ("http.request", {**SERVER_ERROR, "headers": [[b"content-type", b"text/plain; charset=utf-8"]]}),
        ("websocket.connect", {"close": True}),
        ("websocket.receive", None),
    ],
)
def test_a_message_that_no_route_matches(
    caplog: pytest.LogCaptureFixture, channel: str, answer: dict[str, Any] | None
) -> None:
    layer = layer_with([route(channel, ignore, path="^/elsewhere")])
    message = Message({"reply_channel": REPLY, "path": "/here"}, channel, layer)
    pending = consume(message, layer.router, RETRIES, Sender)
    assert sent(layer, pending.deliveries) == ([(REPLY, answer)] if answer else [])
    [record] = caplog.records
    assert f"No route matches a message on {channel!r} (path '/here')" in record.getMessage()
    assert "add one to the routing" in record.getMessage()


# Signals.


@contextmanager
def receiver(signal: Signal, call: Any) -> Iterator[None]:
    signal.connect(call, weak=False)
    try:
        yield
    finally:
        signal.disconnect(call)


@pytest.mark.parametrize("consumer", [ignore, fail, later, deny])
def test_signals_around_the_consumer(consumer: Consumer) -> None:
    events: list[Any] = []

    def around(message: Message) -> None:
        events.append("runs")
        consumer(message)

    with (
        receiver(consumer_started, lambda sender, environ, **_: events.append(("started", sender, environ))),
        receiver(consumer_finished, lambda sender, **_: events.append(("finished", sender))),
    ):
        run(around)
    assert events == [("started", Sender, {}), "runs", ("finished", Sender)]


@pytest.mark.parametrize("signal", [consumer_started, consumer_finished])
def test_a_receiver_of_a_signal_that_raises_ends_nothing(caplog: pytest.LogCaptureFixture, signal: Signal) -> None:
    def broken(**kwargs: Any) -> None:
        raise RuntimeError("a bug in a receiver")

    ran: list[Message] = []
    with receiver(signal, broken):
        run(ran.append)
    assert len(ran) == (signal is consumer_finished)
    assert any("a bug in a receiver" in str(record.exc_info) for record in caplog.records)


@dataclass
class WithoutHash:
    """Equal to others with the same text, so Python gives it no hash."""

    text: str

    def __call__(self, message: Message) -> None:
        message.reply_channel.send({"text": self.text})  # type: ignore[union-attr]


def test_a_consumer_without_a_hash(caplog: pytest.LogCaptureFixture) -> None:
    assert run(WithoutHash("hello")) == [(REPLY, {"text": "hello"})]
    assert not caplog.records
