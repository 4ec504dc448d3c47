"""Clients that stall or flood before they have asked anything."""

from __future__ import annotations

import http.client
from contextlib import suppress

import pytest

from interface_server import http_protocol
from tests.interface_server.hosted import DEADLINE, Hosted, read_response, read_until_closed


def test_a_head_that_does_not_end_in_time(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\nX-Half: ")
    response, content = read_response(client)
    assert (response.status, content) == (408, b"The request did not arrive in time.")
    assert read_until_closed(client) == b""
    assert hosted.is_empty("http.request")


def test_a_second_head_that_does_not_end_in_time(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
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


def test_a_client_that_says_nothing(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    assert read_until_closed(hosted.raw()) == b""


def test_a_client_that_has_said_enough_is_left_alone(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
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
