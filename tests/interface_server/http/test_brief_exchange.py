"""Exchanges that begin on the short way and go on along the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interface_server.http import brief_exchange
from tests.interface_server.hosted import DEADLINE, Hosted, eventually, read_response, read_until_closed


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    """A server whose exchanges take the long way after a moment without an answer."""
    monkeypatch.setattr(brief_exchange, "PATIENCE", 0.05)
    with Hosted() as hosted:
        yield hosted


def late(hosted: Hosted) -> str:
    """The reply channel of the next request, once that has taken the long way."""
    reply_channel: str = hosted.receive("http.request")["reply_channel"]
    eventually(lambda: not hosted.server.brief_exchanges.waiting)
    return reply_channel


def test_a_late_answer(impatient: Hosted) -> None:
    response = impatient.get("/late")
    reply_channel = late(impatient)
    impatient.send(reply_channel, status=200, content=b"here")
    assert response.result(DEADLINE).text == "here"
    assert impatient.receive_for("http.disconnect", reply_channel)["path"] == "/late"
    [(_, _, details)] = eventually(lambda: impatient.access)
    assert (details["status"], details["size"]) == (200, 4)
    assert details["seconds"] >= 0.05


def test_a_late_answer_in_parts(impatient: Hosted) -> None:
    response = impatient.get("/parts")
    reply_channel = late(impatient)
    impatient.send(reply_channel, status=200, content=b"one, ", more_content=True)
    impatient.send(reply_channel, content=b"two")
    assert response.result(DEADLINE).text == "one, two"


def test_a_late_answer_and_a_request_behind_it(impatient: Hosted) -> None:
    client = impatient.raw(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    impatient.send(late(impatient), status=200, content=b"first")
    assert read_response(client)[1] == b"first"
    impatient.send(impatient.receive("http.request")["reply_channel"], status=200, content=b"second")
    assert read_response(client)[1] == b"second"


def test_a_client_that_leaves_late(impatient: Hosted) -> None:
    client = impatient.raw(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = late(impatient)
    client.close()
    assert impatient.receive_for("http.disconnect", reply_channel)["path"] == "/gone"
    eventually(lambda: not impatient.server.context.reader.clients)


def test_the_last_answer_of_a_connection(impatient: Hosted) -> None:
    client = impatient.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    impatient.send(impatient.receive("http.request")["reply_channel"], status=200, content=b"bye")
    received = read_until_closed(client)
    assert received.endswith(b"bye")
    assert b"connection: close\r\n" in received.lower()


def test_an_answer_that_wants_the_connection_to_end(impatient: Hosted) -> None:
    client = impatient.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = impatient.receive("http.request")["reply_channel"]
    impatient.send(reply_channel, status=200, headers=[[b"connection", b"close"]], content=b"bye")
    assert read_until_closed(client).endswith(b"bye")


def test_nothing_is_left_of_an_exchange(impatient: Hosted) -> None:
    for _ in range(5):
        response = impatient.get()
        impatient.send(impatient.receive("http.request")["reply_channel"], status=200, content=b"x")
        assert response.result(DEADLINE).text == "x"
    assert not impatient.server.context.reader.clients
    assert not impatient.server.brief_exchanges.waiting
