"""``channel_encode`` and ``channel_decode`` of requests and responses."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import BadRequest
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import RequestFactory

from channels_classic import Channel
from channels_classic.http.request import AsgiRequest
from channels_classic.message import Message
from tests.http_messages import REQUEST

pytestmark = pytest.mark.usefixtures("channel_layer")


class TestResponses:
    def test_it_answers_a_request(self) -> None:
        response = HttpResponse("Grüße", status=201, headers={"X-Kind": "test"})
        response.set_cookie("a", "1", path="/x")
        response.set_cookie("b", "2")
        encoded = response.channel_encode()
        assert encoded["status"] == 201
        assert encoded["content"] == "Grüße".encode()
        assert [b"x-kind", b"test"] in encoded["headers"]
        assert [value for name, value in encoded["headers"] if name == b"set-cookie"] == [
            b"a=1; Path=/x",
            b"b=2; Path=/",
        ]

    @pytest.mark.parametrize(
        "response",
        [StreamingHttpResponse(["one ", "two"]), FileResponse([b"one ", b"two"]), HttpResponse("one two")],
    )
    def test_a_stream_is_one_message_too(self, response: Any) -> None:
        assert response.channel_encode()["content"] == b"one two"

    def test_it_can_be_sent(self) -> None:
        Channel("answers").send(JsonResponse({"a": [1, 2]}).channel_encode())

    def test_there_and_back(self) -> None:
        response = HttpResponse(b"\xff\x00", status=418, content_type="image/x-test")
        response["X-Umlaut"] = "ä"
        response.set_cookie("a", "1", max_age=3, httponly=True)
        decoded = HttpResponse.channel_decode(response.channel_encode())
        assert (decoded.status_code, decoded.content) == (418, b"\xff\x00")
        assert [*decoded.headers.items()] == [(name.lower(), value) for name, value in response.headers.items()]
        assert decoded.cookies.output() == response.cookies.output()

    def test_no_header_is_made_up(self) -> None:
        assert dict(HttpResponse.channel_decode({"status": 204}).items()) == {}


class TestRequests:
    def test_of_another_server(self) -> None:
        request = RequestFactory().post("/p%20ath/?q=%C3%BC", {"field": "välue"}, headers={"x-kind": "test"})
        encoded = request.channel_encode()
        assert encoded["method"] == "POST"
        assert encoded["path"] == "/p ath/"
        assert encoded["query_string"] == b"q=%C3%BC"
        assert encoded["scheme"] == "http"
        assert encoded["http_version"] == "1.1"
        assert encoded["server"] == ["testserver", 80]
        assert [b"x-kind", b"test"] in encoded["headers"]
        assert "reply_channel" not in encoded
        decoded = HttpRequest.channel_decode(encoded)
        assert isinstance(decoded, AsgiRequest)
        assert decoded.body == request.body
        assert (decoded.path, decoded.GET, decoded.POST) == (request.path, request.GET, request.POST)
        assert decoded.headers["X-Kind"] == "test"

    def test_below_a_script_name(self) -> None:
        request = RequestFactory(script_name="/app", SCRIPT_NAME="/app").get("/page")
        decoded = HttpRequest.channel_decode(request.channel_encode())
        assert (decoded.path, decoded.path_info) == (request.path, request.path_info) == ("/app/page", "/page")

    def test_of_ours(self, channel_layer: Any) -> None:
        """A body that came in parts is in the message, and the client can still be answered."""
        content = {**REQUEST, "reply_channel": "replies!1", "method": "POST", "body_channel": "body?1"}
        for part in (b"first ", b"second"):
            channel_layer.send("body?1", {"content": part, "more_content": part == b"first "})
        encoded = AsgiRequest(Message(content, "http.request", channel_layer)).channel_encode()
        assert encoded["body"] == b"first second"
        assert encoded["reply_channel"] == "replies!1"
        assert encoded.keys() <= {*content, "body", "client", "server", "root_path", "scheme", "query_string"}
        decoded = HttpRequest.channel_decode(encoded)
        assert decoded.read() == b"first second"
        assert decoded.reply_channel.name == decoded.response_channel == "replies!1"

    def test_made_by_hand(self) -> None:
        encoded = HttpRequest().channel_encode()
        assert (encoded["method"], encoded["path"], encoded["body"]) == ("GET", "", b"")

    def test_of_the_keywords_of_a_consumer(self) -> None:
        keywords = {**REQUEST, "response_channel": "replies!1"}
        request = HttpRequest.channel_decode(keywords)
        assert request.reply_channel.name == request.response_channel == "replies!1"
        assert "response_channel" in keywords

    def test_of_something_else(self) -> None:
        with pytest.raises(BadRequest, match=r"not an http\.request message"):
            HttpRequest.channel_decode({"path": "/"})
