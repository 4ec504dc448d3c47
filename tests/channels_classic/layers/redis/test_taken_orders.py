"""The messages of sockets that Redis has taken. An interface server asks for this when an answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from channels_classic.layers import Delivery, RedisChannelLayer
from channels_classic.layers.types import Client

PROCESS = "interface.abc"
ONE, TWO, THREE = (f"{PROCESS}!{name}" for name in ("one", "two", "three"))


@pytest.fixture(params=[1, 3], ids=["one server", "three servers"])
def layer(request: pytest.FixtureRequest, redis_servers: list[str]) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer(redis_servers[: request.param], capacity=6)
    layer.flush()
    yield layer
    layer.close()


def frame(layer: RedisChannelLayer, channel: str, order: int, will: bytes | None = None) -> Delivery:
    return layer.prepare("frames", {"order": order})._replace(client=Client(channel, order, will))


def taken(layer: RedisChannelLayer) -> dict[str, int] | None:
    async def ask() -> dict[str, int] | None:
        try:
            return await layer.ataken_orders(PROCESS, [ONE, TWO, THREE])
        finally:
            await layer.aclose()

    return asyncio.run(ask())


def test_the_last_order_of_each_socket(layer: RedisChannelLayer) -> None:
    assert taken(layer) == {}
    assert layer.send_batch([frame(layer, ONE, 0, b"will"), frame(layer, TWO, 0, b"will")]) == []
    assert layer.send_batch([frame(layer, ONE, 1), frame(layer, ONE, 2)]) == []
    assert taken(layer) == {ONE: 2, TWO: 0}


def test_refused_messages_do_not_count(layer: RedisChannelLayer) -> None:
    refused = layer.send_batch([frame(layer, ONE, order) for order in range(20)])
    assert refused
    assert taken(layer) == {ONE: refused[0] - 1}


def test_registering_a_socket_does_not_lower_its_order(layer: RedisChannelLayer) -> None:
    layer.send_batch([frame(layer, ONE, 4, b"will")])

    async def register() -> None:
        await layer.aregister_clients(PROCESS, {ONE: (3, b"will"), TWO: (7, b"will")})
        await layer.aclose()

    asyncio.run(register())
    assert taken(layer) == {ONE: 4, TWO: 7}
