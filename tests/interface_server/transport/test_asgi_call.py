"""Any ASGI application on our HTTP connection."""

from __future__ import annotations

import asyncio
import http.client
import threading
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from interface_server.asgi_types import Receive, Scope, Send
from interface_server.transport.http_connection import HttpConnection
from tests.interface_server.hosted import DEADLINE, eventually, read_response, read_until_closed
from tests.interface_server.transport.served import Served

GET = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n"


def serve(application: Callable[[Scope, Receive, Send], Awaitable[None]], **settings: Any) -> Served:
    async def http_only(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "no lifespan here"
        await application(scope, receive, send)

    return Served(http_only, HttpConnection, **settings)


async def start(send: Send, status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def body(send: Send, content: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    content = b""
    more = True
    while more:
        event = await receive()
        content += event["body"]
        more = event["more_body"]
    await start(send)
    await body(send, scope["path"].encode() + b" ", more=True)
    await body(send, content)


def test_the_scope() -> None:
    scopes: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    with serve(application, root_path="/app") as served:
        client = served.connect()
        client.sendall(b"GET /caf%C3%A9%2F?a=%20 HTTP/1.1\r\nHost: a \r\nX-Two: 1\r\nX-Two: 2\r\n\r\n")
        assert read_response(client)[0].status == 200
        [scope] = scopes
        assert {name: scope[name] for name in scope if name != "asgi"} == {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": "GET",
            "path": "/app/café/",
            "raw_path": b"/app/caf%C3%A9%2F",
            "root_path": "/app",
            "query_string": b"a=%20",
            "headers": [(b"host", b"a"), (b"x-two", b"1"), (b"x-two", b"2")],
            "client": client.getsockname(),
            "server": served.address,
        }


def test_bodies_and_requests_behind_them() -> None:
    with serve(echo) as served:
        client = served.connect()
        large = bytes(range(256)) * 4096
        client.sendall(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(large) + large)
        assert read_response(client)[1] == b"/1 " + large
        client.sendall(b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert read_response(client)[1] == b"/2 abc"
        client.sendall(GET)
        assert read_response(client)[1] == b"/page "


def test_an_application_that_takes_no_body_is_not_sent_one() -> None:
    """The client waits, and the connection ends with the response."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, 403)
        await body(send, b"no")

    with serve(application) as served:
        client = served.connect()
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        received = read_until_closed(client)
        assert received.startswith(b"HTTP/1.1 403 ")
        assert b"connection: close\r\n" in received


def test_100_continue_comes_when_the_body_is_wanted() -> None:
    go = threading.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(go.wait, DEADLINE)
        await echo(scope, receive, send)

    with serve(application) as served:
        client = served.connect()
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(DEADLINE)
        go.set()
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"body")
        assert read_response(client)[1] == b"/ body"


@pytest.mark.parametrize("error", [ValueError("a mistake"), SystemExit("a mistake")], ids=repr)
@pytest.mark.parametrize("begun", [False, True])
def test_an_application_that_fails(begun: bool, error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await start(send)
            await body(send, b"part", more=True)
        raise error

    with serve(application) as served:
        client = served.connect()
        client.sendall(GET)
        if begun:
            with pytest.raises(http.client.IncompleteRead):
                read_response(client)
        else:
            assert read_response(client)[0].status == 500
        assert read_until_closed(client) == b""
    assert "The application failed at GET /page" in caplog.text
    assert "a mistake" in caplog.text


@pytest.mark.parametrize("events", [0, 1, 2])
def test_an_application_that_returns_too_early(events: int, caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if events > 0:
            await start(send)
        if events > 1:
            await body(send, b"part", more=True)

    with serve(application) as served:
        client = served.connect()
        client.sendall(GET)
        received = read_until_closed(client)
        assert received.startswith(b"HTTP/1.1 500 ") is (events < 2)
        assert not received.endswith(b"0\r\n\r\n")
    assert "returned before its response to GET /page was complete" in caplog.text


@pytest.mark.parametrize(
    "headers",
    [[(b"x", b"a\r\nb: c")], [(b"x y", b"a")], [(b"content-length", b"3")]],
    ids=["value", "name", "length"],
)
def test_an_invalid_response(headers: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, headers=headers)
        await body(send, b"four")

    with serve(application) as served:
        client = served.connect()
        client.sendall(GET)
        assert read_response(client)[0].status == 500


INVALID_EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"type": "http.response.body", "body": "text"}, "must be bytes, not 'text'"),
    ({"type": "http.response.body", "body": "text", "more_body": True}, "must be bytes, not 'text'"),
    ({"type": "http.response.body", "body": None}, "must be bytes, not None"),
    ({"type": "http.response.body", "body": [1]}, "must be bytes, not [1]"),
    ({"type": "http.response.trailers", "headers": []}, "but got 'http.response.trailers'"),
    ({"type": "websocket.accept"}, "but got 'websocket.accept'"),
    ({"type": "http.response.start", "status": "200"}, "an int from 200 to 599, not '200'"),
    ({"type": "http.response.start", "status": True}, "an int from 200 to 599, not True"),
    ({"type": "http.response.start", "status": 100}, "an int from 200 to 599, not 100"),
    ({"type": "http.response.start", "status": 200, "headers": {"a": "b"}}, "a list of pairs of bytes"),
]


@pytest.mark.parametrize(("event", "reason"), INVALID_EVENTS, ids=str)
@pytest.mark.parametrize("begun", [False, True])
def test_an_invalid_event(
    begun: bool, event: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        if begun:
            await body(send, b"part", more=True)
        await send(event)

    with serve(application) as served:
        client = served.connect()
        client.sendall(GET)
        received = read_until_closed(client)
    assert received.startswith(b"HTTP/1.1 200 " if begun else b"HTTP/1.1 500 ")
    assert not received.endswith(b"0\r\n\r\n")
    assert reason in caplog.text


@pytest.mark.parametrize(
    "content", [bytearray(b"content"), memoryview(b"content"), memoryview(array("h", b"1234"))]
)
def test_content_of_other_types(content: bytearray | memoryview) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await send({"type": "http.response.body", "body": content, "more_body": True})
        await send({"type": "http.response.body", "body": content})

    with serve(application) as served:
        client = served.connect()
        client.sendall(GET)
        assert read_response(client)[1] == bytes(content) * 2


@pytest.mark.parametrize("leaves", [False, True])
def test_an_application_that_sends_all_the_time_holds_up_nobody_else(leaves: bool) -> None:
    go_on = True

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/page":
            await echo(scope, receive, send)
            return
        await start(send)
        while go_on:
            await body(send, b"x", more=True)
        await body(send, b"")

    with serve(application) as served:
        client = served.connect()
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100)
        if leaves:
            client.close()
        other = served.connect()
        other.sendall(GET)
        assert read_response(other)[1] == b"/page "
        go_on = False


def test_an_application_hears_that_its_client_has_left() -> None:
    heard: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        heard.append("began")
        heard.append((await receive())["type"])
        await start(send)
        await body(send, b"to nobody")

    with serve(application) as served:
        client = served.connect()
        client.sendall(GET)
        eventually(lambda: heard)
        client.close()
        eventually(lambda: heard == ["began", "http.disconnect"])


def test_an_application_waits_for_a_client_that_reads_slowly() -> None:
    sent = [0]
    size = 2**16

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        for _ in range(500):
            await body(send, b"x" * size, more=True)
            sent[0] += 1
        await body(send, b"")

    with serve(application) as served:
        client = served.connect(receive_buffer=4096)
        client.sendall(GET)
        eventually(lambda: sent[0])
        quick = served.connect()
        quick.sendall(b"BAD\r\n\r\n")
        assert read_until_closed(quick).startswith(b"HTTP/1.1 400 ")
        assert sent[0] < 500
        assert len(read_response(client)[1]) == 500 * size


def test_a_server_that_stops_lets_a_response_end_and_closes_what_is_idle() -> None:
    go = threading.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(go.wait, DEADLINE)
        await echo(scope, receive, send)

    with serve(application) as served:
        idle, busy = served.connect(), served.connect()
        busy.sendall(GET + GET)
        eventually(lambda: served.server.tasks and len(served.server.connections) == 2)
        assert sorted(str(connection) for connection in served.server.connections) == [
            "GET /page",
            "an idle connection",
        ]
        served.server.stop()
        assert read_until_closed(idle) == b""
        go.set()
        received = read_until_closed(busy)
        assert received.count(b"HTTP/1.1 200 OK") == 1
        assert b"connection: close\r\n" in received
        assert received.endswith(b"/page \r\n0\r\n\r\n")
