"""``WebsocketConsumer`` and ``JsonWebsocketConsumer``."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils.decorators import method_decorator

from channels_classic import Group, channel_layers, route_class
from channels_classic.auth import channel_session_user, channel_session_user_from_http
from channels_classic.exceptions import DenyConnection
from channels_classic.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from channels_classic.message import Message
from channels_classic.test import ChannelTestCase, Client, WSClient, apply_routes


def members(group: str) -> list[str]:
    names: list[str] = channel_layers["default"].group_channels(group)
    return names


class Echo(WebsocketConsumer):
    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        self.received = (text, bytes, kwargs)
        self.send(text=text, bytes=bytes)


class TestWebsocketConsumer(ChannelTestCase):
    def test_connect_accepts(self) -> None:
        client = Client()
        with apply_routes([Echo.as_route()]):
            client.send_and_consume("websocket.connect", {"path": "/"})
        assert client.receive() == {"accept": True}
        assert client.receive() is None

    def test_each_message_has_its_method(self) -> None:
        class Noting(WebsocketConsumer):
            def connect(self, message: Message, **kwargs: Any) -> None:
                self.called = ("connect", message, kwargs)

            def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
                self.called = ("receive", text, kwargs)

            def disconnect(self, message: Message, **kwargs: Any) -> None:
                self.called = ("disconnect", message["code"], kwargs)

        client = WSClient()
        with apply_routes([route_class(Noting, path=r"^/path/(?P<id>\d+)")]):
            connect = client.send_and_consume("websocket.connect", path="/path/1")
            receive = client.send_and_consume("websocket.receive", {"text": "hello"}, path="/path/2")
            disconnect = client.send_and_consume("websocket.disconnect", path="/path/3")
        assert connect.called == ("connect", connect.message, {"id": "1"})
        assert receive.called == ("receive", "hello", {"id": "2"})
        assert disconnect.called == ("disconnect", 1000, {"id": "3"})
        assert [consumer.path for consumer in (connect, receive, disconnect)] == ["/path/1", "/path/2", "/path/3"]

    def test_frames(self) -> None:
        client = Client()
        with apply_routes([route_class(Echo, path="^/(?P<id>.)")]):
            for frame in ({"text": "hello"}, {"text": ""}, {"bytes": b"\0"}, {"bytes": b""}):
                client.send_and_consume("websocket.receive", {"path": "/x", **frame})
                assert client.receive() == frame
            # What has the other kind as well, empty or None.
            client.send_and_consume("websocket.receive", {"path": "/x", "text": None, "bytes": b"1"})
            assert client.receive() == {"bytes": b"1"}

    def test_send_and_close(self) -> None:
        class Talking(WebsocketConsumer):
            def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
                self.send(text="1")
                self.send("2", close=True)
                self.send(bytes=b"3", close=4001)
                self.close()
                self.close(4002)
                self.close(status=True)
                with pytest.raises(ValueError, match="text or bytes"):
                    self.send()
                with pytest.raises(ValueError, match="text or bytes"):
                    self.send(close=True)

        client = Client()
        with apply_routes([Talking.as_route()]):
            client.send_and_consume("websocket.receive", {"path": "/", "text": ""})
        assert [client.receive() for _ in range(7)] == [
            {"text": "1"},
            {"text": "2", "close": True},
            {"bytes": b"3", "close": 4001},
            {"close": True},
            {"close": 4002},
            {"close": True},
            None,
        ]

    def test_group_send(self) -> None:
        client = Client()
        client.join_group("all")
        Echo.group_send("all", "text")
        Echo.group_send("all", bytes=b"bytes", close=True)
        assert [client.receive(), client.receive()] == [{"text": "text"}, {"bytes": b"bytes", "close": True}]
        with pytest.raises(ValueError, match="text or bytes"):
            Echo.group_send("all", close=True)

    def test_raw_methods_can_be_overridden(self) -> None:
        class Raw(Echo):
            def raw_receive(self, message: Message, **kwargs: Any) -> Any:
                if message["text"] != "ignore":
                    super().raw_receive(message, **kwargs)

        client = Client()
        with apply_routes([Raw.as_route()]):
            client.send_and_consume("websocket.receive", {"path": "/", "text": "ignore"})
            client.send_and_consume("websocket.receive", {"path": "/", "text": "do not"})
        assert client.receive() == {"text": "do not"}

    def test_mixins(self) -> None:
        class Greeting:
            greeting = "hello"

            def connect(self, message: Message, **kwargs: Any) -> None:
                super().connect(message, **kwargs)  # type: ignore[misc]
                self.send(text=self.greeting)  # type: ignore[attr-defined]

        class Greeter(Greeting, Echo):
            pass

        client = Client()
        with apply_routes([Greeter.as_route(attrs={"greeting": "moin"})]):
            client.send_and_consume("websocket.connect", {"path": "/"})
        assert [client.receive(), client.receive()] == [{"accept": True}, {"text": "moin"}]

    def test_a_message_that_does_not_come_from_a_socket(self) -> None:
        client = Client()
        with apply_routes([Echo.as_route()]), pytest.raises(ValueError, match="no reply_channel"):
            client.send_and_consume("websocket.connect", {"path": "/", "reply_channel": None})

    def test_the_groups_have_to_be_known_at_once(self) -> None:
        async def groups(self: Any, **kwargs: Any) -> list[str]:
            return []

        with pytest.raises(TypeError, match="must be a plain def"):
            type("Wrong", (WebsocketConsumer,), {"connection_groups": groups})

    def test_asynchronous_methods(self) -> None:
        class Socket(WebsocketConsumer):
            groups = ("room",)

            async def connect(self, message: Message, **kwargs: Any) -> None:
                await asyncio.sleep(0)
                if message["path"] == "/denied":
                    raise DenyConnection

            async def receive(self, text: str | None = None, **kwargs: Any) -> None:
                await asyncio.sleep(0)
                self.send(text=text)

            async def disconnect(self, message: Message, **kwargs: Any) -> None:
                await Group("gone").asend({"text": "gone"})

        client, denied = WSClient(), WSClient()
        with apply_routes([Socket.as_route()]):
            with pytest.raises(DenyConnection):
                denied.send_and_consume("websocket.connect", {"path": "/denied"})
            client.send_and_consume("websocket.connect", {"path": "/"})
            assert members("room") == [client.reply_channel]
            client.send_and_consume("websocket.receive", {"path": "/", "text": "hello"})
            assert client.receive(json=False) == "hello"
            Group("gone").add(client.reply_channel)
            client.send_and_consume("websocket.disconnect", {"path": "/"})
            assert client.receive(json=False) == "gone"
        assert members("room") == []


class TestGroups(ChannelTestCase):
    def test_a_socket_is_in_its_groups_while_it_is_open(self) -> None:
        class Member(WebsocketConsumer):
            groups = ["one", "two"]

            def connect(self, message: Message, **kwargs: Any) -> None:
                self.members = members("one")

            def disconnect(self, message: Message, **kwargs: Any) -> None:
                self.members = members("one")

        client = WSClient()
        with apply_routes([Member.as_route()]):
            assert client.send_and_consume("websocket.connect").members == [client.reply_channel]
            assert members("one") == members("two") == [client.reply_channel]
            assert client.send_and_consume("websocket.disconnect").members == []
        assert members("one") == members("two") == []

    def test_groups_from_the_route(self) -> None:
        class Member(WebsocketConsumer):
            def connection_groups(self, **kwargs: Any) -> list[str]:
                return [f"room-{kwargs['room']}"]

        ann, bob = WSClient(), WSClient()
        with apply_routes([Member.as_route(path="^/(?P<room>.+)$")]):
            ann.send_and_consume("websocket.connect", path="/a")
            bob.send_and_consume("websocket.connect", path="/b")
        assert (members("room-a"), members("room-b")) == ([ann.reply_channel], [bob.reply_channel])

    def test_a_denied_socket_is_in_no_group(self) -> None:
        class Denying(WebsocketConsumer):
            groups = ["secret"]

            def connect(self, message: Message, **kwargs: Any) -> None:
                raise DenyConnection

        class DenyingEarly(WebsocketConsumer):
            def connection_groups(self, **kwargs: Any) -> list[str]:
                raise DenyConnection

        for consumer in (Denying, DenyingEarly):
            client = WSClient()
            with apply_routes([consumer.as_route()]):
                with pytest.raises(DenyConnection):
                    client.send_and_consume("websocket.connect")
                assert members("secret") == []
                assert client.send_and_consume("websocket.disconnect").message["code"] == 1000

    def test_a_connect_that_fails_leaves_the_groups(self) -> None:
        class Failing(WebsocketConsumer):
            groups = ["secret"]

            def connect(self, message: Message, **kwargs: Any) -> None:
                raise KeyError("bug")

        with apply_routes([Failing.as_route()]), pytest.raises(KeyError):
            WSClient().send_and_consume("websocket.connect")
        assert members("secret") == []

    def test_a_str_instead_of_a_list_of_groups(self) -> None:
        routes = [WebsocketConsumer.as_route({"groups": "abc"})]
        with apply_routes(routes), pytest.raises(TypeError, match="'abc'"):
            WSClient().send_and_consume("websocket.connect")


class TestUsersAndOrder(ChannelTestCase):
    def sockets(self, **attrs: Any) -> tuple[WSClient, list[Any]]:
        client = WSClient(ordered=True)
        client.force_login(get_user_model().objects.create_user("ann"))
        with apply_routes([WebsocketConsumer.as_route(attrs)]):
            return client, [
                client.send_and_consume("websocket.connect"),
                client.send_and_consume("websocket.receive", text="x"),
                client.send_and_consume("websocket.disconnect"),
            ]

    def test_http_user(self) -> None:
        _, consumers = self.sockets(http_user=True)
        assert [consumer.message.user.username for consumer in consumers] == ["ann"] * 3

    def test_http_user_and_session(self) -> None:
        client, consumers = self.sockets(http_user_and_session=True)
        assert [consumer.message.user.username for consumer in consumers] == ["ann"] * 3
        assert {consumer.message.http_session.session_key for consumer in consumers} == {
            client.session.session_key
        }

    def test_neither(self) -> None:
        _, consumers = self.sockets()
        assert not any(hasattr(consumer.message, "user") for consumer in consumers)

    def test_decorators_on_methods(self) -> None:
        """They work with Django's ``method_decorator``, as the documents of Channels 1 advise, and without."""
        seen = []

        class Decorated(WebsocketConsumer):
            @method_decorator(channel_session_user_from_http)
            def connect(self, message: Message, **kwargs: Any) -> None:
                seen.append(message.user.username)
                super().connect(message, **kwargs)

            @channel_session_user
            def raw_receive(self, message: Message, **kwargs: Any) -> None:
                seen.append(message.user.username)

        client = WSClient(ordered=True)
        client.force_login(get_user_model().objects.create_user("ann"))
        with apply_routes([Decorated.as_route()]):
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text="x")
        assert seen == ["ann", "ann"]

    def test_flags_do_not_spread(self) -> None:
        self.sockets(http_user_and_session=True, strict_ordering=True)
        flags = ("http_user", "http_user_and_session", "channel_session_user", "strict_ordering")
        assert not any(getattr(WebsocketConsumer, flag) for flag in flags)

    def test_strict_ordering(self) -> None:
        client = WSClient()
        with apply_routes([WebsocketConsumer.as_route({"strict_ordering": True})]):
            client.send("websocket.receive", {"order": 1, "text": "1"})
            client.send("websocket.connect", {"order": 0})
            client.consume("websocket.receive")
            assert client.consume("websocket.receive", fail_on_none=False) is None
            client.consume("websocket.connect")
            assert client.consume("websocket.receive").message["order"] == 1

    def test_slight_ordering(self) -> None:
        client = WSClient()
        with apply_routes([WebsocketConsumer.as_route({"slight_ordering": True})]):
            client.send("websocket.receive", {"order": 2, "text": "2"})
            client.consume("websocket.receive")
            assert client.consume("websocket.receive", fail_on_none=False) is None
            client.send_and_consume("websocket.connect", {"order": 0})
            assert client.consume("websocket.receive").message["order"] == 2


class JsonEcho(JsonWebsocketConsumer):
    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.received = content
        self.send(content)


class TestJsonWebsocketConsumer(ChannelTestCase):
    def test_frames_are_json(self) -> None:
        client = WSClient()
        with apply_routes([JsonEcho.as_route()]):
            for content in ({"a": [1, None]}, [], "text", 0, None, False):
                consumer = client.send_and_consume("websocket.receive", {"text": json.dumps(content)})
                assert consumer.received == content
                assert json.loads(client.receive(json=False)) == content

    def test_group_send_and_close(self) -> None:
        client = Client()
        client.join_group("all")
        JsonEcho.group_send("all", {"a": 1})
        JsonEcho.group_send("all", [], close=True)
        assert [client.receive(), client.receive()] == [{"text": '{"a": 1}'}, {"text": "[]", "close": True}]

    def test_a_format_of_its_own(self) -> None:
        class Shouting(JsonEcho):
            @classmethod
            def decode_json(cls, text: str) -> Any:
                return {key.upper(): value for key, value in json.loads(text).items()}

            @classmethod
            def encode_json(cls, content: Any) -> str:
                return json.dumps({key.lower(): value for key, value in content.items()})

        client = WSClient()
        client.join_group("all")
        with apply_routes([Shouting.as_route()]):
            assert client.send_and_consume("websocket.receive", text={"key": "x"}).received == {"KEY": "x"}
        assert client.receive() == {"key": "x"}
        Shouting.group_send("all", {"KEY": "VALUE"})
        assert client.receive() == {"key": "VALUE"}

    def refused(self, **frame: Any) -> str:
        """The error that the client gets."""
        client = Client()
        with apply_routes([JsonEcho.as_route()]), self.assertLogs("django.channels", "WARNING") as log:
            client.send_and_consume("websocket.receive", {"path": "/socket", **frame})
        answer = json.loads(client.receive()["text"])
        assert client.receive() is None
        assert answer.keys() == {"error"}
        assert log.output == [f"WARNING:django.channels:A frame for /socket was refused: {answer['error']}"]
        return str(answer["error"])

    def test_frames_that_are_not_json(self) -> None:
        assert self.refused(text="{") == (
            "This frame is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
        )
        assert self.refused(text="").startswith("This frame is not JSON")
        for text in ("[" * 100_000, "9" * 10_000, "NaN"):
            assert self.refused(text=text).startswith("This frame is not JSON that can be read")

    def test_a_binary_frame(self) -> None:
        assert "binary frame" in self.refused(bytes=b"{}")

    def test_a_format_of_its_own_tells_nothing_of_itself(self) -> None:
        class Strict(JsonEcho):
            @classmethod
            def decode_json(cls, text: str) -> Any:
                raise ValueError("the key is k3y")

        client = WSClient()
        with apply_routes([Strict.as_route()]), self.assertLogs("django.channels", "WARNING"):
            client.send_and_consume("websocket.receive", {"text": "x"})
        assert client.receive() == {"error": "This frame is not JSON that can be read."}
