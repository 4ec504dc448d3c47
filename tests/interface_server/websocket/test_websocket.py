"""WebSockets over real sockets: every line of the specification, section 4, with the test as the worker."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection

from channels_classic.layers import InMemoryChannelLayer
from tests.interface_server.hosted import DEADLINE, HANDSHAKE, Hosted, eventually, read_until_closed

Start = Callable[..., Hosted]


def connecting(hosted: Hosted) -> str:
    """The reply channel of the next socket that wants to connect."""
    reply_channel: str = hosted.receive("websocket.connect")["reply_channel"]
    return reply_channel


def code_of(connection: ClientConnection) -> int:
    """The code that the connection is closed with."""
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=DEADLINE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def refusal(dialled: Any) -> int:
    """The status of a handshake that failed."""
    with pytest.raises(InvalidStatus) as refused:
        dialled.result(DEADLINE)
    status: int = refused.value.response.status_code
    return status


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


# From the client.


def test_the_handshake_as_a_message(hosted: Hosted) -> None:
    client = hosted.raw(
        HANDSHAKE
        % (b"/caf%C3%A9/a%2Fb/?q=%20&q=2", b"X_Forged: 1\r\nX-Twice: 1\r\nCookie: a=b\r\nX-Twice: caf\xe9\r\n")
    )
    content = hosted.receive("websocket.connect")
    reply_channel = content.pop("reply_channel")
    headers = content.pop("headers")
    assert content == {
        "scheme": "ws",
        "path": "/café/a/b/",
        "query_string": b"q=%20&q=2",
        "root_path": "",
        "client": list(client.getsockname()),
        "server": list(hosted.address),
        "order": 0,
    }
    assert headers == [
        [b"host", b"a"],
        [b"upgrade", b"websocket"],
        [b"connection", b"Upgrade"],
        [b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="],
        [b"sec-websocket-version", b"13"],
        [b"x-twice", b"1"],
        [b"cookie", b"a=b"],
        [b"x-twice", b"caf\xe9"],
    ]
    hosted.send(reply_channel, accept=True)
    assert client.recv(1000).startswith(b"HTTP/1.1 101 ")


def test_frames_as_messages(hosted: Hosted) -> None:
    connection, reply_channel = hosted.open("/a%20b?c=d")
    sent: list[tuple[str, str | bytes]] = [
        ("text", "hello"),
        ("bytes", b"\x00\xff"),
        ("text", ""),
        ("bytes", b""),
        ("text", "caf\u00e9 \U0001f600"),
    ]
    for order, (kind, data) in enumerate(sent, 1):
        connection.send(data)
        assert hosted.receive("websocket.receive") == {
            "reply_channel": reply_channel,
            "path": "/a b",
            "order": order,
            kind: data,
        }
    connection.close(4321)
    assert hosted.receive_for("websocket.disconnect", reply_channel) == {
        "reply_channel": reply_channel,
        "path": "/a b",
        "code": 4321,
        "order": len(sent) + 1,
    }


def test_frames_of_a_burst_keep_their_order(hosted: Hosted) -> None:
    capacity = hosted.layer.capacity
    connection, _ = hosted.open()
    for number in range(capacity):
        connection.send(str(number))
    received = [hosted.receive("websocket.receive") for _ in range(capacity)]
    assert [(message["order"], message["text"]) for message in received] == [
        (number + 1, str(number)) for number in range(capacity)
    ]


def test_a_message_in_fragments_is_one_message(hosted: Hosted) -> None:
    connection, _ = hosted.open()
    connection.send(["one ", "two ", "three"])
    assert hosted.receive("websocket.receive")["text"] == "one two three"


def test_each_socket_counts_for_itself(hosted: Hosted) -> None:
    first, _ = hosted.open()
    first.send("a")
    assert hosted.receive("websocket.receive")["order"] == 1
    second, _ = hosted.open()
    second.send("b")
    assert hosted.receive("websocket.receive")["order"] == 1
    first.send("c")
    assert hosted.receive("websocket.receive")["order"] == 2


def test_ping_and_pong_are_the_servers_business(hosted: Hosted) -> None:
    connection, _ = hosted.open()
    assert connection.ping().wait(DEADLINE)
    connection.send("after")
    assert hosted.receive("websocket.receive")["order"] == 1


def test_a_close_without_a_code(hosted: Hosted) -> None:
    connection, reply_channel = hosted.open()
    connection.close()
    message = hosted.receive_for("websocket.disconnect", reply_channel)
    assert (message["code"], message["order"]) == (1000, 1)


@pytest.mark.parametrize("how", [b"", b"\x01\x00\x00\x00\x00\x00\x00\x00"], ids=["end", "reset"])
def test_a_client_that_vanishes(hosted: Hosted, how: bytes) -> None:
    connection, reply_channel = hosted.open("/gone")
    connection.send("last words")
    assert hosted.receive("websocket.receive")["order"] == 1
    if how:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
        connection.socket.close()
    else:
        connection.socket.shutdown(socket.SHUT_RDWR)
    message = hosted.receive_for("websocket.disconnect", reply_channel)
    assert (message["path"], message["code"], message["order"]) == ("/gone", 1006, 2)


def test_a_close_frame_without_a_code(hosted: Hosted) -> None:
    client = hosted.raw(HANDSHAKE % (b"/", b""))
    reply_channel = connecting(hosted)
    hosted.send(reply_channel, accept=True)
    assert b" 101 " in client.recv(1000)
    client.sendall(Frame(Opcode.CLOSE, b"").serialize(mask=True))
    assert hosted.receive_for("websocket.disconnect", reply_channel)["code"] == 1005


def test_frames_wait_for_the_accept(hosted: Hosted) -> None:
    client = hosted.raw(HANDSHAKE % (b"/hasty", b""))
    reply_channel = connecting(hosted)
    for early in (b"hasty", b"hastier"):
        client.sendall(Frame(Opcode.TEXT, early).serialize(mask=True))
    other, _ = hosted.open()
    for text in ("one", "two"):
        other.send(text)
        assert hosted.receive("websocket.receive")["text"] == text
    assert hosted.is_empty("websocket.receive")
    hosted.send(reply_channel, accept=True)
    client.sendall(Frame(Opcode.TEXT, b"patient").serialize(mask=True))
    for order, text in enumerate(("hasty", "hastier", "patient"), 1):
        message = hosted.receive("websocket.receive")
        assert (message["path"], message["text"], message["order"]) == ("/hasty", text, order)


def test_a_client_that_goes_away_before_the_accept(hosted: Hosted) -> None:
    client = hosted.raw(HANDSHAKE % (b"/gone", b""))
    reply_channel = connecting(hosted)
    client.close()
    hosted.send(reply_channel, accept=True)
    assert hosted.receive_for("websocket.disconnect", reply_channel)["path"] == "/gone"


def test_text_that_is_not_utf_8(hosted: Hosted) -> None:
    connection, reply_channel = hosted.open()
    connection.send(b"\xff", text=True)
    assert code_of(connection) == 1007
    message = hosted.receive_for("websocket.disconnect", reply_channel)
    assert (message["code"], message["order"]) == (1007, 1)


# The handshake.


def test_accept_and_what_came_along(hosted: Hosted) -> None:
    dialled = hosted.dial()
    hosted.send(connecting(hosted), accept=True, text="welcome")
    assert dialled.result(DEADLINE).recv(timeout=DEADLINE) == "welcome"


@pytest.mark.parametrize("data", ["hello", b"\x00\x01"])
def test_data_accepts(hosted: Hosted, data: str | bytes) -> None:
    dialled = hosted.dial()
    hosted.send(connecting(hosted), **{"text" if isinstance(data, str) else "bytes": data})
    connection = dialled.result(DEADLINE)
    assert connection.recv(timeout=DEADLINE) == data
    connection.send("answer")
    assert hosted.receive("websocket.receive")["order"] == 1


@pytest.mark.parametrize("message", [{"accept": False}, {"close": True}, {"close": 4000}], ids=str)
def test_a_rejected_handshake(hosted: Hosted, message: dict[str, Any]) -> None:
    dialled = hosted.dial()
    hosted.send(connecting(hosted), **message)
    assert refusal(dialled) == 403


@pytest.mark.parametrize("close", [99, 1006, 5000, "now"])
def test_a_close_with_no_valid_code_refuses_at_once(
    hosted: Hosted, caplog: pytest.LogCaptureFixture, close: Any
) -> None:
    dialled = hosted.dial("/odd")
    hosted.send(connecting(hosted), close=close)
    assert refusal(dialled) == 403
    [warning] = warnings(caplog)
    assert "a close code that can be sent" in warning


@pytest.mark.parametrize(("close", "code"), [(True, 1000), (4001, 4001)])
def test_data_with_close_is_sent_before_the_socket_closes(hosted: Hosted, close: Any, code: int) -> None:
    dialled = hosted.dial()
    reply_channel = connecting(hosted)
    hosted.send(reply_channel, text="sorry", close=close)
    connection = dialled.result(DEADLINE)
    assert connection.recv(timeout=DEADLINE) == "sorry"
    assert code_of(connection) == code
    assert hosted.receive_for("websocket.disconnect", reply_channel)["code"] == code


def test_nobody_accepts(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    hosted = start(websocket_handshake_timeout=0.3)
    dialled = hosted.dial("/alone")
    reply_channel = connecting(hosted)
    assert refusal(dialled) == 403
    [warning] = warnings(caplog)
    assert "Nobody accepted the WebSocket /alone within 0.3 s" in warning
    assert "websocket.connect" in warning
    hosted.send(reply_channel, accept=True)
    connection, _ = hosted.open()
    connection.send("next")
    assert hosted.receive("websocket.receive")["text"] == "next"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"status": 200, "content": b"for HTTP"}, "but has content, status"),
        ({"text": "a", "bytes": b"b"}, "text or bytes, not both"),
        ({"accept": True, "headers": [[b"a", b"b\r\nc: d"]]}, "no line break"),
        ({"accept": True, "subprotocol": "soap"}, "did not offer the subprotocol 'soap'"),
    ],
    ids=str,
)
def test_invalid_messages_during_the_handshake_are_ignored_with_a_warning(
    hosted: Hosted, caplog: pytest.LogCaptureFixture, message: dict[str, Any], reason: str
) -> None:
    dialled = hosted.dial("/odd")
    reply_channel = connecting(hosted)
    hosted.send(reply_channel, **message)
    hosted.send(reply_channel, text="fits")
    assert dialled.result(DEADLINE).recv(timeout=DEADLINE) == "fits"
    [warning] = warnings(caplog)
    assert "/odd was ignored" in warning
    assert reason in warning


@pytest.mark.parametrize(
    ("offered", "named", "agreed"),
    [(["a", "chat"], {"subprotocol": "a"}, "a"), (["a", "chat"], {}, "chat"), (["a"], {}, None), (None, {}, None)],
)
def test_subprotocols(start: Start, offered: Any, named: dict[str, str], agreed: str | None) -> None:
    hosted = start(ws_protocols=["chat"])
    dialled = hosted.dial(subprotocols=offered)
    hosted.send(connecting(hosted), accept=True, **named)
    assert dialled.result(DEADLINE).subprotocol == agreed


def test_headers_of_the_handshake(hosted: Hosted) -> None:
    dialled = hosted.dial()
    hosted.send(connecting(hosted), accept=True, headers=[[b"Set-Cookie", b"a=1"], [b"set-cookie", b"b=2"]])
    response = dialled.result(DEADLINE).response
    assert response is not None
    assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]


def test_websocket_connect_is_full(start: Start) -> None:
    hosted = start(InMemoryChannelLayer(channel_capacity={"websocket.connect": 1}))
    first = hosted.dial("/first")
    eventually(lambda: hosted.layer.channel_statistics("websocket.connect")["messages_pending"])
    assert refusal(hosted.dial("/second")) == 503
    hosted.send(connecting(hosted), accept=True)
    first.result(DEADLINE).close()
    assert hosted.receive("websocket.disconnect")["path"] == "/first"
    assert hosted.is_empty("websocket.disconnect")


# When open.


def test_data_is_sent_and_close_closes(hosted: Hosted) -> None:
    connection, reply_channel = hosted.open()
    hosted.send(reply_channel, text="one")
    hosted.send(reply_channel, bytes=b"two")
    hosted.send(reply_channel, accept=True)
    hosted.send(reply_channel, accept=False)
    hosted.send(reply_channel, text="three", close=False)
    hosted.send(reply_channel, text="four", close=3456)
    received = [connection.recv(timeout=DEADLINE) for _ in range(4)]
    assert received == ["one", b"two", "three", "four"]
    assert code_of(connection) == 3456
    message = hosted.receive_for("websocket.disconnect", reply_channel)
    assert (message["code"], message["order"]) == (3456, 1)
    hosted.send(reply_channel, text="too late")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"text": "a", "bytes": b"b"}, "text or bytes, not both"),
        ({"text": "a", "bytes": b"b", "close": True}, "text or bytes, not both"),
        ({"close": 1006}, "a close code that can be sent, not 1006"),
        ({"text": 5}, "text must be a str"),
        ({"txet": "misspelt"}, "but has txet"),
    ],
    ids=str,
)
def test_invalid_messages_are_ignored_with_a_warning(
    hosted: Hosted, caplog: pytest.LogCaptureFixture, message: dict[str, Any], reason: str
) -> None:
    connection, reply_channel = hosted.open("/odd")
    hosted.send(reply_channel, **message)
    hosted.send(reply_channel, text="fits")
    assert connection.recv(timeout=DEADLINE) == "fits"
    [warning] = warnings(caplog)
    assert "/odd was ignored" in warning
    assert reason in warning


def test_messages_without_known_keys_give_one_warning_for_each_kind(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    hosted = start()
    connections = [hosted.open(f"/{number}") for number in range(3)]
    for _ in range(3):
        for _, reply_channel in connections:
            hosted.send(reply_channel, txet="hello", to="you")
            hosted.send(reply_channel, type="websocket.send")
    for connection, reply_channel in connections:
        hosted.send(reply_channel, text="fits", bytes=b"", extra=5)
        assert connection.recv(timeout=DEADLINE) == "fits"
    first, second = warnings(caplog)
    assert "The WebSocket /0 was" not in first
    assert "/0 was ignored: it should have one of accept, bytes, close" in first
    assert "but has to, txet" in first
    assert "but has type" in second


def test_frames_after_a_close_are_not_passed_on(hosted: Hosted) -> None:
    client = hosted.raw(HANDSHAKE % (b"/", b""))
    reply_channel = connecting(hosted)
    hosted.send(reply_channel, accept=True)
    assert b"101" in client.recv(1000)
    hosted.send(reply_channel, close=True)
    assert client.recv(100) == b"\x88\x02\x03\xe8"
    client.sendall(Frame(Opcode.TEXT, b"late").serialize(mask=True))
    client.sendall(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    assert read_until_closed(client) == b""
    assert hosted.receive_for("websocket.disconnect", reply_channel)["order"] == 1
    assert hosted.is_empty("websocket.receive")


def test_half_a_surrogate_pair(hosted: Hosted) -> None:
    connection, reply_channel = hosted.open()
    hosted.send(reply_channel, text="\ud83d!")
    assert connection.recv(timeout=DEADLINE) == "?!"


def test_a_full_channel_is_tried_again(start: Start) -> None:
    hosted = start(InMemoryChannelLayer(channel_capacity={"websocket.receive": 1}))
    connection, _ = hosted.open()
    for number in range(20):
        connection.send(str(number))
    eventually(lambda: hosted.layer.channel_statistics("websocket.receive")["channel_full_count"])
    received = [hosted.receive("websocket.receive") for _ in range(20)]
    assert [message["text"] for message in received] == [str(number) for number in range(20)]
    assert [message["order"] for message in received] == list(range(1, 21))


@pytest.mark.parametrize(
    "data", ["x" * 1001, b"x" * 1001, ["x" * 600, "x" * 600]], ids=["text", "bytes", "fragments"]
)
def test_a_frame_that_is_too_large(start: Start, data: Any) -> None:
    hosted = start(max_message_size=1000)
    connection, reply_channel = hosted.open()
    connection.send("x" * 1000)
    assert hosted.receive("websocket.receive")["order"] == 1
    with suppress(ConnectionClosed):  # the server may not wait for the last fragment
        connection.send(data)
    assert code_of(connection) == 1009
    message = hosted.receive("websocket.disconnect")
    assert (message["reply_channel"], message["code"], message["order"]) == (reply_channel, 1009, 2)
    assert hosted.is_empty("websocket.receive")


@pytest.mark.parametrize("text", ["x" * 2**20, "\x01" * 2**18], ids=["with its message", "as JSON"])
def test_a_frame_that_no_message_can_carry(hosted: Hosted, text: str) -> None:
    connection, reply_channel = hosted.open()
    connection.send(text)
    assert code_of(connection) == 1009
    message = hosted.receive_for("websocket.disconnect", reply_channel)
    assert (message["code"], message["order"]) == (1009, 1)
    assert hosted.is_empty("websocket.receive")


def test_a_socket_with_a_lifetime(start: Start) -> None:
    hosted = start(websocket_timeout=0.3)
    connection, reply_channel = hosted.open()
    assert code_of(connection) == 1000
    assert hosted.receive("websocket.disconnect")["reply_channel"] == reply_channel


# Many.


def test_a_broadcast(hosted: Hosted) -> None:
    connections = []
    for _ in range(40):
        connection, reply_channel = hosted.open()
        hosted.layer.group_add("everyone", reply_channel)
        connections.append(connection)
    outsider, to_outsider = hosted.open()
    for number in range(10):
        hosted.layer.send_group("everyone", {"text": str(number)})
    hosted.send(to_outsider, text="only you")
    for connection in connections:
        received = [connection.recv(timeout=DEADLINE) for _ in range(10)]
        assert received == [str(number) for number in range(10)]
    assert outsider.recv(timeout=DEADLINE) == "only you"


def test_memberships_end_with_the_socket(hosted: Hosted) -> None:
    stays, to_stays = hosted.open()
    leaves, to_leaves = hosted.open()
    for reply_channel in (to_stays, to_leaves):
        hosted.layer.group_add("everyone", reply_channel)
    leaves.close()
    eventually(lambda: hosted.layer.group_channels("everyone") == [to_stays])
    # A consumer that is late adds one that is gone: the next message to it shows, and it leaves again.
    hosted.layer.group_add("everyone", to_leaves)
    hosted.layer.send_group("everyone", {"text": "hello"})
    assert stays.recv(timeout=DEADLINE) == "hello"
    eventually(lambda: hosted.layer.group_channels("everyone") == [to_stays])


def test_lines_for_the_access_log(start: Start) -> None:
    hosted = start()
    connection, _ = hosted.open("/open")
    connection.close(4999)
    dialled = hosted.dial("/shut")
    hosted.send(connecting(hosted), close=True)
    assert refusal(dialled) == 403
    eventually(lambda: len(hosted.access) == 5)
    assert [(event, path, details.get("code")) for event, path, details in hosted.access] == [
        ("websocket.connecting", "/open", None),
        ("websocket.connected", "/open", None),
        ("websocket.disconnected", "/open", 4999),
        ("websocket.connecting", "/shut", None),
        ("websocket.rejected", "/shut", None),
    ]
    clients = [details["client"] for _, _, details in hosted.access]
    assert clients == [clients[0]] * 3 + [clients[3]] * 2
    assert len(set(clients)) == 2
    assert hosted.access[2][2]["seconds"] >= 0
