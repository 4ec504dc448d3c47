"""Whole traces: an interface server, workers, and Redis between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from channels_classic import Channel, Group
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import ConsumeLater, DenyConnection
from channels_classic.message import Message
from channels_classic.tracing import FIELD
from channels_classic.tracing.field import NOT_RECORDED
from interface_server.tracing import ClientTracing
from tests.channels_classic.tracing.spans import Spans
from tests.conftest import LayerOn
from tests.interface_server.hosted import DEADLINE, Hosted, eventually
from worker import WorkerGroup
from worker.tracing import ConsumerTracing

Serve = Callable[[dict[str, Any]], Hosted]

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def serve(redis_url: str, layer_on: LayerOn) -> Iterator[Serve]:
    """Starts an interface server and workers with this routing, all of them traced."""
    with ExitStack() as stack:

        def start(routing: dict[str, Any]) -> Hosted:
            clients, consumers = (
                layer_on([redis_url], prefix="traced:", stats_prefix="traced-meta:") for _ in range(2)
            )
            layer = ChannelLayerWrapper(consumers, "default", routing)
            tracing = ConsumerTracing(layer.router)
            stack.enter_context(tracing.listening())
            group = WorkerGroup(layer, 2, signal_handlers=False, on_error=tracing.failed)
            group.start()
            stack.callback(group.stop)
            return stack.enter_context(Hosted(clients, tracing=ClientTracing()))

        yield start


def accept(message: Message) -> None:
    Group("all", channel_layer=message.channel_layer).add(message.reply_channel)


def answer(message: Message) -> None:
    message.reply_channel.send({"status": 201, "content": b"made"})


def test_a_request(serve: Serve, spans: Spans) -> None:
    hosted = serve({"http.request": answer})
    headers = {"traceparent": TRACEPARENT}
    assert hosted.get("/page?token=sesame&page=2", headers=headers).result(DEADLINE).text == "made"
    served, delivered = spans.one("GET"), spans.one("deliver")
    consumer = f"{__name__}.answer"
    assert spans.tree(int(TRACE, 16)) == {
        "GET": "",
        "queue http.request": "GET",
        consumer: "GET",
        "send reply": consumer,
        "deliver": "send reply",
    }
    assert served.kind is SpanKind.SERVER
    assert served.parent
    assert served.parent.span_id == int(SPAN, 16)
    assert served.attributes
    assert served.attributes["http.response.status_code"] == 201
    assert served.attributes["url.path"] == "/page"
    assert served.attributes["url.query"] == "token=***&page=2"
    assert spans.one(consumer).kind is SpanKind.CONSUMER
    # One search by the id that the log has finds the whole story.
    ((_, _, details),) = hosted.access
    ids = [span.attributes["channels_classic.client"] for span in spans.all if span.attributes]
    assert ids == [details["client"]] * 5
    queue = spans.one("queue http.request")
    assert served.start_time <= queue.start_time <= queue.end_time <= delivered.end_time  # type: ignore[operator]


def test_a_socket(serve: Serve, spans: Spans) -> None:
    def speak(message: Message) -> None:
        Group("all", channel_layer=message.channel_layer).send({"text": message["text"]})
        Channel("log", channel_layer=message.channel_layer).send({"text": message["text"]}, immediately=True)

    def log(message: Message) -> None:
        assert message["text"] == "hello"

    hosted = serve({"websocket.connect": accept, "websocket.receive": speak, "log": log})
    clients = [hosted.dial().result(DEADLINE) for _ in range(3)]
    clients[0].send("hello")
    assert [client.recv(DEADLINE) for client in clients] == ["hello"] * 3
    frame = spans.one("websocket.receive").context.trace_id
    speaks, logs = (f"{__name__}.test_a_socket.<locals>.{name}" for name in ("speak", "log"))
    spans.one(logs)
    assert dict(spans.one("deliver", frame).attributes or {})["channels_classic.clients"] == 3
    assert spans.tree(frame) == {
        "websocket.receive": "",
        "queue websocket.receive": "websocket.receive",
        speaks: "websocket.receive",
        "send group": speaks,
        "deliver": "send group",
        "send log": speaks,
        "queue log": "send log",
        logs: "send log",
    }
    assert dict(spans.one("send group").attributes or {})["messaging.destination.name"] == "all"
    handshakes = eventually(lambda: len(found := spans.named("websocket.connect")) == 3 and found)
    for handshake in handshakes:
        assert handshake.attributes["http.response.status_code"] == 101
        assert spans.tree(handshake.context.trace_id)["send reply"] == f"{__name__}.accept"
    clients[1].close()
    assert spans.one("websocket.disconnect").kind is SpanKind.SERVER


class Textless(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def test_an_error_that_has_no_text_is_answered_and_marked(serve: Serve, spans: Spans) -> None:
    def fail(message: Message) -> None:
        raise Textless

    hosted = serve({"http.request": fail})
    assert hosted.get().result(DEADLINE).status_code == 500
    failed = spans.one(f"{__name__}.test_an_error_that_has_no_text_is_answered_and_marked.<locals>.fail")
    assert failed.status.description == "Textless"


def test_what_fails_is_marked(serve: Serve, spans: Spans) -> None:
    def fail(message: Message) -> None:
        raise RuntimeError("a bug")

    def deny(message: Message) -> None:
        raise DenyConnection

    hosted = serve({"http.request": fail, "websocket.connect": deny})
    assert hosted.get().result(DEADLINE).status_code == 500
    assert spans.one("GET").status.status_code is StatusCode.ERROR
    failed = spans.one(f"{__name__}.test_what_fails_is_marked.<locals>.fail")
    assert failed.status.status_code is StatusCode.ERROR
    assert [dict(event.attributes or {})["exception.message"] for event in failed.events] == ["a bug"]
    with pytest.raises(Exception, match="403"):
        hosted.dial().result(DEADLINE)
    assert dict(spans.one("websocket.connect").attributes or {})["channels_classic.rejected"]
    denied = spans.one(f"{__name__}.test_what_fails_is_marked.<locals>.deny")
    assert denied.status.status_code is StatusCode.UNSET  # it did what it should


def test_asynchronous_consumers_and_messages_that_are_put_back(serve: Serve, spans: Spans) -> None:
    async def speak(message: Message) -> None:
        await message.reply_channel.asend({"text": message["text"]})
        if message["text"] == "fail":
            raise RuntimeError("a bug")

    seen = []

    def later(message: Message) -> None:
        seen.append(message)
        if len(seen) == 1:
            raise ConsumeLater

    hosted = serve({"websocket.connect": later, "websocket.receive": speak})
    client = hosted.dial().result(DEADLINE)
    for text in ("hello", "fail"):
        client.send(text)
        assert client.recv(DEADLINE) == text
    name = f"{__name__}.test_asynchronous_consumers_and_messages_that_are_put_back.<locals>"
    well, ill = eventually(lambda: len(found := spans.named(f"{name}.speak")) == 2 and found)
    assert (well.status.status_code, ill.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    for frame in spans.named("websocket.receive"):
        assert spans.tree(frame.context.trace_id)["deliver"] == "send reply"
    handshake = spans.one("websocket.connect")
    both = spans.named(f"{name}.later")
    assert {span.context.trace_id for span in both} == {handshake.context.trace_id}
    assert spans.tree(handshake.context.trace_id)["send websocket.connect"] == f"{name}.later"
    assert {span.name for span in spans.all if span.name.startswith("send ")} == {
        "send reply",
        "send websocket.connect",
    }


def test_a_reader_that_does_not_trace_sees_the_field_and_nothing_else(
    redis_url: str, spans: Spans, caplog: pytest.LogCaptureFixture, layer_on: LayerOn
) -> None:
    layer = layer_on([redis_url], prefix="field:", stats_prefix="field-meta:")
    with Hosted(layer, tracing=ClientTracing()) as hosted:
        client, reply_channel = hosted.open("/path")
        client.send("hello")
        content = hosted.receive("websocket.receive")
        field = content.pop(FIELD)
        assert content == {"reply_channel": reply_channel, "path": "/path", "order": 1, "text": "hello"}
        frame = spans.one("websocket.receive").context
        ids = [f"{frame.trace_id:032x}", f"{frame.span_id:016x}"]
        assert field["headers"]["traceparent"].split("-")[1:3] == ids
        # And the other way round: a server that does not trace gets the field from a worker that does.
        hosted.send(reply_channel, text="hello", **{FIELD: field})
        assert client.recv(DEADLINE) == "hello"
        hosted.send(reply_channel, **{FIELD: field})  # an empty message, which is ignored in silence
        # Whatever somebody writes there is nobody's problem.
        wrong_headers = {"traceparent": 7, "tracestate": "=;,=", "baggage": "%%%"}
        for wrong in (None, 7, [], {}, {"headers": 1, "sent": 2}, {"headers": wrong_headers, "sent": -1}):
            hosted.send(reply_channel, text="again", **{FIELD: wrong})
            assert client.recv(DEADLINE) == "again"
        assert [record for record in caplog.records if record.name == "django.channels"] == []
        will = layer._transport.run(layer._sockets.channels(reply_channel.partition("!")[0]))
        assert will == [reply_channel]
        assert [span.name for span in spans.all if span.name == "websocket.disconnect"] == []
    layer.flush()


def test_the_largest_message_still_goes(serve: Serve, spans: Spans) -> None:
    largest = 2**20 - len('{"text":""}')

    def speak(message: Message) -> None:
        Channel(message.reply_channel.name, channel_layer=message.channel_layer).send({"text": "x" * largest})

    hosted = serve({"websocket.connect": accept, "websocket.receive": speak})
    client = hosted.dial(max_size=None).result(DEADLINE)
    client.send("hello")
    assert client.recv(DEADLINE) == "x" * largest


def test_sends_outside_of_any_span_carry_nothing(serve: Serve, spans: Spans) -> None:
    seen: list[dict[str, Any]] = []
    hosted = serve({"jobs": lambda message: seen.append(message.content)})
    layer = hosted.layer
    Channel("jobs", channel_layer=layer).send({"number": 1})
    eventually(lambda: len(seen) == 1)
    with trace.get_tracer("of a project").start_as_current_span("cron") as cron:
        Channel("jobs", channel_layer=layer).send({"number": 2})
    eventually(lambda: len(seen) == 2)
    assert [FIELD in content for content in seen] == [False, True]
    consumers = [span for span in spans.all if span.kind is SpanKind.CONSUMER]
    assert consumers[0].parent is None
    assert consumers[1].context.trace_id == cron.get_span_context().trace_id


def test_a_trace_that_is_not_recorded_leaves_a_mark_only(serve: Serve, spans: Spans) -> None:
    """The decision is the client's. Nobody downstream begins a trace of its own instead."""
    seen: list[tuple[object, bool]] = []

    def note(message: Message) -> None:
        seen.append((message.content.get(FIELD), trace.get_current_span().get_span_context().trace_flags.sampled))

    def begin(message: Message) -> None:
        note(message)
        layer = message.channel_layer
        Channel("next", channel_layer=layer).send({})
        Group("more", channel_layer=layer).add("after")
        Group("more", channel_layer=layer).send({})
        message.reply_channel.send({"status": 201, "content": b"made"})

    hosted = serve({"http.request": begin, "next": note, "after": note})
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
    assert hosted.get("/", headers=headers).result(DEADLINE).text == "made"
    eventually(lambda: len(seen) == 3)
    assert seen == [(NOT_RECORDED, False)] * 3
    assert hosted.get("/").result(DEADLINE).text == "made"  # a trace that is recorded comes after it
    spans.one("deliver")
    assert len({span.context.trace_id for span in spans.all}) == 1
