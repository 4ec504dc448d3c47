"""Event loops that end leave nothing behind, neither the loop nor a connection."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from asgiref.sync import async_to_sync

from channels_classic.layers import RedisChannelLayer
from tests.redis_server import RedisServer

Main = Callable[[], Coroutine[Any, Any, None]]


def in_asyncio(main: Main) -> None:
    asyncio.run(main())


def in_async_to_sync(main: Main) -> None:
    async_to_sync(main)()


def in_uvloop(main: Main) -> None:
    uvloop.run(main())


def clients_of(server: RedisServer) -> int:
    """Connections to the server, without the one that asks."""
    with server.client() as client:
        return len(client.client_list()) - 1


@pytest.mark.parametrize("run", [in_asyncio, in_async_to_sync, in_uvloop])
def test_nothing_stays_of_a_loop_that_ended(
    server: RedisServer, layer: RedisChannelLayer, run: Callable[[Main], None]
) -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    counts: list[int] = []

    async def main() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await layer.asend_batch([layer.prepare("queue", {})])
        # Two at once need two connections.
        await asyncio.gather(*(layer.areceive_batch(["other"], 1, 0.02) for _ in range(2)))
        counts.append(clients_of(server))

    layer.send("queue", {})  # the thread's own connection stays
    before = clients_of(server)
    for _ in range(3):
        run(main)
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3
    assert counts == [before + 2] * 3
    # The server may notice a moment later than the client that a connection has ended.
    deadline = time.monotonic() + 20
    while clients_of(server) > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_wait_at_the_end_of_its_loop_is_cancelled(server: RedisServer, layer: RedisChannelLayer) -> None:
    """A task that waits for a message is cancelled with its loop. A message stays for others."""

    async def main() -> None:
        task = asyncio.create_task(layer.areceive_batch(["queue"], 1, 60))
        await asyncio.sleep(0.02)  # so that it does wait; the test holds if it does not
        assert not task.done()

    asyncio.run(main())
    layer.send("queue", {"number": 1})
    assert layer.receive(["queue"], block=True) == ("queue", {"number": 1})


@pytest.mark.filterwarnings("ignore::ResourceWarning")
# redis-py 5.0 tries to close its connections in the loop that is closed.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function AbstractConnection.__del__")
def test_a_loop_that_is_closed_without_being_shut_down(layer: RedisChannelLayer) -> None:
    """It is forgotten when the next loop comes. Its connections ended with it."""
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def main() -> None:
        await layer.asend_batch([layer.prepare("queue", {})])

    for _ in range(3):
        loop = asyncio.new_event_loop()
        loops.append(weakref.ref(loop))
        loop.run_until_complete(main())
        loop.close()
        del loop
    asyncio.run(main())
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


def test_the_scripts_are_loaded_once(server: RedisServer, layer: RedisChannelLayer) -> None:
    """A loop that lives for a single call, such as those of ``async_to_sync``, does not load them again."""

    async def main() -> None:
        await layer.asend_batch([layer.prepare("queue", {})])

    def told() -> int:
        with server.client() as client:
            statistics = client.info("commandstats")
        return sum(
            figures["calls"] for command, figures in statistics.items() if command.startswith("cmdstat_script")
        )

    asyncio.run(main())
    before = told()
    for _ in range(3):
        async_to_sync(main)()
    assert told() == before
