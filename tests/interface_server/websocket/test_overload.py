"""Sockets and a full ``websocket.receive``: no client suffers because of another one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection

from channels_classic.layers import Delivery, InMemoryChannelLayer
from interface_server import InterfaceServer
from interface_server.websocket.incoming import BOUNDS
from tests.interface_server.hosted import DEADLINE, HANDSHAKE, Hosted, eventually
from tests.interface_server.loops import until

Start = Callable[..., Hosted]

TINY = Frame(Opcode.TEXT, b"x").serialize(mask=True)


def narrow_layer(capacity: int) -> InMemoryChannelLayer:
    return InMemoryChannelLayer(channel_capacity={"websocket.receive": capacity})


@contextmanager
def echoing(hosted: Hosted, seconds: float = 0.0) -> Iterator[list[dict[str, Any]]]:
    """Run a worker that takes a while for each message. Yields the messages that it got."""
    taken: list[dict[str, Any]] = []
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            _, content = hosted.layer.receive(["websocket.receive"], block=True)
            if content is not None:
                taken.append(content)
                hosted.takes(content["reply_channel"], text=content["text"])
                stopped.wait(seconds)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield taken
    finally:
        stopped.set()
        worker.join()


def flooding(hosted: Hosted, path: bytes, frames: bytes) -> Any:
    """A client that is accepted and then writes all at once."""
    client = hosted.raw(HANDSHAKE % (path, b""))
    hosted.send(hosted.receive("websocket.connect")["reply_channel"], accept=True)
    assert b" 101 " in client.recv(1000)
    hosted.call(client.sendall, frames)
    return client


def echo(connection: ClientConnection, text: str) -> None:
    connection.send(text)
    assert connection.recv(timeout=DEADLINE) == text


@pytest.mark.parametrize("floods", [1, 10])
def test_a_flood_delays_nobody_else(start: Start, floods: int) -> None:
    hosted = start(narrow_layer(10))
    others = [hosted.open(f"/{number}")[0] for number in range(5)]
    with echoing(hosted, 0.01) as taken:
        for number in range(floods):
            flooding(hosted, b"/flood%d" % number, TINY * 10_000)
        for number in range(5):
            before = len(taken)
            for other in others:
                echo(other, str(number))
            # In each round there is one message of every socket, and what had found room before.
            assert len(taken) - before < 5 * (floods + 5) + 2 * 10


def test_a_flood_that_exceeds_its_own_bounds_is_closed_and_forgotten(start: Start) -> None:
    hosted = start(narrow_layer(10))
    client = flooding(hosted, b"/flood", TINY * 10_000)
    assert client.recv(4)[2:] == b"\x03\xf5"  # 1013
    disconnect = hosted.receive("websocket.disconnect")
    taken = [one.content["order"] for one in hosted.layer.receive_batch(["websocket.receive"], 100)]
    assert taken == list(range(1, len(taken) + 1))
    assert (disconnect["code"], disconnect["order"]) == (1013, len(taken) + 1)
    connection, _ = hosted.open()
    connection.send("next")
    assert hosted.receive("websocket.receive")["text"] == "next"


def test_many_messages_at_once_are_no_flood_when_they_are_read_at_their_pace(start: Start) -> None:
    hosted = start(narrow_layer(10))
    count = 3 * BOUNDS.most.messages
    flooding(hosted, b"/quick", Frame(Opcode.TEXT, b"x" * 50).serialize(mask=True) * count)
    assert [hosted.receive("websocket.receive")["order"] for _ in range(count)] == list(range(1, count + 1))


def test_a_client_that_leaves_while_it_is_not_read_from_is_noticed(start: Start) -> None:
    hosted = start(narrow_layer(10))
    client = flooding(hosted, b"/leaves", Frame(Opcode.TEXT, b"x" * 50).serialize(mask=True) * 500)
    eventually(lambda: hosted.layer.channel_statistics("websocket.receive")["channel_full_count"])
    client.close()
    disconnect = hosted.receive("websocket.disconnect")
    assert (disconnect["code"], disconnect["order"]) == (1006, 11)
    assert [hosted.receive("websocket.receive")["order"] for _ in range(10)] == list(range(1, 11))
    assert hosted.is_empty("websocket.receive")


def test_workers_that_are_away_close_nobody(start: Start) -> None:
    """They are away for longer than frames were once tried again."""
    hosted = start(narrow_layer(5))
    connections = [hosted.open(f"/{number}")[0] for number in range(20)]
    for connection in connections:
        for number in range(10):
            connection.send(str(number))
    time.sleep(2.5)
    with echoing(hosted) as taken:
        for connection in connections:
            assert [connection.recv(timeout=DEADLINE) for _ in range(10)] == [str(number) for number in range(10)]
            echo(connection, "still here")
    by_socket: dict[str, list[int]] = {}
    for content in taken:
        by_socket.setdefault(content["path"], []).append(content["order"])
    assert by_socket == {f"/{number}": list(range(1, 12)) for number in range(20)}


class FullLayer(InMemoryChannelLayer):
    """A layer whose ``websocket.receive`` others keep full."""

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        full = [number for number, delivery in enumerate(deliveries) if delivery.name == "websocket.receive"]
        await super().asend_batch([one for number, one in enumerate(deliveries) if number not in full])
        return full


def test_a_socket_that_has_waited_for_the_expiry_is_closed(start: Start) -> None:
    hosted = start(FullLayer(expiry=0.5))
    silent, _ = hosted.open("/silent")
    connection, _ = hosted.open("/waits")
    connection.send("hello")
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=DEADLINE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    disconnect = hosted.receive("websocket.disconnect")
    assert (disconnect["path"], disconnect["code"], disconnect["order"]) == ("/waits", 1013, 1)
    assert silent.ping().wait(DEADLINE)


def test_nothing_is_read_under_another_server_while_there_is_no_room() -> None:
    async def scenario() -> None:
        layer = narrow_layer(5)
        server = InterfaceServer(layer)
        sent: list[dict[str, Any]] = []
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        asked = 0

        async def receive() -> dict[str, Any]:
            nonlocal asked
            asked += 1
            return await events.get()

        async def send(event: Any) -> None:
            sent.append(event)

        scope = {"type": "websocket", "path": "/", "headers": []}
        events.put_nowait({"type": "websocket.connect"})
        for number in range(1000):
            events.put_nowait({"type": "websocket.receive", "text": str(number)})
        serving = asyncio.create_task(server(scope, receive, send))
        [connect] = await layer.areceive_batch(["websocket.connect"], 1, DEADLINE)
        await layer.asend_batch([layer.prepare(connect.content["reply_channel"], {"accept": True})])
        await until(lambda: asked > BOUNDS.high.messages)
        await asyncio.sleep(0.1)
        assert asked <= BOUNDS.high.messages + 5 + 2
        received: list[str] = []
        while len(received) < 1000:
            batch = await layer.areceive_batch(["websocket.receive"], 100, DEADLINE)
            received += [one.content["text"] for one in batch]
        assert received == [str(number) for number in range(1000)]
        events.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await serving
        [disconnect] = await layer.areceive_batch(["websocket.disconnect"], 1, DEADLINE)
        assert (disconnect.content["code"], disconnect.content["order"]) == (1001, 1001)
        await server.stop()

    asyncio.run(scenario())
