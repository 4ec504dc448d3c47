"""Clients that do not behave, and what uvicorn alone would leave unanswered."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from interface_server.transport import socket_protocol
from tests.interface_server.hosted import DEADLINE, HANDSHAKE, Hosted, read_until_closed

Start = Callable[..., Hosted]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (b"/caf\xe9", b""),
        (b"/", b"Sec-WebSocket-Key: another\r\n"),
        (b"/", b"Sec-WebSocket-Protocol: (\r\n"),
    ],
)
def test_a_handshake_that_is_none(hosted: Hosted, path: bytes, headers: bytes) -> None:
    assert read_until_closed(hosted.raw(HANDSHAKE % (path, headers))).startswith(b"HTTP/1.1 400 ")
    assert hosted.is_empty("websocket.connect")
    connection, _ = hosted.open()
    connection.send("still here")
    assert hosted.receive("websocket.receive")["text"] == "still here"


@pytest.mark.parametrize(
    "headers", [{"Cookie": "x" * 9000}, {f"X-{number}": "x" * 8000 for number in range(140)}], ids=["long", "many"]
)
def test_headers_that_are_too_large(hosted: Hosted, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        hosted.dial(additional_headers=headers).result(DEADLINE)
    assert refused.value.response.status_code == 431
    assert hosted.is_empty("websocket.connect")


def test_a_client_that_reads_nothing_and_hangs_up(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_protocol, "FLUSH_SECONDS", 0.2)
    client = hosted.raw(HANDSHAKE % (b"/half", b""), receive_buffer=4096)
    reply_channel = hosted.receive("websocket.connect")["reply_channel"]
    hosted.send(reply_channel, accept=True)
    while hosted.takes(reply_channel, bytes=b"x" * 64 * 1024):
        pass
    client.shutdown(socket.SHUT_WR)
    assert hosted.receive_for("websocket.disconnect", reply_channel)["path"] == "/half"


@pytest.mark.parametrize("piece", [b"", b"x"], ids=["empty", "short"])
def test_a_message_in_many_fragments_takes_no_more_than_its_size(start: Start, piece: bytes) -> None:
    def frame(opcode: Opcode, data: bytes, fin: bool = False) -> bytes:
        return Frame(opcode, data, fin).serialize(mask=True)

    hosted = start()
    client = hosted.raw(HANDSHAKE % (b"/", b""))
    reply_channel = hosted.receive("websocket.connect")["reply_channel"]
    hosted.send(reply_channel, accept=True)
    assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
    client.sendall(frame(Opcode.BINARY, b"begin "))
    for _ in range(100):
        client.sendall(frame(Opcode.CONT, piece) * 1000)
    client.sendall(frame(Opcode.PING, b"all there?", True))
    received = b""
    while not received.endswith(b"all there?"):
        received += client.recv(4096)
    assert [len(connection.frames) for connection in hosted.connections] == [1]
    client.sendall(frame(Opcode.CONT, b" end", True))
    assert hosted.receive("websocket.receive")["bytes"] == b"begin " + piece * 100_000 + b" end"
