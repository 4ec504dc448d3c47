"""Clients that read slowly or not at all: only their senders wait, and memory is bounded."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from interface_server.http import backlog
from interface_server.transport import stall_watch
from interface_server.websocket.outgoing import BOUNDS
from tests.interface_server.hosted import DEADLINE, HANDSHAKE, Hosted, eventually, read_response


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


# Of an answer.


def answer(hosted: Hosted, **content: Any) -> str:
    """Answer the next request; its reply channel."""
    reply_channel: str = hosted.receive("http.request")["reply_channel"]
    hosted.send(reply_channel, **{"status": 200, **content})
    return reply_channel


def test_an_answer_is_taken_from_the_worker_at_once_and_given_to_the_client_as_it_reads(hosted: Hosted) -> None:
    """A part of it waits in memory, and the rest in a file."""
    slow = hosted.raw(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)
    reply_channel = answer(hosted, more_content=True)
    chunks = [bytes([number]) * 256 * 1024 for number in range(120)]
    for chunk in chunks:
        hosted.send(reply_channel, content=chunk, more_content=True)
    hosted.send(reply_channel, content=b"end")
    answers = hosted.server.exchanges.answers
    eventually(lambda: hosted.layer.channel_statistics(reply_channel)["messages_pending"] == 0)
    eventually(lambda: answers.size - answers.memory > 2**20)
    assert read_response(slow)[1] == b"".join(chunks) + b"end"
    eventually(lambda: (answers.size, answers.memory) == (0, 0))
    assert hosted.receive_for("http.disconnect", reply_channel)


def test_a_slow_client_holds_up_the_sender_of_its_answer_and_nobody_else(start: Callable[..., Hosted]) -> None:
    hosted = start(max_answer_size=4 * 2**20)
    slow = hosted.raw(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)
    reply_channel = answer(hosted, more_content=True)
    chunk = b"x" * 256 * 1024
    sent = 0

    while hosted.takes(reply_channel, content=chunk, more_content=True):
        sent += 1
        assert sent < 200
        eventually(lambda: not hosted.layer.channel_statistics(reply_channel)["messages_pending"])
    quick = hosted.get("/quick")
    answer(hosted, content=b"quick")
    assert quick.result(DEADLINE).text == "quick"

    read = hosted.call(read_response, slow)
    eventually(lambda: hosted.takes(reply_channel, content=b"end"))
    assert read.result(DEADLINE)[1] == chunk * sent + b"end"


def fill(hosted: Hosted) -> tuple[socket.socket, Any, int]:
    """A client that makes one request after another, and reads nothing until the server has bytes for it that no
    buffer of the system takes. Returns it with its connection, and the number of answers that it has not read."""
    client = hosted.raw(receive_buffer=4096)
    [connection] = eventually(lambda: hosted.connections)
    unread = 0
    while connection.is_writable:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer(hosted, content=b"x" * 900_000)
        eventually(lambda: hosted.server.context.reader.clients == 0)
        unread += 1
    return client, connection, unread


def test_what_comes_behind_an_answer_waits_until_the_client_has_read_it(start: Callable[..., Hosted]) -> None:
    """A WebSocket, too: what is sent to it would come on top."""
    hosted = start()
    client, connection, unread = fill(hosted)
    client.sendall(HANDSHAKE % (b"/", b""))
    eventually(lambda: connection._reader.waiting)
    assert hosted.is_empty("websocket.connect")
    left = unread * 900_000
    while left:
        left -= client.recv(2**20).count(b"x")
    hosted.send(hosted.receive("websocket.connect")["reply_channel"], accept=True)
    assert client.recv(4096).startswith(b"HTTP/1.1 101 ")


def test_a_client_that_reads_no_answers_and_makes_further_requests_is_cut_off(
    start: Callable[..., Hosted], caplog: pytest.LogCaptureFixture
) -> None:
    hosted = start()
    client, _, _ = fill(hosted)
    with pytest.raises(ConnectionError):
        client.sendall(b"GET /further HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000_000)
    assert "it sends requests, but does not wait for the answers" in caplog.text
    assert hosted.is_empty("http.request")


def test_answers_that_fill_the_storage_of_the_process(start: Callable[..., Hosted]) -> None:
    """From then on a sender waits much earlier."""
    hosted = start(max_answers_size=6 * 2**20)
    slow = []
    for _ in range(3):
        client = hosted.raw(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)
        reply_channel = answer(hosted, more_content=True)
        sent = 0
        while hosted.takes(reply_channel, content=b"x" * 2**18, more_content=True):
            sent += 1
            assert sent < 200
            eventually(lambda name=reply_channel: not hosted.layer.channel_statistics(name)["messages_pending"])
        slow.append((client, reply_channel, sent))
    assert hosted.server.exchanges.answers.size < 20 * 2**20
    for client, reply_channel, sent in slow:
        read = hosted.call(read_response, client)
        eventually(lambda name=reply_channel: hosted.takes(name, content=b"end"))
        assert len(read.result(DEADLINE)[1]) == sent * 2**18 + 3


def test_more_than_is_kept_for_a_client_ends_its_exchange(
    start: Callable[..., Hosted], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backlog, "IN_FLIGHT", 2 * 2**20)
    hosted = start(max_answer_size=2**20)
    hosted.raw(b"GET /stalled HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)
    reply_channel = answer(hosted, more_content=True)
    hosted.layer.group_add("events", reply_channel)
    # A group does not wait for one member, so what it sends piles up.
    for _ in range(1000):
        hosted.layer.send_group("events", {"content": b"x" * 2**16, "more_content": True})
        if warnings(caplog):
            break
        eventually(lambda: not hosted.layer.channel_statistics(reply_channel)["messages_pending"])
    assert "The answer to GET /stalled was cut: the client reads too slowly" in warnings(caplog)[0]
    eventually(lambda: hosted.layer.group_channels("events") == [])
    assert hosted.server.exchanges.answers.size == 0


def test_a_client_that_reads_nothing_is_cut_off(
    start: Callable[..., Hosted], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stall_watch, "STALL_SECONDS", 0.3)
    hosted = start()
    hosted.raw(b"GET /stalled HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)
    reply_channel = answer(hosted, more_content=True)
    send_all(hosted, reply_channel, 16 * 2**20)
    assert hosted.receive_for("http.disconnect", reply_channel)["path"] == "/stalled"
    assert "it did not read what was sent to it (GET /stalled)" in warnings(caplog)[0]


def test_a_client_that_reads_a_little_again_and_again_is_served(
    start: Callable[..., Hosted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall_watch, "STALL_SECONDS", 0.3)
    hosted = start()
    client = hosted.raw(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)
    reply_channel = answer(hosted, more_content=True)
    send_all(hosted, reply_channel, 8 * 2**20)
    received = 0
    # Much less than the system's own buffer holds, so that the server gets rid of nothing for a while.
    for _ in range(20):
        received += len(client.recv(65536))
        time.sleep(0.05)
    rest = hosted.call(read_until, client, 8 * 2**20 - received)
    rest.result(DEADLINE)
    assert hosted.receive_for("http.disconnect", reply_channel)


def send_all(hosted: Hosted, reply_channel: str, size: int) -> None:
    for _ in range(0, size, 2**18):
        hosted.send(reply_channel, content=b"x" * 2**18, more_content=True)
    hosted.send(reply_channel)


def read_until(client: socket.socket, size: int) -> None:
    while size > 0:
        size -= len(client.recv(65536))


# Of frames.


def open_slowly(hosted: Hosted) -> tuple[ClientConnection, str]:
    """A client that reads only on demand, so that its buffers fill up."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(hosted.address)
    return hosted.open("/slow", sock=client, max_queue=1, max_size=None, ping_interval=None, close_timeout=0.1)


@pytest.mark.parametrize("size", [20_000, 300_000])
def test_a_slow_client_holds_up_its_sender_and_nobody_else(hosted: Hosted, size: int) -> None:
    slow, to_slow = open_slowly(hosted)
    quick, to_quick = hosted.open("/quick")
    sent = 0
    while hosted.takes(to_slow, text=f"{sent:{size}}"):
        sent += 1
        assert sent * size < 32 * 2**20
        eventually(lambda: not hosted.layer.channel_statistics(to_slow)["messages_pending"])
    hosted.send(to_quick, text="go on")
    assert quick.recv(timeout=DEADLINE) == "go on"
    # What was taken arrives, all of it and in order, and the channel opens again.
    for number in range(sent):
        assert int(slow.recv(timeout=DEADLINE)) == number

    eventually(lambda: hosted.takes(to_slow, text="caught up"))
    assert slow.recv(timeout=DEADLINE) == "caught up"


SIZE = 64 * 1024


def overwhelm(hosted: Hosted) -> ClientConnection:
    """A slow client and a quick one in a group that got more messages than are kept for the slow one."""
    slow, to_slow = open_slowly(hosted)
    quick, to_quick = hosted.open("/quick")
    for reply_channel in (to_slow, to_quick):
        hosted.layer.group_add("everyone", reply_channel)
    for number in range(512):
        hosted.layer.send_group("everyone", {"text": f"{number:{SIZE}}"})
        assert int(quick.recv(timeout=DEADLINE)) == number
    return slow


def catch_up(hosted: Hosted, slow: ClientConnection) -> list[int]:
    """Let the slow client read until it gets something new. Returns what it got before."""
    received: list[int] = []

    def read() -> None:
        while (text := slow.recv(timeout=DEADLINE)) != "news":
            received.append(int(text))

    reading = hosted.call(read)
    while not reading.done():
        hosted.layer.send_group("everyone", {"text": "news"})
        wait([reading], timeout=0.05)
    reading.result()
    return received


def test_what_a_group_sends_a_slow_client_is_bounded(hosted: Hosted) -> None:
    slow = overwhelm(hosted)
    received = catch_up(hosted, slow)
    assert received == list(range(len(received)))
    assert len(received) * SIZE < 20 * 2**20


@pytest.mark.parametrize("message", [{"close": 99}, {"close": True, "text": 5}], ids=str)
def test_a_close_that_does_not_fit_changes_nothing_for_a_slow_client(
    hosted: Hosted, caplog: pytest.LogCaptureFixture, message: dict[str, Any]
) -> None:
    slow = overwhelm(hosted)
    hosted.layer.send_group("everyone", message)
    eventually(lambda: len(warnings(caplog)) == 2)
    received = catch_up(hosted, slow)
    assert received == list(range(len(received)))
    assert len(received) * SIZE > BOUNDS.most.size


def test_a_close_reaches_a_slow_client_before_what_waits(hosted: Hosted) -> None:
    slow = overwhelm(hosted)
    for code in (4000, 4001):
        hosted.layer.send_group("everyone", {"close": code})
    received: list[int] = []

    def read_to_the_end() -> None:
        for text in slow:
            received.append(int(text))

    with pytest.raises(ConnectionClosed) as closed:
        read_to_the_end()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000
    assert received == list(range(len(received)))
    assert len(received) * SIZE < BOUNDS.most.size


def test_a_slow_client_that_goes_away(hosted: Hosted) -> None:
    client = hosted.raw(HANDSHAKE % (b"/slow", b""), receive_buffer=4096)
    reply_channel = hosted.receive("websocket.connect")["reply_channel"]
    hosted.send(reply_channel, accept=True)
    while hosted.takes(reply_channel, bytes=b"x" * SIZE):
        pass
    client.close()
    assert hosted.receive_for("websocket.disconnect", reply_channel)["path"] == "/slow"
    # Nothing of it is left in the layer: its channel is not paused any more, messages to it go nowhere.
    eventually(lambda: hosted.takes(reply_channel, text="anyone?"))
