"""Memberships that last as long as a process keeps them, and are made again when the server has lost them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, LayerUnavailable, RedisChannelLayer
from channels_classic.layers.group_sizes import NO_GROUPS
from tests.conftest import LayerOn
from tests.redis_server import RedisServer

PROCESS = "interface.abc!"
STAYS, LEAVES = PROCESS + "stays", PROCESS + "leaves"

Make = Callable[..., BaseChannelLayer]


@pytest.fixture(params=["memory", "redis", "three redis"])
def make(request: pytest.FixtureRequest, layer_on: LayerOn) -> Make:
    if request.param == "memory":
        return InMemoryChannelLayer
    if request.param == "redis":
        hosts = [request.getfixturevalue("redis_url")]
    else:
        hosts = request.getfixturevalue("redis_servers")

    def make_layer(**config: float) -> RedisChannelLayer:
        layer = layer_on(hosts, **config)
        layer.flush()
        return layer

    return make_layer


def read(layer: BaseChannelLayer) -> list[str]:
    """Receive for the process, which so also learns changes of membership."""
    return [received.channel for received in layer.receive_batch([PROCESS], 100)]


def test_which_channels_are_in_groups(make: Make) -> None:
    layer = make()
    assert layer.joined() == []
    for group in ("one", "two"):
        layer.group_add(group, STAYS)
    layer.group_add("one", LEAVES)
    layer.group_add("one", "normal")
    read(layer)
    assert sorted(layer.joined()) == [LEAVES, STAYS]
    layer.group_discard("one", LEAVES)
    layer.group_discard("one", STAYS)
    read(layer)
    assert layer.joined() == [STAYS]
    layer.release([STAYS])
    read(layer)
    assert layer.joined() == []


def test_the_sizes_of_groups(make: Make) -> None:
    layer = make()
    assert layer.group_sizes() == NO_GROUPS
    for group, members in {"one": 1, "two": 2, "three": 3}.items():
        for number in range(members):
            layer.group_add(group, f"{PROCESS}{number}")
    read(layer)
    assert layer.group_sizes() == ({"three": 3, "two": 2, "one": 1}, 3, 6)
    layer.release([f"{PROCESS}0"])
    read(layer)
    assert layer.group_sizes() == ({"three": 2, "two": 1}, 2, 3)


def test_a_membership_that_is_renewed_lasts(make: Make) -> None:
    layer = make(group_expiry=1.0)
    for group in ("one", "two"):
        for channel in (STAYS, LEAVES):
            layer.group_add(group, channel)
    read(layer)
    end = time.monotonic() + 2.2
    while time.monotonic() < end:
        layer.renew([STAYS])
        time.sleep(0.1)
    for group in ("one", "two"):
        assert layer.group_channels(group) == [STAYS]
        layer.send_group(group, {"text": "hello"})
        assert read(layer) == [STAYS]


def test_a_renewal_does_not_restore_a_member_that_has_left(make: Make) -> None:
    layer = make()
    for channel in (STAYS, LEAVES):
        layer.group_add("one", channel)
    read(layer)
    layer.group_discard("one", LEAVES)
    layer.renew([STAYS, LEAVES])  # before the process has been told
    assert layer.group_channels("one") == [STAYS]
    read(layer)
    for _ in range(3):
        layer.renew([STAYS, LEAVES])
    assert layer.group_channels("one") == [STAYS]
    assert layer.joined() == [STAYS]


def test_for_an_event_loop(make: Make) -> None:
    async def scenario() -> None:
        await layer.arenew([STAYS])
        await layer.arenew([])
        await layer.arepair()
        await layer.aclose()

    layer = make()
    layer.group_add("one", STAYS)
    read(layer)
    asyncio.run(scenario())
    assert layer.group_channels("one") == [STAYS]


def test_memberships_that_the_server_has_lost_are_made_again(
    redis_url: str, redis_server: RedisServer, layer_on: LayerOn
) -> None:
    """This happens after a failover to a replica that lagged behind."""
    layer = layer_on([redis_url])
    for group in ("one", "two"):
        layer.group_add(group, STAYS)
    read(layer)
    with redis_server.client() as client:
        client.zrem(f"asgi:members:one:{PROCESS}", "stays")
        client.zrem("asgi:routes:one", PROCESS)
    layer.renew([STAYS])
    assert layer.group_channels("one") == []  # it may have left, without the process having been told
    layer.renew([STAYS])
    assert layer.group_channels("one") == layer.group_channels("two") == [STAYS]
    layer.send_group("one", {"text": "hello"})
    assert read(layer) == [STAYS]


def test_a_server_that_is_empty_is_told_everything(
    redis_servers: list[str], redis_server: RedisServer, layer_on: LayerOn
) -> None:
    layer = layer_on(redis_servers)
    layer.flush()
    groups = [f"group{number}" for number in range(10)]
    for group in groups:
        layer.group_add(group, STAYS)
    while len(layer.joined()) < 1:
        read(layer)
    layer.receive_batch([PROCESS, "normal"], 100)  # from all servers
    with redis_server.client() as client:
        client.flushall()
    layer.repair()
    assert [layer.group_channels(group) for group in groups] == [[STAYS]] * 10
    layer.repair()


def test_repair_says_whether_the_server_is_there() -> None:
    with RedisServer() as server:
        layer = RedisChannelLayer([server.url])
        layer.repair()
        server.stop()
        with pytest.raises(LayerUnavailable):
            layer.repair()
        with pytest.raises(LayerUnavailable):
            asyncio.run(layer.arepair())
        server.start()
        layer.repair()
        layer.close()
