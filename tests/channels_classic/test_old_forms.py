"""Names, patterns and messages in the forms of Channels 1, which are accepted or refused as a whole."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import override_settings

from channels_classic import channel_layers, old_forms
from channels_classic.channel import Channel, Group
from channels_classic.handler import AsgiHandler
from channels_classic.http.request import AsgiRequest
from channels_classic.layers import InMemoryChannelLayer, codec
from channels_classic.message import Message
from channels_classic.old_forms import in_standard_form
from channels_classic.routing import include, route
from channels_classic.sessions import http_session


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_forms, "accepted", True)
    monkeypatch.setattr(codec, "old_values", True)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_forms, "accepted", False)
    monkeypatch.setattr(codec, "old_values", False)


HAND_MADE = {
    "reply_channel": "test",
    "method": "GET",
    "path": b"/caf\xc3\xa9/",
    "query_string": "a=b&c=%C3%A9",
    "headers": {"Host": b"example.com", "cookie": "sessionid=abcdefgh12", "X-Other": "1"},
}


def message(content: dict[str, Any], channel: str | None = None) -> Message:
    return Message(content, channel, channel_layers["default"])  # type: ignore[arg-type]


def consumer(message: Message, **kwargs: Any) -> None:
    """To be found."""


@pytest.mark.usefixtures("accepted")
class TestAccepted:
    def test_names(self) -> None:
        assert Channel(b"http.request").name == "http.request"  # type: ignore[arg-type]
        assert Group(b"group").name == "group"  # type: ignore[arg-type]
        group = Group("group", channel_layer=InMemoryChannelLayer())
        group.add(b"member")  # type: ignore[arg-type]
        assert group.channel_layer.group_channels("group") == ["member"]
        group.discard(b"member")  # type: ignore[arg-type]
        assert group.channel_layer.group_channels("group") == []
        with pytest.raises(TypeError, match="channel name"):
            Channel(b"no name")  # type: ignore[arg-type]

    def test_routes(self) -> None:
        found = route(b"queue", consumer, path=rb"^/(?P<room>\w+)/")  # type: ignore[arg-type]
        assert found.match(message({"path": "/lobby/"}, "queue")) == (consumer, {"room": "lobby"})
        assert route([b"a", "b"], consumer).channels == {"a", "b"}  # type: ignore[list-item]
        compiled = re.compile(rb"^/A\w", re.IGNORECASE)
        inner = include([route("queue", consumer, path="^b")], path=compiled)  # type: ignore[arg-type]
        assert inner.match(message({"path": "/axb"}, "queue")) == (consumer, {})
        assert inner.match(message({"path": "/a\u00e9b"}, "queue")) is None

    def test_a_consumer_that_takes_no_message_is_told_of_when_it_is_called(self) -> None:
        def nothing() -> None: ...

        assert route("queue", nothing).match(message({}, "queue")) == (nothing, {})

    def test_a_request(self) -> None:
        request = AsgiRequest(message(HAND_MADE))
        assert request.path == "/caf\u00e9/"
        assert request.GET.dict() == {"a": "b", "c": "\u00e9"}
        assert request.META["HTTP_HOST"] == "example.com"
        assert request.META["HTTP_X_OTHER"] == "1"
        assert request.COOKIES == {"sessionid": "abcdefgh12"}

    @pytest.mark.parametrize("channel", ["http.request", b"http.request", "websocket.connect"])
    def test_without_a_reply_channel_the_channel_says_that_it_is_a_client_s(self, channel: str) -> None:
        content = {key: value for key, value in HAND_MADE.items() if key != "reply_channel"}
        assert AsgiRequest(message(content, channel)).path == "/caf\u00e9/"

    def test_a_session(self) -> None:
        with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache"):
            session_key = http_session(lambda message: message.http_session.session_key)
            assert session_key(message(HAND_MADE)) == "abcdefgh12"

    def test_messages_that_do_not_come_from_clients_do_not_change(self) -> None:
        content = {"path": b"/tmp/\xff", "headers": {"a": "b"}, "query_string": "a"}
        assert message(content, "crawl").content is content
        standard = {"reply_channel": "a", "path": "/", "query_string": b"", "headers": [[b"host", b"a"]]}
        assert message(standard).content is standard

    def test_headers_are_as_written(self) -> None:
        response = HttpResponse("x", content_type="text/plain", headers={"X-Some-Thing": "a"})
        response.set_cookie("a", "b")
        [reply] = AsgiHandler.encode_response(response)
        assert reply["headers"] == [
            (b"X-Some-Thing", b"a"),
            (b"Content-Type", b"text/plain"),
            (b"Set-Cookie", b"a=b; Path=/"),
        ]

    def test_values(self) -> None:
        layer = InMemoryChannelLayer()
        content = {
            1: {-(2**63): "a", 2**64 - 1: "b"},
            "large": 2**64 - 1,
            "bytes": [bytearray(b"a"), memoryview(b"b")],
        }
        layer.send("queue", content)
        assert layer.receive(["queue"])[1] == {
            1: {-(2**63): "a", 2**64 - 1: "b"},
            "large": 2**64 - 1,
            "bytes": [b"a", b"b"],
        }

    @pytest.mark.parametrize(
        "value",
        [
            {True: 1},
            {1.5: 1},
            {None: 1},
            {b"a": 1},
            {(1, 2): 1},
            {2**64: 1},
            2**64,
            -(2**63) - 1,
            memoryview(b"abcd")[::2],
            {1, 2},
            object(),
        ],
    )
    def test_values_that_no_layer_carries(self, value: Any) -> None:
        with pytest.raises(TypeError):
            InMemoryChannelLayer().send("queue", {"a": value})


@pytest.mark.usefixtures("refused")
class TestRefused:
    def test_names_and_patterns(self) -> None:
        for make in (Channel, Group):
            with pytest.raises(TypeError, match="must be a str"):
                make(b"name")  # type: ignore[arg-type]
        for arguments, filters in (((b"queue", consumer), {}), (("queue", consumer), {"path": b"^/"})):
            with pytest.raises(ValueError):
                route(*arguments, **filters)  # type: ignore[arg-type]

    def test_messages_do_not_change(self) -> None:
        assert message(HAND_MADE).content is HAND_MADE

    def test_headers_are_in_lower_case(self) -> None:
        [reply] = AsgiHandler.encode_response(HttpResponse("x", content_type="text/plain"))
        assert reply["headers"] == [[b"content-type", b"text/plain"]]

    @pytest.mark.parametrize("value", [{1: 1}, bytearray(b"a"), memoryview(b"a"), 2**63])
    def test_values(self, value: Any) -> None:
        with pytest.raises(TypeError):
            InMemoryChannelLayer().send("queue", {"a": value})


def test_the_standard_form_is_left_alone() -> None:
    content = {"path": "/", "query_string": b"a", "headers": [[b"x", b"\xff"]], "other": {"headers": {}}}
    assert in_standard_form(content) == content
    assert in_standard_form({}) == {}
