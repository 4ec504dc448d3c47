"""The load of the Redis layer on Redis: independent of members, without keys that stay, and none while all
wait."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from channels_classic.layers import RedisChannelLayer
from channels_classic.layers.names import random_part
from channels_classic.layers.types import Turn

PATIENCE = 60
PROCESS = "interface.test!"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Looks into the server, which is empty at first."""
    with redis.Redis.from_url(redis_url, decode_responses=True, encoding="latin-1") as client:
        yield client


@pytest.fixture
def layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer([redis_url])
    yield layer
    layer.close()


@pytest.fixture
def other(redis_url: str) -> Iterator[RedisChannelLayer]:
    """The same in another process."""
    layer = RedisChannelLayer([redis_url])
    yield layer
    layer.close()


def commands_since_reset(client: redis.Redis) -> dict[str, int]:
    """The number of calls of each command, by clients and scripts, without those of the tests themselves."""
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}
    return {name: number for name, number in calls.items() if not name.startswith(("info", "config", "client"))}


def join(layer: RedisChannelLayer, group: str, number: int) -> list[str]:
    """Make ``number`` channels of the process members, and let the process learn it."""
    members = [f"{PROCESS}{member}" for member in range(number)]
    for member in members:
        layer.group_add(group, member)
    assert layer.receive_batch([PROCESS], number + 1) == []
    return members


def test_a_broadcast_costs_redis_the_same_for_many_members(
    client: redis.Redis, layer: RedisChannelLayer, other: RedisChannelLayer
) -> None:
    costs = []
    for group, number in (("few.", 10), ("many", 10_000)):
        members = join(layer, group, number)
        other.send_group(group, {"text": "warm"})
        assert len(layer.receive_batch([PROCESS], 10)) == number
        client.config_resetstat()
        other.send_group(group, {"text": "hello"})
        (value,) = client.lrange(f"asgi:queue:{PROCESS}", 0, -1)
        batch = layer.receive_batch([PROCESS], 10)
        costs.append((commands_since_reset(client), len(value)))
        assert [received.channel for received in batch] == members
        assert len({id(received.content) for received in batch}) == 1
    few, many = costs
    assert few == many
    assert sum(few[0].values()) < 30


def test_a_broadcast_is_one_value_for_each_process(
    client: redis.Redis, layer: RedisChannelLayer, other: RedisChannelLayer
) -> None:
    processes = [f"interface.{number}!" for number in range(5)]
    for process in processes:
        for member in range(20):
            layer.group_add("group", f"{process}{member}")
        layer.receive_batch([process], 100)
    other.send_group("group", {"text": "hello"})
    values = [client.lrange(f"asgi:queue:{process}", 0, -1) for process in processes]
    assert [len(of_process) for of_process in values] == [1] * 5
    assert len({value[16:] for (value,) in values}) == 1


def test_messages_of_one_batch_are_one_trip(
    client: redis.Redis, layer: RedisChannelLayer, other: RedisChannelLayer
) -> None:
    deliveries = [layer.prepare(f"{PROCESS}{number}", {}) for number in range(500)]
    layer.send_batch(deliveries)
    client.config_resetstat()
    layer.send_batch(deliveries)
    assert len(layer.receive_batch([PROCESS], 2000)) == 1000
    commands = commands_since_reset(client)
    assert commands["evalsha"] == 2
    assert commands["rpush"] == 1
    assert sum(commands.values()) < 30


def test_a_broadcast_by_remembered_routes_is_one_trip(
    client: redis.Redis, layer: RedisChannelLayer, other: RedisChannelLayer
) -> None:
    join(layer, "group", 3)
    other.send_group("group", {})
    client.config_resetstat()
    other.send_group("group", {})
    assert commands_since_reset(client)["evalsha"] == 1
    assert len(layer.receive_batch([PROCESS], 10)) == 6


def test_remembered_routes_that_are_wrong_by_now(
    client: redis.Redis, layer: RedisChannelLayer, other: RedisChannelLayer
) -> None:
    """Present members of the group get the message once, in order with the rest of the batch."""
    processes = [f"interface.{number}!" for number in range(4)]
    numbers = iter(range(1000))

    def send_and_check(members: set[str]) -> None:
        number = next(numbers)
        batch = [
            other.prepare("interface.0!x", {"before": number}),
            other.prepare_group("group", {"number": number}),
            other.prepare("interface.0!x", {"after": number}),
        ]
        assert other.send_batch(batch) == []
        expected = [("interface.0!x", {"before": number}), ("interface.0!x", {"after": number})]
        if "interface.0!" in members:
            expected.insert(1, ("interface.0!member", {"number": number}))
        for process in processes:
            if process != "interface.0!":
                expected = [(f"{process}member", {"number": number})] if process in members else []
            received = layer.receive_batch([process], 100)
            assert [(each.channel, each.content) for each in received] == expected

    send_and_check(set())
    send_and_check(set())
    members: set[str] = set()
    for process in [*processes[1:3], processes[0], processes[3]]:
        layer.group_add("group", process + "member")
        members.add(process)
        send_and_check(members)
        # The order of the routes in Redis changes, which is not a difference.
        layer.group_add("group", next(iter(members)) + "member")
        send_and_check(members)
    for process in processes:
        layer.group_discard("group", process + "member")
        members.remove(process)
        send_and_check(members)
    layer.group_add("group", "a-normal-channel")
    send_and_check(set())
    assert [each.content for each in layer.receive_batch(["a-normal-channel"], 9)] == [
        {"number": next(numbers) - 1}
    ]


def test_routes_are_not_remembered_without_end(layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels_classic.layers.redis.groups.MOST_REMEMBERED", 10)
    for number in range(100):
        layer.send_group(f"group.{number}", {})
    assert len(layer._groups._remembered) <= 11


# Nothing is left behind.


def left_behind(client: redis.Redis) -> set[str]:
    return {key for key in client.scan_iter(count=1000) if not key.startswith("asgi-meta:")}


@pytest.mark.parametrize("goodbye", [True, False], ids=["discard", "no discard"])
def test_connections_that_came_and_went(goodbye: bool, client: redis.Redis, layer: RedisChannelLayer) -> None:
    async def receive(number: int) -> int:
        """Read until ``number`` messages have come, as an interface server does."""
        while number > 0:
            number -= len(await layer.areceive_batch([PROCESS], 1000, PATIENCE))
        return number

    async def main() -> None:
        for _ in range(4):
            channels = [PROCESS + random_part() for _ in range(500)]
            await layer.asend_batch(
                [layer.prepare("websocket.connect", {"reply_channel": name}) for name in channels[:90]]
            )
            await asyncio.to_thread(layer.receive_batch, ["websocket.connect"], 1000)
            for number, channel in enumerate(channels):
                layer.group_add("everybody", channel)
                layer.group_add(f"room.{number % 7}", channel)
            layer.group_add(f"own.{channels[0][-5:]}", channels[0])
            await layer.asend_batch([layer.prepare(channel, {"accept": True}) for channel in channels])
            await receive(len(channels))
            layer.send_group("everybody", {"text": "hello"})
            await receive(len(channels))
            if goodbye:
                for number, channel in enumerate(channels):
                    layer.group_discard("everybody", channel)
                    layer.group_discard(f"room.{number % 7}", channel)
                await layer.areceive_batch([PROCESS], 10_000, 0)
            await layer.apause(channels[:100])
            await layer.aresume(channels[:100])
            await layer.arelease(channels)
            layer.send_group("everybody", {"text": "anybody there?"})
            assert await layer.areceive_batch([PROCESS], 10_000, 0) == []
        await layer.aclose()

    asyncio.run(main())
    assert left_behind(client) == {"asgi:epoch", "asgi:bell:websocket.connect"}
    statistics = set(client.scan_iter("asgi-meta:*"))
    assert len(statistics) < 5, statistics
    assert layer._groups.memberships_of([PROCESS]) == []
    assert layer._groups.memberships() == []


def test_every_key_ends_by_itself(client: redis.Redis, layer: RedisChannelLayer) -> None:
    layer.send("normal", {})
    layer.send("single?reader", {})
    layer.send(f"{PROCESS}one", {})
    layer.group_add("group", f"{PROCESS}one")
    layer.group_add("group", "normal")
    layer.send_group("group", {})
    layer.pause([f"{PROCESS}one"])
    layer.set_value("name", b"value", 60, False)
    layer.enter_turn(Turn(f"{PROCESS}one", 3, "websocket.receive"), {})
    layer.give_back(layer.receive_batch(["normal"], 10))
    layer.receive_batch([PROCESS], 1)
    keys = left_behind(client)
    assert len(keys) >= 9
    assert {key for key in keys if client.pttl(key) < 0} == {"asgi:epoch"}
    # Statistics last for the channels of the routing, not for those of a process or a client.
    lasting = {key for key in client.scan_iter("asgi-meta:*") if client.pttl(key) < 0}
    assert lasting == {"asgi-meta:totals", "asgi-meta:queue:normal", "asgi-meta:queue:single?"}


# Nothing happens while all wait.


def commands_while_waiting(
    servers: list[str], wait: Callable[[RedisChannelLayer], Any], wake: str, seconds: float = 2
) -> int:
    """The number of commands that the servers carry out while one reader waits and nothing is sent."""
    layer = RedisChannelLayer(servers, prefix="idle:", stats_prefix="idle-meta:")
    clients = [redis.Redis.from_url(url, decode_responses=True) for url in servers]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, layer)
        deadline = time.monotonic() + PATIENCE
        while not any(client.info("clients")["blocked_clients"] for client in clients):
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.01)
        for client in clients:
            client.config_resetstat()
        time.sleep(seconds)  # not for something to happen: nothing must
        commands = [commands_since_reset(client) for client in clients]
        layer.send(wake, {})
        assert len(waiting.result(PATIENCE)) == 1
    layer.flush()
    layer.close()
    for client in clients:
        client.close()
    return sum(sum(counts.values()) for counts in commands)


def test_a_worker_that_waits(redis_url: str) -> None:
    channels = ["http.request", "websocket.connect", "websocket.receive"]
    number = commands_while_waiting(
        [redis_url], lambda layer: layer.receive_batch(channels, 20, PATIENCE), channels[1]
    )
    assert number <= 3


def test_a_worker_that_waits_on_three_servers(redis_servers: list[str]) -> None:
    channels = ["http.request", "websocket.connect"]
    number = commands_while_waiting(
        redis_servers, lambda layer: layer.receive_batch(channels, 20, PATIENCE), channels[1]
    )
    assert number <= 9


@pytest.mark.parametrize("servers", [1, 3])
def test_an_interface_server_that_waits(servers: int, redis_servers: list[str]) -> None:
    def wait(layer: RedisChannelLayer) -> Any:
        async def main() -> Any:
            try:
                return await layer.areceive_batch([PROCESS], 20, PATIENCE)
            finally:
                await layer.aclose()

        return asyncio.run(main())

    assert commands_while_waiting(redis_servers[:servers], wait, f"{PROCESS}one") <= 3 * servers


def test_a_wait_on_several_servers_in_a_process_with_many_open_files(redis_url: str, client: redis.Redis) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"a process may have {hard} files open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    # The same server is both, with databases of their own.
    layer = RedisChannelLayer([redis_url, redis_url.rpartition("/")[0] + "/9"])
    with open(os.devnull) as file:
        copies = [os.dup(file.fileno()) for _ in range(1100)]
    try:
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(layer.receive_batch, ["queue"], 10, PATIENCE)
            while client.info("clients")["blocked_clients"] < 2 and not waiting.done():
                time.sleep(0.01)
            layer.send_batch([layer.prepare("queue", {"number": 1})])
            assert [received.content for received in waiting.result(PATIENCE)] == [{"number": 1}]
    finally:
        for copy in copies:
            os.close(copy)
        layer.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
