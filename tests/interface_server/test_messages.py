"""Messages made from ASGI scopes of any server."""

from __future__ import annotations

from typing import Any

import pytest

from channels_classic.layers import codec
from interface_server import messages

REPLY = "interface.abc!def"


def scope(**more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "get", "path": "/caf\u00e9", "headers": [], **more}


def test_a_minimal_scope() -> None:
    assert messages.http_request(scope(), REPLY, b"", None) == {
        "reply_channel": REPLY,
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/caf\u00e9",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "body": b"",
    }


def test_a_full_scope() -> None:
    full = scope(
        http_version="2",
        scheme="https",
        query_string=b"a=%20",
        root_path="/below",
        headers=[(b"b", b"1"), (b"a", b"2"), (b"b", b"3")],
        client=("1.2.3.4", 5),
        server=("::1", 443),
    )
    content = messages.http_request(full, REPLY, b"body", "http.request.body?x")
    assert content == {
        "reply_channel": REPLY,
        "http_version": "2",
        "method": "GET",
        "scheme": "https",
        "path": "/caf\u00e9",
        "query_string": b"a=%20",
        "root_path": "/below",
        "headers": [(b"b", b"1"), (b"a", b"2"), (b"b", b"3")],
        "body": b"body",
        "body_channel": "http.request.body?x",
        "client": ["1.2.3.4", 5],
        "server": ["::1", 443],
    }
    codec.check_message(content)


def test_a_unix_socket_has_no_address() -> None:
    content = messages.http_request(scope(client=None, server=("/run/socket", None)), REPLY, b"", None)
    assert "client" not in content
    assert "server" not in content


def test_headers_that_could_forge_others_are_dropped() -> None:
    headers = [(b"x-forwarded-for", b"1"), (b"x_forwarded_for", b"2"), (b"_", b"3"), (b"a_b-c", b"4")]
    assert messages.http_request(scope(headers=headers), REPLY, b"", None)["headers"] == headers[:1]


def test_the_rest_of_a_body() -> None:
    assert messages.http_request_body(b"part", True) == {"content": b"part", "more_content": True}
    assert messages.http_request_body_closed() == {"closed": True}


def test_the_end_of_an_exchange() -> None:
    assert messages.http_disconnect("/a", REPLY) == {"reply_channel": REPLY, "path": "/a"}


@pytest.mark.parametrize(("data", "kind"), [("caf\u00e9", "text"), ("", "text"), (b"\xff", "bytes")])
def test_messages_of_a_socket(data: str | bytes, kind: str) -> None:
    content = messages.websocket_receive("/a", REPLY, 3, data)
    assert content == {"reply_channel": REPLY, "path": "/a", "order": 3, kind: data}


def test_the_end_of_a_socket() -> None:
    content = messages.websocket_disconnect("/a", REPLY, 4, 1006)
    assert content == {"reply_channel": REPLY, "path": "/a", "order": 4, "code": 1006}


def test_a_websocket() -> None:
    content = messages.websocket_connect({**scope(scheme="wss"), "type": "websocket"}, REPLY)
    assert content == {
        "reply_channel": REPLY,
        "scheme": "wss",
        "path": "/caf\u00e9",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "order": 0,
    }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], 0),
        ([(b"content-type", b"text/plain")], 0),
        ([(b"content-length", b"0")], 0),
        ([(b"content-length", b"12")], 12),
        ([(b"content-length", b"many")], None),
        ([(b"transfer-encoding", b"chunked")], None),
    ],
)
def test_how_long_the_body_will_be(headers: list[tuple[bytes, bytes]], expected: int | None) -> None:
    assert messages.body_length(scope(headers=headers)) == expected


@pytest.mark.parametrize(("headers", "expected"), [([], None), ([(b"content-length", b"12")], 12)])
@pytest.mark.parametrize("version", ["2", "3"])
def test_a_body_without_a_length_needs_no_header_from_http_2_on(
    headers: list[tuple[bytes, bytes]], expected: int | None, version: str
) -> None:
    assert messages.body_length(scope(headers=headers, http_version=version)) == expected
