"""The end of connections when their server stops: exchanges finish, and endless responses are ended."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from websockets.frames import Opcode

from interface_server.transport import http_connection, websocket_connection
from interface_server.transport.http_connection import HttpConnection
from interface_server.transport.server import CutOff, Server, ServerSettings
from tests.interface_server.hosted import DEADLINE, eventually, read_response, read_until_closed
from tests.interface_server.transport.served import Served
from tests.interface_server.transport.test_asgi_call import GET, body, serve, start
from tests.interface_server.transport.test_websocket_connection import (
    close_code,
    frame,
    opened,
    raw,
    served,
    swallow,
)

EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


async def never_ending(headers: Any, receive: Any, send: Any) -> None:
    await start(send, headers=headers)
    await body(send, b"data: 1\n\n", more=True)
    while (await receive())["type"] != "http.disconnect":
        pass


def streaming(headers: Any, **settings: Any) -> Served:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await never_ending(headers, receive, send)

    return serve(application, **settings)


@pytest.mark.parametrize("request_head", [GET, GET.replace(b"1.1", b"1.0")])
def test_a_stream_of_events_is_ended_as_its_framing_can(request_head: bytes) -> None:
    with streaming(EVENTS) as server:
        client = server.connect()
        client.sendall(request_head)
        eventually(lambda: server.server.tasks)
        received = client.recv(4096)
        server.server.stop()
        received += read_until_closed(client)
        assert server.join() is None
    is_chunked = b"HTTP/1.0" not in request_head
    assert received.endswith(b"data: 1\n\n\r\n0\r\n\r\n" if is_chunked else b"data: 1\n\n")


def test_a_stream_of_events_without_an_event_is_closed() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with serve(application) as server:
        client = server.connect()
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nAccept: text/event-stream\r\n\r\n"))
        eventually(lambda: server.server.tasks)
        server.server.stop()
        assert read_until_closed(client) == b""
        assert server.join() is None


def test_a_silent_stream_of_another_type_is_cut_and_looks_incomplete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "SILENT_STREAM_SECONDS", 0.1)
    with streaming([(b"content-type", b"text/csv")]) as server:
        client = server.connect()
        client.sendall(GET)
        received = client.recv(4096)
        server.server.stop()
        received += read_until_closed(client)
        assert server.join() is None
    assert received.endswith(b"data: 1\n\n\r\n")


def test_a_stream_that_goes_on_may_come_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "SILENT_STREAM_SECONDS", 2.0)
    go = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await body(send, b"first", more=True)
        await go.wait()
        await body(send, b"last")

    with serve(application) as server:
        client = server.connect()
        client.sendall(GET)
        received = client.recv(4096)
        server.server.stop()
        loop = server.server._loop
        assert loop is not None
        loop.call_soon_threadsafe(go.set)
        received += read_until_closed(client)
        assert server.join() is None
    assert received.endswith(b"4\r\nlast\r\n0\r\n\r\n")


def test_a_request_that_has_no_answer_in_time_gets_503() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with serve(application, shutdown_timeout=0.1) as server:
        client = server.connect()
        client.sendall(GET)
        eventually(lambda: server.server.tasks)
        server.server.stop()
        response, content = read_response(client)
        assert (response.status, response.getheader("connection")) == (503, "close")
        assert b"restarting" in content
        error = server.join()
        server.error = None
    assert isinstance(error, CutOff)
    assert "GET /page" in str(error)


def test_a_request_that_is_on_its_way_is_served() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await body(send, b"served")

    with serve(application) as server:
        fresh, used = server.connect(), server.connect()
        used.sendall(GET)
        assert read_response(used)[1] == b"served"
        eventually(lambda: len(server.server.connections) == 2)
        for client in (fresh, used):
            client.sendall(GET[:10])
        server.server.stop()
        eventually(lambda: server.server.is_stopping)
        for client in (fresh, used):
            client.sendall(GET[10:])
            response, content = read_response(client)
            assert (content, response.getheader("connection")) == (b"served", "close")
        assert server.join() is None


def test_clients_that_were_not_accepted_yet_are_served() -> None:
    """The system completes connections by itself. They wait while the event loop is busy."""
    busy, go_on = threading.Event(), threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/busy":
            busy.set()
            assert go_on.wait(DEADLINE)  # nothing else runs meanwhile
        await start(send)
        await body(send, b"served")

    with serve(application) as server:
        holds = server.connect()
        holds.sendall(GET.replace(b"/page", b"/busy"))
        assert busy.wait(DEADLINE)
        server.server.stop()
        clients = [server.connect() for _ in range(20)]
        for client in clients:
            client.sendall(GET)
        go_on.set()
        for client in [holds, *clients]:
            assert read_response(client)[1] == b"served"
        assert server.join() is None
        with pytest.raises(ConnectionRefusedError):
            server.connect()


def test_the_closing_is_spread_over_the_drain_time() -> None:
    """Connections close one after another, and serve until then."""

    class Noting:
        def __init__(self, server: Server) -> None:
            self.server = server

        def shutdown(self) -> None:
            times.append(loop.time())
            self.server.connections.discard(self)

        abort = shutdown

    async def main() -> None:
        server = Server(Noting, ServerSettings(drain=0.4), HttpConnection)  # type: ignore[arg-type]
        server.connections |= {Noting(server) for _ in range(5)}
        nonlocal began
        began = loop.time()
        await server._close_connections(0.4, loop.time() + 60)

    times: list[float] = []
    began = 0.0
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        runner.run(main())
    assert len(times) == 5
    assert all(time >= began + 0.08 * number for number, time in enumerate(times))


def test_frames_that_were_sent_before_the_answer_to_the_close_are_taken() -> None:
    with served(swallow) as (server, site):
        client = opened(server)
        server.server.stop()
        assert close_code(client) == 1012
        client.sendall(b"".join(frame(Opcode.TEXT, b"%d" % number) for number in range(100)))
        client.sendall(frame(Opcode.CLOSE, b"\x03\xf4"))
        assert read_until_closed(client) == b""
        assert server.join() is None
    assert site.texts == [str(number) for number in range(100)]
    assert [code for code, _ in site.disconnects()] == [1012]


def test_frames_that_were_held_back_are_taken_when_the_client_has_hung_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_connection, "SHUTDOWN_SECONDS", 0.05)
    go = asyncio.Event()

    async def slow(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.accept"})
        await go.wait()
        while (event := await receive())["type"] == "websocket.receive":
            scope["site"].texts.append(event["text"])

    with served(slow) as (server, site):
        client = opened(server)
        client.sendall(b"".join(frame(Opcode.TEXT, b"%d" % number) for number in range(100)))
        [connection] = server.server.connections
        eventually(lambda: connection._reader.is_held)  # type: ignore[attr-defined]
        server.server.stop()
        assert close_code(client) == 1012
        client.sendall(frame(Opcode.CLOSE, b"\x03\xf4"))
        client.close()
        eventually(lambda: connection not in server.server.connections)
        loop = server.server._loop
        assert loop is not None
        loop.call_soon_threadsafe(go.set)
        assert server.join() is None
    assert site.texts == [str(number) for number in range(100)]
    assert [code for code, _ in site.disconnects()] == [1012]


def test_what_the_application_sends_behind_the_close_is_dropped() -> None:
    async def answering(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            scope["site"].texts.append(event["text"])
            await send({"type": "websocket.send", "text": "answer"})
        scope["site"].texts.append("end")

    with served(answering) as (server, site):
        client = opened(server)
        server.server.stop()
        assert close_code(client) == 1012
        client.sendall(frame(Opcode.TEXT, b"a") + frame(Opcode.TEXT, b"b") + frame(Opcode.CLOSE, b"\x03\xf4"))
        assert read_until_closed(client) == b""
        assert server.join() is None
    assert site.texts == ["a", "b", "end"]


@pytest.mark.parametrize("code", [1000, 4001])
def test_an_application_that_closes_meanwhile_hears_of_the_end(code: int) -> None:
    async def closing(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.close", "code": code})
        assert (await receive())["type"] == "websocket.disconnect"

    with served(closing) as (server, site):
        client = opened(server)
        server.server.stop()
        assert close_code(client) == 1012
        client.sendall(frame(Opcode.TEXT, b"a") + frame(Opcode.CLOSE, b"\x03\xf4"))
        assert read_until_closed(client) == b""
        assert server.join() is None
    assert [code for code, _ in site.disconnects()] == [1012]


def test_a_handshake_that_is_under_way_is_finished() -> None:
    go = asyncio.Event()

    async def late(receive: Any, send: Any, scope: Any) -> None:
        await go.wait()
        await swallow(receive, send, scope)

    with served(late) as (server, site):
        client = raw(server)
        eventually(lambda: site.scopes)
        server.server.stop()
        eventually(lambda: all(getattr(each, "was_stopped", False) for each in server.server.connections))
        loop = server.server._loop
        assert loop is not None
        loop.call_soon_threadsafe(go.set)
        assert client.recv(12) == b"HTTP/1.1 101"
        while not client.recv(4096).endswith(b"\r\n\r\n\x88\x02\x03\xf4"):
            pass
        client.sendall(frame(Opcode.CLOSE, b"\x03\xf4"))
        assert server.join() is None
    assert [code for code, _ in site.disconnects()] == [1012]
