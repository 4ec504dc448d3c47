"""Clients that stall or flood before their first request."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import suppress

import pytest

from interface_server.transport import http_connection, http_parser
from tests.interface_server.hosted import (
    DEADLINE,
    HANDSHAKE,
    Hosted,
    eventually,
    read_response,
    read_until_closed,
)


def test_a_head_that_does_not_end_in_time(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\nX-Half: ")
    response, content = read_response(client)
    assert (response.status, content) == (408, b"The request did not arrive in time.")
    assert read_until_closed(client) == b""
    assert hosted.is_empty("http.request")


def test_a_second_head_that_does_not_end_in_time(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HT")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    hosted.send(reply_channel, status=200, content=b"part, ", more_content=True)
    with http.client.HTTPResponse(client) as response:
        response.begin()
        # The first is answered to its end, however long that takes.
        for _ in range(5):
            hosted.send(reply_channel, content=b"part, ", more_content=True)
            assert response.read(6) == b"part, "
        hosted.send(reply_channel, content=b"end")
        assert response.read() == b"part, end"
    assert read_response(client)[0].status == 408


def test_a_silent_client(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    assert read_until_closed(hosted.raw()) == b""


def test_a_client_with_a_complete_request_is_left_alone(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    slow = hosted.get("/slow")
    connection, reply_channel = hosted.open()
    assert read_until_closed(hosted.raw()) == b""  # by now the time of the others would be over, too
    hosted.send(reply_channel, text="still open")
    assert connection.recv(timeout=DEADLINE) == "still open"
    hosted.send(hosted.receive("http.request")["reply_channel"], status=200, content=b"answered")
    assert slow.result(DEADLINE).text == "answered"


@pytest.mark.parametrize("line", [b"X-Header: " + b"x" * 8000 + b"\r\n", b"x" * 8000], ids=["many", "one"])
def test_a_head_without_end(hosted: Hosted, line: bytes) -> None:
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ")
    answer = b""
    with suppress(ConnectionError):  # the connection may be reset before all is read
        for _ in range(2000):
            client.sendall(line)
    with suppress(ConnectionError):
        answer = read_until_closed(client)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert hosted.is_empty("http.request")


def test_a_large_head_that_is_not_too_large(hosted: Hosted) -> None:
    response = hosted.get("/", headers={f"X-{number}": "x" * 6000 for number in range(20)})
    request = hosted.receive("http.request")
    assert len(request["headers"]) > 20
    hosted.send(request["reply_channel"], status=200)
    assert response.result(DEADLINE).status_code == 200


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_trailer_is_not_a_header(hosted: Hosted) -> None:
    """A proxy checks headers that workers trust, but may pass trailers on."""
    client = hosted.raw(CHUNKED + b"4\r\nbody\r\n0\r\nX-User: forged\r\n\r\n")
    request = hosted.receive("http.request")
    assert request["body"] == b"body"
    assert b"x-user" not in [name for name, _ in request["headers"]]
    hosted.send(request["reply_channel"], status=200)
    assert read_response(client)[0].status == 200


@pytest.mark.parametrize(
    ("beginning", "more"),
    [(b"4\r\nbody\r\n0\r\n", b"a: b\r\n"), (b"4\r\nbody\r\n0\r\na: ", b"x" * 10), (b"4;a=", b"x" * 10)],
    ids=["many trailers", "one trailer", "an extension of a chunk"],
)
def test_framing_of_a_body_is_bounded(hosted: Hosted, beginning: bytes, more: bytes) -> None:
    client = hosted.raw(CHUNKED + beginning)
    with suppress(ConnectionError):
        for _ in range(20):
            client.sendall(more * 10_000)
    with suppress(ConnectionError):
        assert read_until_closed(client).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert hosted.is_empty("http.request")


def test_a_body_is_not_part_of_the_next_head(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "MAX_HEAD", 1000)
    client = hosted.raw(
        b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000 + b"GET /2 HTTP/1.1\r\n"
    )
    for path in ("/1", "/2"):
        request = hosted.receive("http.request")
        assert request["path"] == path
        hosted.send(request["reply_channel"], status=200)
        assert read_response(client)[0].status == 200
        client.sendall(b"Host: a\r\n\r\n")


def test_a_client_that_floods_requests(start: Callable[..., Hosted], caplog: pytest.LogCaptureFixture) -> None:
    hosted = start()
    client = hosted.raw()

    def ask() -> None:
        while True:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)

    def answer() -> bool:
        """Answer waiting requests. Returns whether none waits any more."""
        while (content := hosted.layer.receive(["http.request"])[1]) is not None:
            hosted.send(content["reply_channel"], status=200)
        return hosted.server.context.reader.clients == 0

    asking = hosted.call(ask)
    eventually(lambda: answer() and asking.done())
    assert isinstance(asking.exception(), ConnectionError)
    assert "it sends requests, but does not wait for the answers" in caplog.text
    response = hosted.get("/of another client")
    request = hosted.receive("http.request")
    assert request["path"] == "/of another client"
    hosted.send(request["reply_channel"], status=200)
    assert response.result(DEADLINE).status_code == 200


@pytest.mark.parametrize("data", [b"\r\n", b"\r\n" * 100_000], ids=["an empty line", "many"])
def test_an_idle_connection_is_closed_also_if_it_sends_empty_lines(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(http_connection, "IDLE_SECONDS", 0.2)
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    hosted.send(hosted.receive("http.request")["reply_channel"], status=200)
    assert read_response(client)[0].status == 200
    with suppress(ConnectionError):
        client.sendall(data)
        assert read_until_closed(client) == b""


OFFERS = {
    "foo": b"Connection: Upgrade\r\nUpgrade: foo\r\n",
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
}
FRAMED = {
    "length": b"Content-Length: 7\r\n\r\na=1&b=2",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n4;x=y\r\n&b=2\r\n0\r\nX-Trailer: 1\r\n\r\n",
}


@pytest.mark.parametrize("pieces", ["one", "head and body", "byte by byte"])
@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_to_upgrade_that_is_not_taken(hosted: Hosted, offer: bytes, framed: bytes, pieces: str) -> None:
    """RFC 9110, section 7.8: the body is read, and the next request follows it."""
    head = b"POST /first HTTP/1.1\r\nHost: a\r\n" + offer
    behind = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    client = hosted.raw()
    if pieces == "one":
        client.sendall(head + framed + behind)
    elif pieces == "head and body":
        for piece in (head + framed[: framed.index(b"\r\n\r\n") + 4], framed.partition(b"\r\n\r\n")[2] + behind):
            client.sendall(piece)
    else:
        for place in range(len(head + framed + behind)):
            client.sendall((head + framed + behind)[place : place + 1])
    for path, body in (("/first", b"a=1&b=2"), ("/next", b"")):
        request = hosted.receive("http.request")
        assert (request["path"], request["body"]) == (path, body)
        hosted.send(request["reply_channel"], status=200, content=path.encode())
    received = read_until_closed(client)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.endswith(b"/next")


@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
def test_a_websocket_handshake_with_a_body(hosted: Hosted, framed: bytes) -> None:
    received = read_until_closed(hosted.raw((HANDSHAKE % (b"/", b""))[:-2] + framed))
    assert received.startswith(b"HTTP/1.1 400 ")
    assert hosted.is_empty("websocket.connect")
    assert hosted.is_empty("http.request")


def test_a_websocket_behind_a_request(hosted: Hosted) -> None:
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + HANDSHAKE % (b"/socket", b"") + b"\x81\x80abcd")
    hosted.send(hosted.receive("http.request")["reply_channel"], status=200, content=b"first")
    connect = hosted.receive("websocket.connect")
    assert connect["path"] == "/socket"
    hosted.send(connect["reply_channel"], accept=True)
    assert hosted.receive("websocket.receive")["text"] == ""
    assert b"first" in client.recv(65536)


def test_a_stream_to_a_client_of_http_1_0(hosted: Hosted) -> None:
    client = hosted.raw(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    hosted.send(reply_channel, status=200, content=b"one, ", more_content=True)
    hosted.send(reply_channel, content=b"two")
    received = read_until_closed(client)
    assert b"transfer-encoding" not in received
    assert received.endswith(b"\r\n\r\none, two")


def test_a_stream_to_a_client_of_http_1_0_that_is_cut_does_not_look_complete(hosted: Hosted) -> None:
    client = hosted.raw(b"GET / HTTP/1.0\r\n\r\n")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    hosted.send(reply_channel, status=200, content=b"one, ", more_content=True)
    hosted.send(reply_channel, status=500)
    with pytest.raises(ConnectionResetError):
        read_until_closed(client)


@pytest.mark.parametrize("more", [False, True])
def test_headers_of_a_consumer_that_are_the_servers_business(hosted: Hosted, more: bool) -> None:
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    names = (b"Transfer-Encoding", b"Connection", b"Keep-Alive", b"Upgrade", b"Trailer")
    headers = [[name, b"chunked"] for name in names] + [[b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"]]
    hosted.send(reply_channel, status=200, headers=headers, content=b"page", more_content=more)
    if more:
        hosted.send(reply_channel)
    response, content = read_response(client)
    assert content == b"page"
    names_sent = sorted(name.lower() for name, _ in response.getheaders())
    assert names_sent == ["date", "transfer-encoding" if more else "content-length"] or names_sent == [
        "content-length",
        "date",
    ]
    assert response.getheader("date") == "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize("status", [b"HTTP/1.1 400 ", b"HTTP/1.1 501 "])
def test_a_request_that_is_refused_takes_nothing_with_it(hosted: Hosted, status: bytes) -> None:
    """Bytes behind it are not taken for a request."""
    line = b"CONNECT b:80" if b"501" in status else b"GET a"
    client = hosted.raw(line + b" HTTP/1.1\r\nHost: b:80\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n")
    assert read_until_closed(client).startswith(status)
    assert hosted.is_empty("http.request")
