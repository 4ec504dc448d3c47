"""The connections of threads to a server: none is left open when all are closed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from channels_classic.layers import RedisChannelLayer
from tests.channels_classic.layers.redis.connections.test_loops import clients_of
from tests.ordering.served import wait_for
from tests.project import DEADLINE
from tests.redis_server import RedisServer


def test_a_connection_that_is_made_while_all_are_closed(
    server: RedisServer, layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that makes it carries out its call, and keeps nothing open."""
    [one] = layer._transport.servers
    get_connection = one._pool.get_connection
    connects, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        connects.set()
        assert go_on.wait(DEADLINE)
        return get_connection(*args)

    monkeypatch.setattr(one._pool, "get_connection", slow)
    thread = threading.Thread(target=layer.group_channels, args=["group"])
    thread.start()
    assert connects.wait(DEADLINE)
    layer.close()
    go_on.set()
    thread.join()
    wait_for(lambda: clients_of(server) == 0)


def test_a_connection_that_is_made_while_all_of_an_event_loop_are_closed(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    async def main() -> None:
        [one] = await layer._transport._of_this_loop()
        get_connection = one._pool.get_connection
        connects, go_on = asyncio.Event(), asyncio.Event()

        async def slow(*args: Any) -> Any:
            connects.set()
            await go_on.wait()
            return await get_connection(*args)

        one._pool.get_connection = slow
        call = asyncio.create_task(layer.asend_batch([layer.prepare("queue", {})]))
        await connects.wait()
        await layer.aclose()
        go_on.set()
        assert await call == []
        while await asyncio.to_thread(clients_of, server):
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), DEADLINE))
