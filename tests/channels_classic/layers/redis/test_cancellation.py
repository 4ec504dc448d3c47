"""Cancelled receives give back what the server has handed out by then."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from channels_classic.layers import Received, RedisChannelLayer
from channels_classic.layers.redis.connections import async_server
from tests.redis_server import RedisServer

LONG = 60.0
"""Nothing takes so long that works."""

QUEUES = ["queue", "sends.one!"]
CHANNELS = ["queue", "sends.one!a"]


class Relay:
    """Stands between a layer and its server, and can hold back the traffic."""

    def __init__(self) -> None:
        self._gates: dict[str, list[asyncio.Event]] = {"requests": [], "answers": []}

    def hold(self, direction: str) -> None:
        """Hold back the traffic in one direction on the present connections."""
        for gate in self._gates[direction]:
            gate.clear()

    def let_go(self) -> None:
        for gates in self._gates.values():
            for gate in gates:
                gate.set()

    @asynccontextmanager
    async def between(self, server: RedisServer) -> AsyncIterator[RedisChannelLayer]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", server.port)
            pumps.append(asyncio.create_task(self._pump("requests", reader, other_writer)))
            pumps.append(asyncio.create_task(self._pump("answers", other_reader, writer)))

        pumps: list[asyncio.Task[None]] = []
        relay = await asyncio.start_server(connected, "127.0.0.1", 0)
        layer = RedisChannelLayer([("127.0.0.1", relay.sockets[0].getsockname()[1])])
        try:
            yield layer
        finally:
            self.let_go()
            await layer.aclose()
            layer.close()
            await asyncio.gather(*pumps)
            relay.close()
            await relay.wait_closed()

    async def _pump(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gate = asyncio.Event()
        gate.set()
        self._gates[direction].append(gate)
        while data := await reader.read(1 << 16):
            await gate.wait()
            writer.write(data)
        writer.close()
        await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


def waiting_clients(server: RedisServer) -> int:
    with server.client() as client:
        return int(client.info("clients")["blocked_clients"])


def numbers_in(layer: RedisChannelLayer) -> list[tuple[str, int]]:
    return in_short(layer.receive_batch(QUEUES, 100))


def in_short(received: Sequence[Received]) -> list[tuple[str, int]]:
    return sorted((one.channel, one.content["number"]) for one in received)


async def cancelled(task: asyncio.Task[Any]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), LONG)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("cancellations", [1, 2])
def test_cancelling_while_the_answer_is_on_its_way(server: RedisServer, channel: str, cancellations: int) -> None:
    """The server has handed out the message, and the event loop has not seen it."""

    async def main() -> None:
        relay = Relay()
        async with relay.between(server) as layer:
            sender = RedisChannelLayer([server.url])
            assert await layer.areceive_batch(QUEUES, 10, 0) == []
            task = asyncio.create_task(layer.areceive_batch(QUEUES, 10, LONG))
            await until(lambda: waiting_clients(server) == 1)
            relay.hold("answers")
            sender.send(channel, {"number": 1})
            await until(lambda: waiting_clients(server) == 0)
            assert numbers_in(sender) == []
            for _ in range(cancellations):
                task.cancel()
                await asyncio.sleep(0.02)
            relay.let_go()
            await cancelled(task)
            assert numbers_in(sender) == [(channel, 1)]
            sender.close()

    asyncio.run(main())


@pytest.mark.parametrize("channel", CHANNELS)
def test_cancelling_while_the_question_is_on_its_way(server: RedisServer, channel: str) -> None:
    """The command that ends the wait arrives before the wait has begun, so it is sent again."""

    async def main() -> None:
        relay = Relay()
        async with relay.between(server) as layer:
            sender = RedisChannelLayer([server.url])
            assert await layer.areceive_batch(QUEUES, 10, 0) == []
            relay.hold("requests")
            task = asyncio.create_task(layer.areceive_batch(QUEUES, 10, LONG))
            await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.sleep(0.02)
            relay.let_go()
            await cancelled(task)
            assert waiting_clients(server) == 0
            sender.send(channel, {"number": 1})
            assert numbers_in(sender) == [(channel, 1)]
            sender.close()

    asyncio.run(main())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("to_group", [False, True], ids=["channels", "group"])
def test_cancelling_at_every_turn_of_the_event_loop(
    server: RedisServer, layer: RedisChannelLayer, run: Callable[[Coroutine[Any, Any, None]], None], to_group: bool
) -> None:
    """Messages were there before, or come meanwhile."""
    for channel in CHANNELS:
        layer.group_add("group", channel)
    layer.receive_batch(QUEUES, 10)

    async def main() -> None:
        for round_ in range(200):
            # One that has just begun has to connect, and to ask for the members of the group.
            receiver = layer if round_ % 10 else RedisChannelLayer([server.url])
            prepared = [layer.prepare(channel, {"number": round_}) for channel in CHANNELS]
            if to_group:
                prepared = [layer.prepare_group("group", {"number": round_})]
            if is_before := round_ % 3 == 0:
                await layer.asend_batch(prepared)
            task = asyncio.create_task(receiver.areceive_batch(QUEUES, 10, LONG))
            await asyncio.sleep(0)
            sending = None if is_before else asyncio.create_task(layer.asend_batch(prepared))
            for _ in range(round_ // 4):
                await asyncio.sleep(0)
            task.cancel()
            if round_ % 2:
                await asyncio.sleep(0)
                task.cancel()
            try:
                received = await task
            except asyncio.CancelledError:
                received = []
            if sending is not None:
                assert await sending == []
            deadline = time.monotonic() + LONG
            while len(received) < 2:
                assert time.monotonic() < deadline, round_
                received += await layer.areceive_batch(QUEUES, 10, 1)
            assert in_short(received) == [(channel, round_) for channel in CHANNELS]
            if receiver is not layer:
                await receiver.aclose()
                receiver.close()

    run(main())


def test_connections_are_used_again(server: RedisServer, layer: RedisChannelLayer) -> None:
    """A cancelled receive closes no connection."""

    async def main() -> None:
        with server.client() as client:
            for _ in range(20):
                task = asyncio.create_task(layer.areceive_batch(QUEUES, 10, LONG))
                await until(lambda: waiting_clients(server) == 1)
                task.cancel()
                await cancelled(task)
            made = client.info("stats")["total_connections_received"]
            task = asyncio.create_task(layer.areceive_batch(QUEUES, 10, LONG))
            await asyncio.sleep(0.01)
            task.cancel()
            await cancelled(task)
            assert client.info("stats")["total_connections_received"] == made

    asyncio.run(main())


def test_a_server_that_hangs_does_not_hold_up_the_end(
    server: RedisServer, layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_server, "END_SECONDS", 0.1)

    async def main() -> None:
        task = asyncio.create_task(layer.areceive_batch(QUEUES, 10, LONG))
        await until(lambda: waiting_clients(server) == 1)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        assert not task.done()

    try:
        asyncio.run(main())
    finally:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGCONT)
    layer.send("queue", {"number": 1})
    assert numbers_in(layer) == [("queue", 1)]


def test_cancelling_when_the_scripts_are_gone(server: RedisServer, layer: RedisChannelLayer) -> None:
    """A message that the wait has taken goes back, although the commands behind it failed."""

    async def main() -> None:
        relay = Relay()
        async with relay.between(server) as receiver:
            assert await receiver.areceive_batch(QUEUES, 10, 0) == []
            task = asyncio.create_task(receiver.areceive_batch(QUEUES, 10, LONG))
            await until(lambda: waiting_clients(server) == 1)
            relay.hold("answers")
            with server.client() as client:
                client.script_flush()
            layer.send("queue", {"number": 1})
            await until(lambda: waiting_clients(server) == 0)
            task.cancel()
            await asyncio.sleep(0.02)
            relay.let_go()
            await cancelled(task)

    asyncio.run(main())
    assert numbers_in(layer) == [("queue", 1)]
