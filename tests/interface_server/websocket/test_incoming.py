"""The messages of one client on their way to the layer: their numbers, their bounds, and pauses of reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interface_server import lanes as lanes_module
from interface_server.context import Context, Options
from interface_server.websocket.goodbyes import Goodbyes
from interface_server.websocket.incoming import BOUNDS, Incoming
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.loops import until


class Given:
    """Clients of one process."""

    def __init__(self, layer: FlakyLayer, context: Context) -> None:
        self.layer = layer
        self.context = context
        self.goodbyes = Goodbyes(layer, context.outbox, context.reader)

    def client(self, path: str = "/") -> Client:
        return Client(self, path)

    def received(self, channel: str = "websocket.receive", limit: int = 10_000) -> list[dict[str, Any]]:
        return [one.content for one in self.layer.receive_batch([channel], limit)]


class Client:
    def __init__(self, given: Given, path: str) -> None:
        self.closed: list[int] = []
        self.resumed = 0
        self.channel = f"{given.context.reader.process_channel}def"
        self.incoming = Incoming(
            given.context, given.goodbyes, path, self.channel, self.closed.append, self.resume
        )

    def resume(self) -> None:
        self.resumed += 1


@asynccontextmanager
async def started(capacity: int = 10_000, **options: Any) -> AsyncIterator[Given]:
    layer = FlakyLayer(capacity=capacity)
    context = Context(layer, Options(**options))
    context.start()
    yield Given(layer, context)
    context.outbox.close()  # nobody reads what is left
    await context.stop()


def test_messages_are_numbered() -> None:
    async def scenario() -> None:
        async with started() as given:
            client = given.client("/path")
            client.incoming.pass_on("one")
            client.incoming.pass_on(b"two")
            client.incoming.end(1001)
            await until(lambda: given.layer.channel_statistics("websocket.disconnect")["messages_pending"])
            common = {"reply_channel": client.channel, "path": "/path"}
            assert given.received() == [
                {**common, "order": 1, "text": "one"},
                {**common, "order": 2, "bytes": b"two"},
            ]
            assert given.received("websocket.disconnect") == [{**common, "code": 1001, "order": 3}]

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, 50_000])
def test_it_is_full_from_one_mark_down_to_another(size: int) -> None:
    async def scenario() -> None:
        async with started(capacity=1) as given:
            client = given.client()
            sent = 0
            while not client.incoming.is_full:
                client.incoming.pass_on("x" * size)
                sent += 1
            assert sent <= BOUNDS.high.messages
            assert (sent == BOUNDS.high.messages) == (size == 1)
            arrived = 0
            while client.incoming.is_full:
                arrived += len(given.received())
                await asyncio.sleep(0)
            assert client.resumed == 1
            left = sent - arrived
            assert left <= BOUNDS.low.messages + 1
            assert left * size <= BOUNDS.low.size + size
            assert client.closed == []

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_client_that_exceeds_its_bounds_is_closed(size: int) -> None:
    async def scenario() -> None:
        async with started(capacity=1) as given:
            flood, other = given.client(), given.client()
            sent = 0
            while not flood.closed:
                flood.incoming.pass_on("x" * size)
                sent += 1
            assert set(flood.closed) == {1013}
            assert sent <= BOUNDS.most.messages + 1
            assert sent * size <= BOUNDS.most.size + size
            flood.incoming.end(1013)
            other.incoming.pass_on("hello")
            await until(lambda: given.layer.channel_statistics("websocket.receive")["messages_pending"])
            assert [content["text"] for content in given.received()] == ["hello"]
            await until(lambda: given.layer.channel_statistics("websocket.disconnect")["messages_pending"])
            [goodbye] = given.received("websocket.disconnect")
            assert goodbye["order"] == 1
            assert other.closed == []

    asyncio.run(scenario())


def test_when_all_together_have_too_much_each_sends_as_little_as_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "CROWDED_AT", 10)

    async def scenario() -> None:
        async with started(capacity=1) as given:
            clients = [given.client(str(number)) for number in range(12)]
            for client in clients:
                client.incoming.pass_on("first")
                assert not client.incoming.is_full  # one message each is always taken
            for client in clients:
                client.incoming.pass_on("second")
                assert client.incoming.is_full
            arrived = 0
            while any(client.incoming.is_full for client in clients):
                arrived += len(given.received())
                await asyncio.sleep(0)
            assert [client.resumed for client in clients] == [1] * 12

    asyncio.run(scenario())


def test_a_message_that_is_too_large() -> None:
    async def scenario() -> None:
        async with started(max_message_size=10) as given:
            client = given.client()
            client.incoming.pass_on("x" * 10)
            client.incoming.pass_on("x" * 11)
            assert client.closed == [1009]
            client.incoming.end(1009)
            await until(lambda: given.layer.channel_statistics("websocket.disconnect")["messages_pending"])
            [goodbye] = given.received("websocket.disconnect")
            assert goodbye["order"] == 2

    asyncio.run(scenario())
