"""The Redis layer when a part of a call fails: taken messages reach the caller, and refused ones are known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from channels_classic.layers import LayerUnavailable, Lease, Process, Received, RedisChannelLayer, Turn
from tests.channels_classic.layers.redis.connections.test_outages import PATIENCE, wait_for_reader
from tests.conftest import LayerOn
from tests.redis_server import RedisServer

PROCESS = Process("worker.one", {"kind": "worker"})

FULL = r"^Redis at 127\.0\.0\.1:\d+, database 0 is full: .* maxmemory"

Receive = Callable[..., list[Received]]


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


@pytest.fixture(params=["thread", "event loop"])
def receive(request: pytest.FixtureRequest) -> Receive:
    """Receives by a thread or in an event loop."""

    def by_thread(layer: RedisChannelLayer, channels: Sequence[str], timeout: float = 0) -> list[Received]:
        return layer.receive_batch(channels, 10, timeout)

    def by_event_loop(layer: RedisChannelLayer, channels: Sequence[str], timeout: float = 0) -> list[Received]:
        async def main() -> list[Received]:
            try:
                return await layer.areceive_batch(channels, 10, timeout)
            finally:
                await layer.aclose()

        return asyncio.run(main())

    return by_thread if request.param == "thread" else by_event_loop


@contextmanager
def full(client: redis.Redis) -> Iterator[None]:
    """Fill the memory of the server."""
    client.config_set("maxmemory", 1)
    yield
    client.config_set("maxmemory", 0)


@contextmanager
def denied(client: redis.Redis, command: str) -> Iterator[None]:
    """Make the server refuse a command, in scripts, too."""
    client.execute_command("ACL", "SETUSER", "default", f"-{command}")
    yield
    client.execute_command("ACL", "SETUSER", "default", f"+{command}")


def numbers(batch: Sequence[Received]) -> list[Any]:
    return [received.content["number"] for received in batch]


# A Redis that is full.


def test_a_full_redis_refuses_a_batch_as_a_whole(layer: RedisChannelLayer, client: redis.Redis) -> None:
    layer.group_add("group", "member")
    layer.send_group("group", {"number": 1})  # from now on its routes are remembered
    batch = [layer.prepare("other", {"number": 2}), layer.prepare_group("group", {"number": 3})]
    with full(client):
        for deliveries in (batch, batch[:1], batch[1:]):
            with pytest.raises(LayerUnavailable, match=FULL) as error:
                layer.send_batch(deliveries)
            assert error.value.nothing_done
            assert error.value.received == []
    assert layer.send_batch(batch) == []
    assert numbers(layer.receive_batch(["member"], 10)) == [1, 3]
    assert numbers(layer.receive_batch(["other"], 10)) == [2]


def test_a_full_redis_refuses_an_event_loop(layer: RedisChannelLayer, client: redis.Redis) -> None:
    async def main() -> None:
        deliveries = [layer.prepare("test", {"number": 1})]
        with full(client):
            with pytest.raises(LayerUnavailable, match=FULL) as error:
                await layer.asend_batch(deliveries)
            assert error.value.nothing_done
        assert await layer.asend_batch(deliveries) == []
        await layer.aclose()

    asyncio.run(main())
    assert numbers(layer.receive_batch(["test"], 10)) == [1]


@pytest.mark.parametrize("to_group", [False, True], ids=["channel", "group"])
def test_messages_are_taken_while_a_full_redis_refuses_others(
    layer: RedisChannelLayer, client: redis.Redis, to_group: bool
) -> None:
    layer.group_add("group", "out")
    layer.send_group("group", {"number": 0})
    layer.send_batch([layer.prepare("in", {"number": number}) for number in (1, 2)])
    prepare = layer.prepare_group if to_group else layer.prepare
    deliveries = [prepare("group" if to_group else "out", {"number": 3})]
    with full(client):
        with pytest.raises(LayerUnavailable, match=FULL) as error:
            layer.send_and_receive(deliveries, ["in"], 10)
        assert error.value.nothing_done
        assert numbers(error.value.received) == [1, 2]
        assert client.llen("asgi:queue:in") == 0
        layer.give_back(error.value.received)  # what was there a moment ago is not refused
    assert layer.send_and_receive(deliveries, ["nothing"], 10) == ([], [])
    assert numbers(layer.receive_batch(["out"], 10)) == [0, 3]
    assert numbers(layer.receive_batch(["in"], 10)) == [1, 2]


def test_a_message_that_is_given_back_still_expires(layer: RedisChannelLayer, client: redis.Redis) -> None:
    layer.send("in", {"number": 1})
    layer.give_back(layer.receive_batch(["in"], 10))
    assert 0 < client.pttl("asgi:queue:in") <= 60_000


def test_a_full_redis_without_an_epoch(layer: RedisChannelLayer, client: redis.Redis) -> None:
    layer.send("in", {"number": 1})
    assert client.exists("asgi:epoch") == 0
    with full(client):
        assert numbers(layer.receive_batch(["in"], 10)) == [1]


def test_turns_go_on_while_redis_is_full(layer: RedisChannelLayer, client: redis.Redis) -> None:
    """Consumers that run make room. Only a message that would have to wait finds none."""
    layer.beat(PROCESS)

    def lease() -> int:
        return int(client.hget("asgi:turns:interface.test!a", "lease").split()[0])

    with full(client):
        for order in range(3):
            assert layer.enter_turn(Turn("interface.test!a", order, "frames", token="t"), {})
            with pytest.raises(LayerUnavailable, match=FULL) as error:
                layer.enter_turn(Turn("interface.test!a", order + 1, "frames"), {})
            assert error.value.nothing_done
            before = lease()
            layer.beat(PROCESS, [Lease("interface.test!a", order, "t")])
            assert lease() > before
            assert layer.send_batch([layer.end_of_turn("interface.test!a", order)]) == []
    assert 0 < client.pttl("asgi:turns:interface.test!a") <= layer.group_expiry * 1000


def test_processes_live_and_die_while_redis_is_full(layer: RedisChannelLayer, client: redis.Redis) -> None:
    """Without heartbeats, workers would stop to take messages, and Redis would stay full."""
    layer.send_batch([layer.prepare("in", {"number": number}) for number in range(3)])
    with full(client):
        assert not layer.beat(PROCESS).lapsed
        taker = layer.taker(PROCESS.name, 0)
        assert numbers(layer.receive_batch(["in"], 10, taker=taker)) == [0, 1, 2]
        swept = layer.sweep(PROCESS, lambda process: {})
        assert swept is not None
        assert swept.back == 3
        assert layer.beat(PROCESS).lapsed
    assert numbers(layer.receive_batch(["in"], 10)) == [0, 1, 2]


def test_the_end_of_a_turn_that_redis_refuses(layer: RedisChannelLayer, client: redis.Redis) -> None:
    """The messages before it were sent, and must not be sent again."""
    assert layer.enter_turn(Turn("interface.test!a", 0, "frames"), {})
    assert not layer.enter_turn(Turn("interface.test!a", 1, "frames"), {"number": 1})
    end = layer.end_of_turn("interface.test!a", 0)
    with denied(client, "hset"):
        with pytest.raises(LayerUnavailable) as error:
            layer.send_and_receive([layer.prepare("out", {"number": 0}), end], ["in"], 10)
        assert not error.value.nothing_done
    assert layer.send_batch([end]) == []
    assert numbers(layer.receive_batch(["frames"], 10)) == [1]
    assert numbers(layer.receive_batch(["out"], 10)) == [0]


# What was taken comes to the caller.


def test_messages_are_returned_although_a_second_trip_for_a_group_fails(
    server: RedisServer, layer: RedisChannelLayer, client: redis.Redis
) -> None:
    layer.group_add("group", "out")
    layer.send_group("group", {"number": 0})  # from now on its routes are remembered
    other = RedisChannelLayer([server.url])
    other.group_add("group", "broken!one")
    other.close()
    client.set("asgi:queue:broken!", "in the way")
    layer.send("in", {"number": 1})
    with pytest.raises(LayerUnavailable, match="WRONGTYPE") as error:
        layer.send_and_receive([layer.prepare_group("group", {"number": 2})], ["in"], 10)
    assert not error.value.nothing_done
    assert numbers(error.value.received) == [1]


def test_the_outcome_of_messages_is_known_although_receiving_fails(
    server: RedisServer, client: redis.Redis, caplog: pytest.LogCaptureFixture, layer_on: LayerOn
) -> None:
    layer = layer_on([server.url], capacity=1)
    layer.send("in", {"number": 0})
    deliveries = [layer.prepare("out", {"number": number}) for number in (1, 2)]
    with denied(client, "lpop"):
        assert layer.send_and_receive(deliveries, ["in"], 10) == ([1], [])
        assert "Not everything could be received: Redis at" in caplog.text
        with pytest.raises(LayerUnavailable):
            layer.send_and_receive([], ["in"], 10)
    assert sorted(numbers(layer.receive_batch(["out", "in"], 10))) == [0, 1]


def test_the_message_that_ended_a_wait_is_returned_although_the_rest_fails(
    server: RedisServer, layer: RedisChannelLayer, client: redis.Redis, receive: Receive
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receive, layer, ["in"], PATIENCE)
        wait_for_reader(server)
        with denied(client, "lpop"):
            layer.send("in", {"number": 1})
            assert numbers(waiting.result(PATIENCE)) == [1]


def test_messages_are_returned_although_members_cannot_be_told_again(
    server: RedisServer, layer: RedisChannelLayer, client: redis.Redis, receive: Receive
) -> None:
    layer.group_add("group", "test.process!one")
    assert receive(layer, ["test.process!"]) == []
    client.delete("asgi:epoch")
    client.delete("asgi:routes:group")
    client.set("asgi:routes:group", "in the way")
    layer.send("test.process!one", {"number": 1})
    assert numbers(receive(layer, ["test.process!"])) == [1]
    with pytest.raises(LayerUnavailable, match="WRONGTYPE"):
        receive(layer, ["test.process!"])
    client.delete("asgi:routes:group")
    assert receive(layer, ["test.process!"]) == []
    assert layer.group_channels("group") == ["test.process!one"]


def test_a_broadcast_whose_members_cannot_be_asked_for(
    server: RedisServer, layer: RedisChannelLayer, client: redis.Redis, receive: Receive, layer_on: LayerOn
) -> None:
    other = layer_on([server.url])
    layer.group_add("group", "test.process!one")
    assert layer.receive_batch(["test.process!"], 10) == []  # told to this layer, and not to the other one
    layer.send("test.process!two", {"number": 1})
    layer.send_group("group", {"number": 2})
    layer.send("test.process!two", {"number": 3})
    client.rename("asgi:members:group:test.process!", "elsewhere")
    client.set("asgi:members:group:test.process!", "in the way")
    assert numbers(receive(other, ["test.process!"])) == [1, 3]
    with pytest.raises(LayerUnavailable, match="WRONGTYPE"):
        receive(other, ["test.process!"])
    client.rename("elsewhere", "asgi:members:group:test.process!")
    [late] = receive(other, ["test.process!"])
    assert (late.channel, late.content) == ("test.process!one", {"number": 2})
    assert receive(other, ["test.process!"]) == []


# Several servers.


@pytest.fixture
def second() -> Iterator[RedisServer]:
    """Another one."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def both(server: RedisServer, second: RedisServer) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer([server.url, second.url])
    yield layer
    layer.close()


def on_its_own(server: RedisServer, number: int) -> None:
    """Send a message to one server of several."""
    layer = RedisChannelLayer([server.url])
    layer.send("in", {"number": number})
    layer.close()


def test_messages_of_one_server_are_returned_although_another_fails(
    server: RedisServer, second: RedisServer, both: RedisChannelLayer, receive: Receive
) -> None:
    on_its_own(server, 1)
    on_its_own(second, 2)
    with second.client() as client, denied(client, "lpop"):
        assert numbers(receive(both, ["in"])) == [1]
        assert both.send_and_receive([both.prepare("out", {"number": 3})], ["in"], 10) == ([], [])
        with pytest.raises(LayerUnavailable):
            receive(both, ["in"])
    assert numbers(receive(both, ["in"])) == [2]


def test_the_message_that_ended_a_wait_is_returned_although_another_server_fails(
    server: RedisServer, second: RedisServer, both: RedisChannelLayer
) -> None:
    with ThreadPoolExecutor(1) as pool, second.client() as client:
        waiting = pool.submit(both.receive_batch, ["in"], 10, PATIENCE)
        wait_for_reader(second)
        with denied(client, "client"):
            on_its_own(server, 1)
            assert numbers(waiting.result(PATIENCE)) == [1]


def test_a_batch_of_which_one_server_took_its_share(
    server: RedisServer, second: RedisServer, both: RedisChannelLayer
) -> None:
    names = [f"test?{number}" for number in range(20)]  # each has its place on one of the servers
    deliveries = [both.prepare(name, {}) for name in names]
    second.stop()
    with pytest.raises(LayerUnavailable) as error:
        both.send_batch(deliveries)
    assert not error.value.nothing_done
    with server.client() as client:
        on_second = [delivery for delivery in deliveries if not client.exists(f"asgi:queue:{delivery.name}")]
        assert 0 < len(on_second) < len(deliveries)
    with pytest.raises(LayerUnavailable) as error:
        both.send_batch(on_second)
    assert error.value.nothing_done  # so these may be sent again, and those that arrived never were
    second.start()
    assert both.send_batch(on_second) == []
    batch = both.receive_batch(names, len(names))
    assert sorted(received.channel for received in batch) == sorted(names)
    second.stop()
    with pytest.raises(LayerUnavailable) as error:
        both.give_back(batch)
    assert not error.value.nothing_done


def test_the_end_of_a_turn_on_a_server_that_is_away(
    server: RedisServer, second: RedisServer, both: RedisChannelLayer
) -> None:
    names = [f"interface.test{number}!one" for number in range(20)]
    for name in names:
        both.send(name, {})
    with server.client() as client:
        name = next(name for name in names if not client.exists(f"asgi:queue:{name[:-3]}"))
        message = both.prepare(next(name for name in names if client.exists(f"asgi:queue:{name[:-3]}")), {})
    end = both.end_of_turn(name, 0)
    second.stop()
    for deliveries, nothing_done in (([end], True), ([message, end], False)):
        with pytest.raises(LayerUnavailable) as error:
            both.send_batch(deliveries)
        assert error.value.nothing_done is nothing_done


# The time that a server has for an answer.


@pytest.mark.parametrize("keyword", ["connection_kwargs", "url"])
def test_an_idle_wait_is_not_a_timeout(
    server: RedisServer, receive: Receive, keyword: str, layer_on: LayerOn
) -> None:
    if keyword == "url":
        layer = layer_on([f"{server.url}?socket_timeout=1.5"])
    else:
        layer = layer_on([server.url], connection_kwargs={"socket_timeout": 1.5})
    assert receive(layer, ["in"], 2) == []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receive, layer, ["in"], PATIENCE)
        wait_for_reader(server)
        layer.send("in", {"number": 1})
        assert numbers(waiting.result(PATIENCE)) == [1]


def test_an_idle_wait_on_several_servers_is_not_a_timeout(
    server: RedisServer, second: RedisServer, layer_on: LayerOn
) -> None:
    layer = layer_on([server.url, second.url], connection_kwargs={"socket_timeout": 1.5})
    assert layer.receive_batch(["in"], 10, 2) == []
