"""The server's side of a WebSocket, on real sockets: handshakes, messages, closes, and clients that misbehave."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close, Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from interface_server.transport import websocket_connection
from interface_server.transport.http_connection import HttpConnection
from interface_server.transport.proxy import TrustedProxies
from interface_server.transport.websocket_connection import WebSocketConnection
from interface_server.websocket.direct import DIRECT
from tests.interface_server.hosted import DEADLINE, HANDSHAKE, eventually, read_response, read_until_closed
from tests.interface_server.transport.served import Served


class Site:
    """An ASGI application whose sockets run ``script``. It records the events that it receives."""

    def __init__(self, script: Callable[..., Any]) -> None:
        self.script = script
        self.received: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def received() -> Any:
            self.received.append(await receive())
            return self.received[-1]

        if scope["type"] == "lifespan":
            raise NotImplementedError
        self.scopes.append(scope)
        scope["site"] = self
        assert await received() == {"type": "websocket.connect"}
        await self.script(received, send, scope)

    def disconnects(self) -> list[tuple[int, str]]:
        return [(event["code"], event.get("reason", "")) for event in self.received if "code" in event]


async def echo(receive: Any, send: Any, scope: Any) -> None:
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def echo_directly(receive: Any, send: Any, scope: Any) -> None:
    direct = scope["extensions"][DIRECT]

    def listen(message: str | bytes) -> None:
        opcode, data = (Opcode.TEXT, message.encode()) if isinstance(message, str) else (Opcode.BINARY, message)
        direct.write(Frame(opcode, data).serialize(mask=False))

    direct.listener = listen
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def swallow(receive: Any, send: Any, scope: Any) -> None:
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        scope["site"].texts.append(event["text"])


async def swallow_directly(receive: Any, send: Any, scope: Any) -> None:
    scope["extensions"][DIRECT].listener = scope["site"].texts.append
    await swallow(receive, send, scope)


@contextmanager
def served(script: Callable[..., Any], **settings: Any) -> Iterator[tuple[Served, Site]]:
    site = Site(script)
    with Served(site, HttpConnection, **settings) as server:
        yield server, site


def dial(server: Served, path: str = "/", **options: Any) -> ClientConnection:
    host, port = server.address
    options = {"compression": None, "proxy": None, "open_timeout": DEADLINE, **options}
    return connect(f"ws://{host}:{port}{path}", **options)


def raw(
    server: Served, path: bytes = b"/", headers: bytes = b"", rest: bytes = b"", **options: Any
) -> socket.socket:
    client = server.connect(**options)
    client.sendall(HANDSHAKE % (path, headers) + rest)
    return client


def opened(server: Served, **options: Any) -> socket.socket:
    client = raw(server, **options)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


def frame(opcode: Opcode, data: bytes = b"", fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def read_frame(client: socket.socket) -> tuple[Opcode, bytes]:
    """The next short frame of the server."""
    head = read_exactly(client, 2)
    assert head[1] < 126
    return Opcode(head[0] & 15), read_exactly(client, head[1])


def read_exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = client.recv(size - len(data))
        assert chunk, "the server closed the connection"
        data += chunk
    return data


def close_code(client: socket.socket) -> int:
    """The code of the server's close frame. Other frames before it are skipped."""
    while (read := read_frame(client))[0] is not Opcode.CLOSE:
        pass
    return Close.parse(read[1]).code


# The handshake.


def test_the_scope() -> None:
    with served(echo, root_path="/app", trusted_proxies=TrustedProxies("127.0.0.1")) as (server, site):
        headers = (
            b"X-A: 1\r\nX-A: caf\xe9\r\nSec-WebSocket-Protocol: chat, news\r\nX-Forwarded-For: 203.0.113.7\r\n"
        )
        opened(server, path=b"/a%20b?c=%20", headers=headers)
        scope = site.scopes[0]
    assert scope["path"] == "/app/a b"
    assert scope["raw_path"] == b"/app/a%20b"
    assert scope["query_string"] == b"c=%20"
    assert (scope["root_path"], scope["scheme"], scope["http_version"]) == ("/app", "ws", "1.1")
    assert scope["client"] == ("203.0.113.7", 0)
    assert scope["server"] == server.address
    assert scope["subprotocols"] == ["chat", "news"]
    assert [value for name, value in scope["headers"] if name == b"x-a"] == [b"1", b"caf\xe9"]


def test_an_absolute_target() -> None:
    """RFC 9112, section 3.2.2: its host counts, and the application sees its path."""
    with served(echo) as (server, site):
        opened(server, path=b"http://b:80/a%20b?c=%20")
    scope = site.scopes[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=%20")
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"b:80"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [(b"/" + b"a" * 50_000, b""), (b"/", b"Cookie: " + b"a" * 50_000 + b"\r\n"), (b"/", b"X: a\r\n" * 900)],
    ids=["path", "header", "headers"],
)
def test_a_large_handshake(path: bytes, headers: bytes) -> None:
    """The limits are those of any request."""
    with served(echo) as (server, site):
        opened(server, path=path, headers=headers)
    assert site.scopes[0]["raw_path"] == path


def test_an_acceptance_with_headers_and_a_subprotocol() -> None:
    async def accept(receive: Any, send: Any, scope: Any) -> None:
        headers = [
            (b"X-A", b"caf\xe9"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"date", b"today"),
            (b"transfer-encoding", b"chunked"),
            (b"sec-websocket-accept", b"forged"),
        ]
        await send({"type": "websocket.accept", "subprotocol": "news", "headers": headers})
        await receive()

    with served(accept) as (server, _), dial(server, subprotocols=["chat", "news"]) as client:
        assert client.response is not None
        headers = client.response.headers
        assert client.subprotocol == "news"
    assert headers["X-A"] == "caf\xe9"
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert headers.get_all("Date") == ["today"]
    assert "Transfer-Encoding" not in headers
    assert len(headers.get_all("Sec-WebSocket-Accept")) == 1


def test_a_refusal() -> None:
    async def close(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.close"})
        await receive()

    with served(close) as (server, site):
        with pytest.raises(InvalidStatus) as refused:
            dial(server)
        assert refused.value.response.status_code == 403
        eventually(lambda: site.disconnects() == [(1006, "")])


def test_a_refusal_with_a_response_of_its_own() -> None:
    async def answer(receive: Any, send: Any, scope: Any) -> None:
        headers = [(b"x-why", b"full"), (b"content-length", b"99"), (b"date", b"today")]
        await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"later", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b", please"})

    with served(answer) as (server, _):
        response, body = read_response(raw(server))
    assert (response.status, body) == (429, b"later, please")
    assert response.getheader("x-why") == "full"
    assert response.headers.get_all("content-length") == ["13"]
    assert response.headers.get_all("date") == ["today"]
    assert response.getheader("connection") == "close"


@pytest.mark.parametrize("status", [101, 99, 600])
def test_a_refusal_with_an_invalid_status(status: int, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    with served(answer) as (server, _):
        assert read_response(raw(server))[0].status == 500
    assert "ends because of an error in the application" in caplog.text


@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.accept", "headers": [(b"x", b"a\r\nset-cookie: b=c")]},
        {"type": "websocket.accept", "headers": [(b"x\r\n", b"a")]},
        {"type": "websocket.accept", "headers": {"x": "y"}},
        {"type": "websocket.accept", "subprotocol": "a\r\nset-cookie: b=c"},
        {"type": "websocket.http.response.start", "status": 403, "headers": [(b"x", b"a\r\nset-cookie: b=c")]},
        {"type": "websocket.http.response.start", "status": 403, "headers": [("x", "a\r\nset-cookie: b=c")]},
    ],
    ids=str,
)
def test_headers_that_would_forge_others(event: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    async def answer(receive: Any, send: Any, scope: Any) -> None:
        await send(event)
        await send({"type": "websocket.http.response.body", "body": b""})

    with served(answer) as (server, _):
        response, _ = read_response(raw(server))
    assert response.status == 500
    assert response.getheader("set-cookie") is None
    assert "ends because of an error in the application" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), SystemExit("out of luck")], ids=repr)
@pytest.mark.parametrize("accepted", [False, True])
def test_an_application_that_raises(
    accepted: bool, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(receive: Any, send: Any, scope: Any) -> None:
        if accepted:
            await send({"type": "websocket.accept"})
        raise error

    with served(fail) as (server, _):
        if accepted:
            assert close_code(opened(server)) == 1011
        else:
            assert read_response(raw(server))[0].status == 500
    assert "out of luck" in caplog.text


@pytest.mark.parametrize("accepted", [False, True])
def test_an_application_that_ends(accepted: bool) -> None:
    async def end(receive: Any, send: Any, scope: Any) -> None:
        if accepted:
            await send({"type": "websocket.accept"})

    with served(end) as (server, _):
        if accepted:
            assert close_code(opened(server)) == 1000
        else:
            assert read_response(raw(server))[0].status == 500


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (b"/caf\xe9", b"", 400),
        (b"/", b"Sec-WebSocket-Key: another\r\n", 400),
        (b"/", b"Sec-WebSocket-Protocol: (\r\n", 400),
        (b"/", b"Content-Length: 5\r\n", 400),
        (b"/", b"Transfer-Encoding: chunked\r\n", 400),
        (b"/", b"no header\r\n", 400),
        (b"/", b"Upgrade: h2c\r\n", 426),
        (b"/", b"Cookie: " + b"x" * 2**17 + b"\r\n", 431),
        (b"/", b"X: a\r\n" * 1000, 431),
        (b"/", b"Sec-WebSocket-Protocol: " + b"a," * 5000 + b"a\r\n", 431),
        (b"/", b"Connection: " + b"a," * 5000 + b"a\r\n", 431),
        (b"/" + b"x" * 2**17, b"", 431),
    ],
)
def test_an_invalid_handshake(path: bytes, headers: bytes, status: int) -> None:
    with served(echo) as (server, site):
        response = read_until_closed(raw(server, path, headers))
        assert response.startswith(b"HTTP/1.1 %d " % status)
        assert site.scopes == []
        with dial(server) as client:
            client.send("still here")
            assert client.recv(DEADLINE) == "still here"


# Messages.


@pytest.mark.parametrize("script", [echo, echo_directly])
@pytest.mark.parametrize("deflate", [False, True])
def test_messages_both_ways(script: Callable[..., Any], deflate: bool) -> None:
    if deflate and script is echo_directly:
        return  # where frames are compressed, write() always refuses
    messages: list[str | bytes] = ["", "x", "grüße", b"", b"\0\xff", "y" * 70_000, b"z" * 200]
    compression = "deflate" if deflate else None
    with (
        served(script, per_message_deflate=deflate) as (server, _),
        dial(server, compression=compression) as client,
    ):
        assert bool(client.protocol.extensions) == deflate
        for message in messages:
            client.send(message)
        assert [client.recv(DEADLINE) for _ in messages] == messages


@pytest.mark.parametrize("script", [echo, echo_directly])
def test_what_comes_before_the_decision_is_held_back(script: Callable[..., Any]) -> None:
    go = asyncio.Event()

    async def later(receive: Any, send: Any, scope: Any) -> None:
        await go.wait()
        await script(receive, send, scope)

    early = frame(Opcode.PING, b"?") + frame(Opcode.TEXT, b"one") + frame(Opcode.TEXT, b"two")
    with served(later) as (server, site):
        client = raw(server, rest=early)
        eventually(lambda: site.scopes)
        client.sendall(frame(Opcode.TEXT, b"three"))
        assert server.server._loop is not None
        server.server._loop.call_soon_threadsafe(go.set)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        read = [read_frame(client) for _ in range(4)]
    assert sorted(data for _, data in read) == [b"?", b"one", b"three", b"two"]
    assert [data for opcode, data in read if opcode is Opcode.TEXT] == [b"one", b"two", b"three"]


async def never_decides(receive: Any, send: Any, scope: Any) -> None:
    await receive()


async def never_wants(receive: Any, send: Any, scope: Any) -> None:
    scope["extensions"][DIRECT].pause()
    await send({"type": "websocket.accept"})
    scope["extensions"][DIRECT].pause()
    await asyncio.Event().wait()


@pytest.mark.parametrize("script", [never_decides, never_wants])
def test_what_is_held_back_is_bounded(script: Callable[..., Any]) -> None:
    with served(script, shutdown_timeout=0.1) as (server, site):
        client = raw(server)
        eventually(lambda: site.scopes)
        if script is never_wants:
            assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        connection = next(iter(server.server.connections))
        assert isinstance(connection, WebSocketConnection)
        while connection._transport.is_reading():
            client.sendall(frame(Opcode.BINARY, b"x" * 4096))
        assert connection._reader.size < 2**20
        client.close()
        server.server.stop()
        server.join()
        server.error = None


@pytest.mark.parametrize("script", [never_decides, never_wants])
def test_a_client_that_leaves_while_it_is_held_back(script: Callable[..., Any]) -> None:
    with served(script, shutdown_timeout=0.1) as (server, site):
        client = raw(server)
        eventually(lambda: site.scopes)
        client.sendall(frame(Opcode.BINARY, b"x" * 4096))
        client.close()
        eventually(lambda: not server.server.connections)
        server.server.stop()
        server.join()
        server.error = None


def test_a_message_that_is_too_large() -> None:
    for data in (b"x" * 101, b"x" * 500_000):
        with served(echo, max_message_size=100) as (server, site):
            client = opened(server)
            client.sendall(frame(Opcode.TEXT, b"x" * 60, False) + frame(Opcode.CONT, data))
            assert close_code(client) == 1009
            assert read_until_closed(client) == b""
            eventually(lambda site=site: [code for code, _ in site.disconnects()] == [1009])


def test_a_compression_bomb() -> None:
    compressor = zlib.compressobj(wbits=-12)
    bomb = compressor.compress(bytes(2**26)) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert len(bomb) < 2**17
    head = struct.pack("!BBQ4s", 0b11000010, 0x80 | 127, len(bomb), bytes(4))
    with served(echo, per_message_deflate=True) as (server, site):
        client = opened(server, headers=b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
        client.sendall(head + bomb)
        assert close_code(client) == 1009
        eventually(lambda: [code for code, _ in site.disconnects()] == [1009])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(Opcode.CONT, b"x"), 1002),
        (frame(Opcode.TEXT, b"x", False) + frame(Opcode.TEXT, b"x"), 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x81\x00", 1002),
        (b"\x89\xfe\x00\x7f" + bytes(131), 1002),
        (frame(Opcode.CLOSE, b"\x03\xed"), 1002),
        (frame(Opcode.CLOSE, b"x"), 1002),
        (frame(Opcode.TEXT, b"\xff"), 1007),
        (frame(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
    ],
    ids=itertools.count(),  # the frames have random masks
)
def test_violations_of_the_protocol(data: bytes, code: int) -> None:
    with served(echo) as (server, site):
        client = opened(server)
        client.sendall(data)
        assert close_code(client) == code
        assert read_until_closed(client) == b""
        client.close()
        eventually(lambda: [code for code, _ in site.disconnects()] == [code])


def test_pings_are_answered() -> None:
    with served(echo) as (server, _):
        client = opened(server)
        client.sendall(frame(Opcode.PING, b"a") + frame(Opcode.PONG, b"unasked") + frame(Opcode.PING))
        assert [read_frame(client) for _ in range(2)] == [(Opcode.PONG, b"a"), (Opcode.PONG, b"")]


def test_a_flood_of_pings_whose_answers_nobody_reads() -> None:
    with served(echo) as (server, _):
        client = opened(server, receive_buffer=4096)
        connection = next(iter(server.server.connections))
        assert isinstance(connection, WebSocketConnection)
        flood = frame(Opcode.PING, b"x" * 125) * 1000
        for _ in range(100):
            client.sendall(flood)
        eventually(lambda: connection._caught_up is not None or connection._transport.get_write_buffer_size() == 0)
        assert connection._transport.get_write_buffer_size() < 2**20


def test_an_application_that_sends_all_the_time_holds_up_nobody_else() -> None:
    go_on = True

    async def flood(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.accept"})
        while go_on and scope["path"] == "/flood":
            await send({"type": "websocket.send", "text": "x"})
        await receive()

    with served(flood) as (server, _):
        client = opened(server, path=b"/flood")
        assert read_frame(client) == (Opcode.TEXT, b"x")
        client.close()
        opened(server, path=b"/other").close()
        go_on = False


# The end.


def test_a_connection_that_broke_just_before_it_was_handed_over() -> None:
    """A transport for TLS then calls the protocol of the HTTP connection."""
    with served(swallow) as (server, site):
        client = server.connect()
        [http] = eventually(lambda: list(server.server.connections))
        assert isinstance(http, HttpConnection)
        client.sendall(HANDSHAKE % (b"/", b""))
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        http._loop.call_soon_threadsafe(http.connection_lost, None)
        eventually(lambda: site.disconnects() == [(1006, "")])
        eventually(lambda: not server.server.connections and not server.server.tasks)


def test_nothing_more_is_sent_to_a_client_that_has_closed_its_side() -> None:
    """While it reads what was sent before, a closing transport for TLS would log a warning for each frame."""
    written: list[bool] = []

    def close(connection: WebSocketConnection) -> None:
        connection.eof_received()
        written.append(connection.write(b"\x81\x00"))

    with served(swallow) as (server, site):
        opened(server)
        [connection] = server.server.connections
        assert isinstance(connection, WebSocketConnection)
        connection._loop.call_soon_threadsafe(close, connection)
        eventually(lambda: site.disconnects() == [(1006, "")])
        assert written == [False]


@pytest.mark.parametrize("script", [swallow, swallow_directly])
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (4999, "for a reason")])
def test_a_client_closes(script: Callable[..., Any], code: int, reason: str) -> None:
    with served(script) as (server, site):
        client = opened(server)
        client.sendall(
            frame(Opcode.TEXT, b"last words") * 2 + frame(Opcode.CLOSE, Close(code, reason).serialize())
        )
        assert close_code(client) == code
        assert client.recv(1) == b""
        eventually(lambda: site.disconnects() == [(code, reason)])
        eventually(lambda: not server.server.connections)
        assert site.texts == ["last words"] * 2


def test_an_answer_to_a_client_that_has_closed() -> None:
    with served(echo) as (server, _):
        client = opened(server)
        client.sendall(frame(Opcode.TEXT, b"last words") + frame(Opcode.CLOSE, Close(4000, "").serialize()))
        assert close_code(client) == 4000
        eventually(lambda: not server.server.connections and not server.server.tasks)


def test_a_client_closes_without_a_code() -> None:
    with served(echo) as (server, site):
        client = opened(server)
        client.sendall(frame(Opcode.CLOSE))
        assert read_frame(client) == (Opcode.CLOSE, b"")
        eventually(lambda: site.disconnects() == [(1005, "")])


def test_a_client_vanishes() -> None:
    with served(echo) as (server, site):
        opened(server).close()
        eventually(lambda: site.disconnects() == [(1006, "")])
        eventually(lambda: not server.server.connections)


def test_the_application_closes() -> None:
    async def close(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})
        await receive()

    with served(close) as (server, site):
        client = opened(server)
        client.sendall(frame(Opcode.TEXT, b"too late"))
        assert read_frame(client) == (Opcode.CLOSE, Close(4000, "enough").serialize())
        client.sendall(frame(Opcode.CLOSE, Close(4000, "").serialize()))
        assert client.recv(1) == b""
        assert site.disconnects() == [(4000, "enough")]


def test_a_client_that_does_not_answer_a_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_connection, "CLOSE_SECONDS", 0.2)

    async def close(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    with served(close) as (server, _):
        client = opened(server)
        assert close_code(client) == 1000
        eventually(lambda: not server.server.connections)


@pytest.mark.parametrize("half", [False, True])
def test_a_client_that_reads_nothing_and_leaves(half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_connection, "CLOSE_SECONDS", 0.2)

    async def flood(receive: Any, send: Any, scope: Any) -> None:
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 65536})

    with served(flood) as (server, _):
        client = raw(server, receive_buffer=4096)
        eventually(
            lambda: any(getattr(connection, "_caught_up", None) for connection in server.server.connections)
        )
        client.shutdown(socket.SHUT_WR) if half else client.close()
        eventually(lambda: not server.server.connections and not server.server.tasks)


@pytest.mark.parametrize("script", [echo, echo_directly])
def test_the_server_stops(script: Callable[..., Any]) -> None:
    with served(script) as (server, site):
        with dial(server) as client:
            server.server.stop()
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.join() is None
    assert [code for code, _ in site.disconnects()] == [1012]


def test_the_server_stops_before_the_decision() -> None:
    async def never(receive: Any, send: Any, scope: Any) -> None:
        await receive()

    with served(never) as (server, site):
        client = raw(server)
        eventually(lambda: site.scopes)
        server.server.stop()
        assert read_response(client)[0].status == 503
        assert server.join() is None


def test_the_server_stops_and_a_client_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_connection, "SHUTDOWN_SECONDS", 0.2)
    with served(echo) as (server, site):
        client = opened(server)
        server.server.stop()
        assert close_code(client) == 1012
        assert server.join() is None
    assert [code for code, _ in site.disconnects()] == [1012]


def test_a_client_that_answers_no_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(echo, ping_interval=0.1, ping_timeout=0.2) as (server, site), dial(server) as alive:
        dead = opened(server)
        assert read_frame(dead)[0] is Opcode.PING
        assert close_code(dead) == 1011
        eventually(lambda: site.disconnects() == [(1006, "")])
        alive.send("still here")
        assert alive.recv(DEADLINE) == "still here"
