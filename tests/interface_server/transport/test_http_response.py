"""Responses as bytes: a reader finds the content and its end."""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.transport.http_response import Response, short_response

Headers = list[tuple[bytes, bytes]]


def respond(
    status: int = 200, headers: Headers | None = None, parts: tuple[bytes, ...] = (b"hello",), **options: bool
) -> tuple[Response, bytes]:
    response = Response(**{"keep_alive": True, **options})
    response.start(status, headers or [])
    sent = b"".join(response.write(part, number < len(parts)) for number, part in enumerate(parts, 1))
    assert response.is_complete
    return response, sent


def parse(sent: bytes, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    class Sock:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(sent)

    response = http.client.HTTPResponse(cast(socket.socket, Sock()), method=method)
    response.begin()
    return response, response.read()


def test_a_response_of_one_part() -> None:
    _, sent = respond(404, [(b"x-a", b"1"), (b"x-a", b"2")])
    lines = sent.split(b"\r\n")
    assert lines[:3] == [b"HTTP/1.1 404 Not Found", b"x-a: 1", b"x-a: 2"]
    assert lines[3].startswith(b"date: ")
    assert lines[4:] == [b"content-length: 5", b"", b"hello"]


def test_the_head_goes_with_the_first_content() -> None:
    response = Response(keep_alive=True)
    response.start(200, [])
    assert not response.has_started
    assert response.write(b"", True).endswith(b"\r\n\r\n")
    assert response.has_started
    assert response.write(b"abc", True) == b"3\r\nabc\r\n"
    assert response.write(b"", True) == b""
    assert response.write(b"d", False) == b"1\r\nd\r\n0\r\n\r\n"


def test_a_length_of_its_own() -> None:
    _, sent = respond(headers=[(b"content-length", b"6")], parts=(b"one", b"two"))
    assert sent.endswith(b"\r\n\r\nonetwo")
    assert b"transfer-encoding" not in sent


@pytest.mark.parametrize("parts", [(b"one", b"twoo"), (b"one", b"t"), (b"onetwoo",), (b"one",)], ids=str)
def test_content_of_another_length_than_was_said(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(RuntimeError, match="not as long as its content-length"):
        respond(headers=[(b"content-length", b"6")], parts=parts)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content(status: int) -> None:
    _, sent = respond(status, parts=(b"", b""))
    assert sent.endswith(b"\r\n\r\n")
    assert b"content-length" not in sent
    assert b"transfer-encoding" not in sent


def test_the_response_to_head() -> None:
    _, sent = respond(headers=[(b"content-length", b"99")], is_head=True)
    assert b"content-length: 99\r\n" in sent
    assert sent.endswith(b"\r\n\r\n")


def test_one_date(recwarn: Any) -> None:
    _, sent = respond(headers=[(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")])
    assert sent.lower().count(b"date:") == 1
    assert b"date: Thu, 01 Jan 1970" in sent


@pytest.mark.parametrize(
    "header",
    [
        (b"connection", b"keep-alive, x-secret"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"),
        (b"transfer-encoding", b"gzip"),
        (b"upgrade", b"h2c"),
        (b"trailer", b"x-a"),
        (b"te", b"trailers"),
        (b"proxy-connection", b"keep-alive"),
    ],
)
@pytest.mark.parametrize("parts", [(b"hello",), (b"hel", b"lo")])
def test_headers_do_not_decide_how_a_response_is_sent(
    header: tuple[bytes, bytes], parts: tuple[bytes, ...]
) -> None:
    """RFC 9110, section 7.6.1."""
    response, sent = respond(headers=[header, (b"x-a", b"b")], parts=parts)
    parsed, content = parse(sent)
    assert content == b"hello"
    assert sent.count(b"transfer-encoding: chunked\r\n") == (len(parts) > 1)
    for name in ("connection", "keep-alive", "upgrade", "trailer", "te", "proxy-connection"):
        assert parsed.getheader(name) is None
    assert response.keep_alive


def test_a_header_can_ask_for_the_end_of_the_connection() -> None:
    response, sent = respond(headers=[(b"connection", b"X, Close")])
    assert not response.keep_alive
    assert sent.count(b"connection: ") == 1
    assert b"connection: close\r\n" in sent


def test_http_1_0_gets_no_chunks() -> None:
    response, sent = respond(parts=(b"one", b"two"), is_http_1_0=True)
    assert not response.keep_alive
    assert response.ends_with_connection
    assert b"transfer-encoding" not in sent
    assert b"connection: close\r\n" in sent
    assert sent.endswith(b"\r\n\r\nonetwo")


def test_http_1_0_can_keep_the_connection() -> None:
    response, sent = respond(is_http_1_0=True)
    assert response.keep_alive
    assert b"connection: keep-alive\r\n" in sent


def test_events_out_of_order() -> None:
    with pytest.raises(RuntimeError, match="Expected http.response.start"):
        Response(keep_alive=True).write(b"", False)
    response, _ = respond()
    with pytest.raises(RuntimeError, match="Expected nothing more"):
        response.write(b"", False)
    with pytest.raises(RuntimeError, match="second http.response.start"):
        response.start(200, [])


def test_a_short_response() -> None:
    parsed, content = parse(short_response(431, "Too large."))
    assert (parsed.status, content) == (431, b"Too large.")
    assert parsed.getheader("connection") == "close"


@given(
    st.sampled_from([200, 201, 404, 500, 599]),
    st.lists(st.binary(max_size=20), min_size=1, max_size=5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_all_content_arrives(
    status: int, parts: list[bytes], says_length: bool, is_http_1_0: bool, keep_alive: bool
) -> None:
    content = b"".join(parts)
    headers = [(b"content-length", b"%d" % len(content))] if says_length else []
    response, sent = respond(status, headers, tuple(parts), is_http_1_0=is_http_1_0, keep_alive=keep_alive)
    parsed, received = parse(sent)
    assert (parsed.status, received) == (status, content)
    assert (parsed.getheader("connection") == "close") is not response.keep_alive
    assert response.keep_alive is (keep_alive and not response.ends_with_connection)
