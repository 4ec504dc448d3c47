"""``WebsocketDemultiplexer`` and ``WebsocketMultiplexer``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from hypothesis import given
from hypothesis import strategies as st

from channels_classic import route_class
from channels_classic.exceptions import DenyConnection, SendNotAvailableOnDemultiplexer
from channels_classic.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from channels_classic.message import Message
from channels_classic.sessions import enforce_ordering
from channels_classic.test import ChannelTestCase, Client, WSClient, apply_routes, in_memory_layers
from tests.channels_classic.generic.test_frames import contents


class Stream(JsonWebsocketConsumer):
    def connect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
        multiplexer.send({"connected": kwargs})

    def receive(self, content: Any, multiplexer: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
        multiplexer.send({"received": content})

    def disconnect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
        multiplexer.send({"disconnected": message["code"]})


class Streams(WebsocketDemultiplexer):
    consumers = {"a": Stream, "b": Stream}


def frame(stream: Any, payload: Any) -> dict[str, Any]:
    return {"stream": stream, "payload": payload}


class TestDemultiplexer(ChannelTestCase):
    def test_connect_and_disconnect_are_for_all(self) -> None:
        client = WSClient()
        with apply_routes([route_class(Streams, path=r"^/(?P<id>\d+)$")]):
            client.send_and_consume("websocket.connect", path="/1")
            assert [client.receive(), client.receive(), client.receive()] == [
                frame("a", {"connected": {"id": "1"}}),
                frame("b", {"connected": {"id": "1"}}),
                None,
            ]
            client.send_and_consume("websocket.disconnect", path="/1")
        assert [client.receive(), client.receive()] == [
            frame("a", {"disconnected": 1000}),
            frame("b", {"disconnected": 1000}),
        ]

    def test_a_frame_is_for_its_stream(self) -> None:
        client = WSClient()
        with apply_routes([Streams.as_route()]):
            client.send_and_consume("websocket.receive", text=frame("b", {"text": "hello"}))
        assert [client.receive(), client.receive()] == [frame("b", {"received": {"text": "hello"}}), None]

    def test_accepted_once_if_nobody_sends(self) -> None:
        class Silent(JsonWebsocketConsumer):
            pass

        client = Client()
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": {"a": Silent, "b": Silent}})]):
            client.send_and_consume("websocket.connect", {"path": "/"})
        assert [client.receive(), client.receive()] == [{"accept": True}, None]

    def test_each_stream_can_deny(self) -> None:
        class Denying(JsonWebsocketConsumer):
            def connect(self, message: Message, **kwargs: Any) -> None:
                raise DenyConnection

        client = WSClient()
        routes = [WebsocketDemultiplexer.as_route({"consumers": {"a": JsonWebsocketConsumer, "b": Denying}})]
        with apply_routes(routes), pytest.raises(DenyConnection):
            client.send_and_consume("websocket.connect")
        assert [client.receive(), client.receive()] == [{"close": True}, None]

    def test_functions_can_be_consumers(self) -> None:
        def consumer(message: Message, multiplexer: Any, **kwargs: Any) -> None:
            multiplexer.send([message.channel.name, json.loads(message.get("text", "null")), kwargs])

        client = WSClient()
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": {"f": consumer}}, path="^/(?P<id>.)")]):
            client.send_and_consume("websocket.receive", text=frame("f", {"x": 1}), path="/1")
        assert client.receive() == frame("f", ["websocket.receive", {"x": 1}, {"id": "1"}])

    def test_groups_of_the_whole_and_of_a_stream(self) -> None:
        routes = [
            Streams.as_route({"groups": ["whole"], "consumers": {"a": type("A", (Stream,), {"groups": ["part"]})}})
        ]
        client = WSClient()
        with apply_routes(routes):
            client.send_and_consume("websocket.connect")
            client.receive()
            WebsocketMultiplexer.group_send("whole", "a", {"n": 1})
            WebsocketMultiplexer.group_send("part", "b", {"n": 2}, close=True)
            assert client.receive() == frame("a", {"n": 1})
            assert super(WSClient, client).receive() == {"text": json.dumps(frame("b", {"n": 2})), "close": True}
            client.send_and_consume("websocket.disconnect")
            client.receive()
            for group in ("whole", "part"):
                WebsocketMultiplexer.group_send(group, "a", {"n": 3})
        assert client.receive() is None

    def test_one_streams_failure_does_not_keep_others_from_leaving(self) -> None:
        left = []

        class Failing(Stream):
            def disconnect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
                left.append(multiplexer.stream)
                if multiplexer.stream != "b":
                    raise KeyError(multiplexer.stream)

        client = WSClient()
        routes = [Streams.as_route({"consumers": dict.fromkeys("abc", Failing)})]
        logs = self.assertLogs("django.channels", "ERROR")
        with apply_routes(routes), logs as log, pytest.raises(KeyError, match="c"):
            client.send_and_consume("websocket.disconnect")
        assert left == ["a", "b", "c"]
        (line,) = log.output
        assert line.endswith("KeyError: 'a'")

    def test_a_multiplexer_of_its_own(self) -> None:
        class Lowering(WebsocketMultiplexer):
            @classmethod
            def encode_json(cls, content: Any) -> str:
                payload = {key.lower(): value for key, value in content["payload"].items()}
                return json.dumps({"stream": content["stream"], "payload": payload})

        client = WSClient()
        with apply_routes([Streams.as_route({"multiplexer_class": Lowering})]):
            client.send_and_consume("websocket.receive", text=frame("a", {"X": 1}))
        assert client.receive() == frame("a", {"received": {"X": 1}})
        assert Lowering.encode("s", {"BIG": 1}) == {"text": '{"stream": "s", "payload": {"big": 1}}'}


class TestNothingLeaks(ChannelTestCase):
    """Streams and sockets share no state, and leave none on classes."""

    def test_consumers_stay_as_they_are(self) -> None:
        class Plain(JsonWebsocketConsumer):
            def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
                self.send({"got": content})

        inside, alone = WSClient(), WSClient()
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": {"a": Plain}})]):
            inside.send_and_consume("websocket.connect")
            with pytest.raises(SendNotAvailableOnDemultiplexer, match="multiplexer.send"):
                inside.send_and_consume("websocket.receive", text=frame("a", {"x": 1}))
        with apply_routes([Plain.as_route()]):
            alone.send_and_consume("websocket.receive", text={"x": 1})
        assert alone.receive() == {"got": {"x": 1}}
        assert inside.receive() is None

    def test_a_stream_sees_nothing_of_another(self) -> None:
        seen = []

        class Writing(JsonWebsocketConsumer):
            def connect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
                seen.append((getattr(message, "note", None), message.get("note"), dict(kwargs)))
                message.note = message.content["note"] = kwargs["note"] = multiplexer.stream  # type: ignore[attr-defined]

            disconnect = connect  # type: ignore[assignment]

        client = WSClient()
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": {"a": Writing, "b": Writing}})]):
            consumer = client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.disconnect")
        assert seen == [(None, None, {})] * 4
        assert "note" not in consumer.message

    def test_a_streams_user_is_not_the_others(self) -> None:
        class WithUser(JsonWebsocketConsumer):
            http_user = True

        class Without(JsonWebsocketConsumer):
            def connect(self, message: Message, **kwargs: Any) -> None:
                assert not hasattr(message, "user")

        client = WSClient()
        client.force_login(get_user_model().objects.create_user("ann"))
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": {"a": WithUser, "b": Without}})]):
            client.send_and_consume("websocket.connect")

    def test_the_user_of_the_whole_is_everybodys_and_so_is_the_session(self) -> None:
        class Counting(JsonWebsocketConsumer):
            channel_session = True

            def receive(self, content: Any, multiplexer: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
                session = self.message.channel_session
                session["count"] = session.get("count", 0) + 1
                multiplexer.send([self.message.user.username, session["count"]])

        client = WSClient()
        client.force_login(get_user_model().objects.create_user("ann"))
        routes = [
            WebsocketDemultiplexer.as_route({"http_user": True, "consumers": {"a": Counting, "b": Counting}})
        ]
        with apply_routes(routes):
            client.send_and_consume("websocket.connect")
            for number, stream in enumerate("abba", 1):
                client.send_and_consume("websocket.receive", text=frame(stream, {}))
                assert client.receive() == frame(stream, ["ann", number])
        assert client.channel_session["count"] == 4


class TestOrder(ChannelTestCase):
    """A socket numbers its messages across streams, so ordering applies to the whole socket."""

    def check(self, ordered: Any) -> None:
        client = WSClient(ordered=True)
        routes = [WebsocketDemultiplexer.as_route({"consumers": {"a": Stream, "b": ordered, "c": ordered}})]
        with apply_routes(routes):
            client.send_and_consume("websocket.connect", check_accept=False)
            while client.receive():
                pass
            for stream in "abcab":
                client.send_and_consume("websocket.receive", text=frame(stream, {}))
                assert client.receive() == frame(stream, {"received": {}})
            client.send("websocket.receive", text=frame("b", {}))
            message = client.get_next_message("websocket.receive")
            client.send_and_consume("websocket.receive", text=frame("a", {}))
            assert client.receive() is None
            client.channel_layer.send("websocket.receive", message.content)
            client.consume("websocket.receive")
            assert client.receive() == frame("b", {"received": {}})
            client.consume("websocket.receive")
            assert client.receive() == frame("a", {"received": {}})

    def test_a_class(self) -> None:
        self.check(type("Ordered", (Stream,), {"strict_ordering": True}))

    def test_a_function(self) -> None:
        @enforce_ordering
        def ordered(message: Message, multiplexer: Any, **kwargs: Any) -> None:
            if "text" in message:
                multiplexer.send({"received": json.loads(message["text"])})

        self.check(ordered)


def refused(content: Any) -> Any:
    """The error that a client gets for a frame without a stream."""
    client = WSClient()
    with apply_routes([Streams.as_route()]):
        client.send_and_consume("websocket.receive", {"text": json.dumps(content)})
    answer = client.receive()
    assert client.receive() is None
    assert answer.keys() == {"error"}
    return answer["error"]


class TestFramesForNobody(ChannelTestCase):
    def test_errors_that_the_client_gets(self) -> None:
        assert refused(frame("wrong", {})) == 'There is no stream "wrong" here.'
        assert refused(frame(["a"], {})) == 'There is no stream ["a"] here.'
        assert refused(frame("a", [1])) == 'The payload for stream "a" must be an object.'
        for content in ([], "a", None, 1, {}, {"stream": "a"}, {"payload": {}}):
            assert refused(content) == 'A frame here must be an object with "stream" and "payload".'

    def test_payloads_of_any_depth(self) -> None:
        """Deep payloads are refused. Either the consumer is called, or the client gets an error."""
        for depth in (1, 100, *range(800, 1000, 3), 10_000):
            client = WSClient()
            text = f'{{"stream": "a", "payload": {{"x": {"[" * depth}{"]" * depth}}}}}'
            with apply_routes([Streams.as_route()]):
                client.send_and_consume("websocket.receive", {"text": text})
            answer = client.receive()
            assert answer.keys() in ({"error"}, {"stream", "payload"})
            assert client.receive() is None

    def test_errors_for_the_client_are_short(self) -> None:
        assert len(refused(frame("x" * 100_000, {}))) < 200

    def test_the_mapping_of_before_channels_1(self) -> None:
        with pytest.raises(TypeError, match=r"Old.mapping, .* consumers = {'stream': TheConsumer}"):
            type("Old", (WebsocketDemultiplexer,), {"mapping": {"intval": "binding.intval"}})

    def test_a_subclass_that_calls_its_consumers_itself(self) -> None:
        class Forwarding(WebsocketDemultiplexer):
            consumers = [Stream]  # type: ignore[assignment]

            def connect(self, message: Message, **kwargs: Any) -> None:
                self.message.reply_channel.send({"accept": True})

            def receive(self, content: Any, **kwargs: Any) -> None:
                self.message.reply_channel.send({"text": content["payload"]})

        client = WSClient()
        with apply_routes([Forwarding.as_route()]):
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text={"payload": "a"})
        assert client.receive(json=False) == "a"

    def test_the_whole_has_no_send(self) -> None:
        class Wrong(Streams):
            def connect(self, message: Message, **kwargs: Any) -> None:
                self.send({"text": "x"})

        with apply_routes([Wrong.as_route()]), pytest.raises(SendNotAvailableOnDemultiplexer):
            WSClient().send_and_consume("websocket.connect")
        with pytest.raises(SendNotAvailableOnDemultiplexer, match="group_send"):
            Streams.group_send("name", "a", {})

    def test_a_plain_consumer_gets_the_payload_as_text(self) -> None:
        class Plain(WebsocketConsumer):
            def receive(self, text: Any = None, bytes: Any = None, multiplexer: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
                multiplexer.send(json.loads(text))

        client = WSClient()
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": {"p": Plain}})]):
            client.send_and_consume("websocket.receive", text=frame("p", {"x": 1}))
        assert client.receive() == frame("p", {"x": 1})


likely = st.fixed_dictionaries(
    {},
    optional={
        "stream": st.sampled_from(["a", "b", "c", ""]) | contents,
        "payload": st.dictionaries(st.text(), contents, max_size=3) | contents,
        "other": contents,
    },
)


@given(likely | contents)
def test_any_frame_is_for_its_stream_or_refused(content: Any) -> None:
    """There is always one answer, and only from the stream that the frame names."""
    with in_memory_layers(), apply_routes([Streams.as_route()]):
        client = WSClient.__new__(WSClient)
        Client.__init__(client)
        client.channel_layer.send(
            "websocket.receive",
            {"reply_channel": client.reply_channel, "path": "/", "text": json.dumps(content)},
        )
        Client.consume(client, "websocket.receive")
        answer, more = Client.receive(client), Client.receive(client)
    assert more is None
    answer = json.loads(answer["text"])
    if (
        isinstance(content, dict)
        and content.get("stream") in ("a", "b")
        and isinstance(content.get("payload"), dict)
    ):
        assert answer == frame(content["stream"], {"received": content["payload"]})
    else:
        assert answer.keys() == {"error"}


@given(st.text())
def test_any_text_is_answered_once(text: str) -> None:
    with in_memory_layers(), apply_routes([Streams.as_route()]):
        client = Client()
        client.send("websocket.receive", {"path": "/", "text": text})
        client.consume("websocket.receive")
        assert json.loads(client.receive()["text"]).keys() == {"error"}
        assert client.receive() is None
