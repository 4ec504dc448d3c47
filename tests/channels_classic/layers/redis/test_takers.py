"""Takers over Redis: lost answers, stopped processes, other versions, and keys that stay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any

import pytest
import redis

from channels_classic.layers import Client, Lapsed, LayerUnavailable, Process, RedisChannelLayer, Taker
from tests.conftest import LayerOn
from tests.redis_proxy import Cut, RedisProxy
from tests.redis_server import RedisServer

PROCESS = Process("worker.one", {"kind": "worker"})
PATIENCE = 60.0


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        yield client


def taker_of(layer: RedisChannelLayer, process: Process = PROCESS) -> Taker:
    layer.beat(process)
    return layer.taker(process.name, 0)


def send(layer: RedisChannelLayer, *numbers: int, channel: str = "queue") -> None:
    assert layer.send_batch([layer.prepare(channel, {"number": number}) for number in numbers]) == []


def read(batch: Any) -> list[int]:
    return [one.content["number"] for one in batch]


# Answers that are lost.


@pytest.mark.parametrize("timeout", [0, PATIENCE])
@pytest.mark.parametrize("where", ["before", "after"])
def test_no_trip_that_is_cut_loses_or_doubles_a_message(
    server: RedisServer, layer: RedisChannelLayer, where: Cut, timeout: float
) -> None:
    """Each round trip in turn is cut. The taker goes on, and in the end has seen each message once."""
    for cut_at in range(6):
        trips = 0

        def cut(trip: bytes, cut_at: int = cut_at) -> Cut:
            nonlocal trips
            if b"inflight:worker" not in trip:
                return None
            trips += 1
            return where if trips == cut_at + 1 else None

        with RedisProxy(server.url, cut) as proxy:
            behind = RedisChannelLayer([proxy.url])
            taker = taker_of(behind, Process(f"worker.{where}.{timeout}.{cut_at}", {}))
            send(layer, *range(10))
            seen: list[int] = []
            failures = 0
            while len(seen) < 10:
                try:
                    seen += read(behind.send_and_receive([], ["queue"], 3, timeout, taker)[1])
                except LayerUnavailable:
                    failures += 1
            assert seen == list(range(10))
            assert failures <= 1
            assert layer.receive_batch(["queue"], 10) == []
            behind.close()


@pytest.mark.parametrize("timeout", [0, PATIENCE])
@pytest.mark.parametrize("where", ["before", "after"])
def test_no_trip_to_one_of_several_servers_that_is_cut_loses_or_doubles_a_message(
    redis_servers: list[str], layer_on: LayerOn, where: Cut, timeout: float
) -> None:
    """The same with two servers, whose messages may change places if one of them has to repeat its answer."""
    urls = redis_servers[:2]
    layer = layer_on(urls)
    layer.flush()
    for cut_at in range(8):
        trips = count()

        def cut(trip: bytes, cut_at: int = cut_at, trips: Iterator[int] = trips) -> Cut:
            return where if b"inflight:worker" in trip and next(trips) == cut_at else None

        with RedisProxy(urls[0], cut) as first, RedisProxy(urls[1], cut) as second:
            behind = layer_on([first.url, second.url])
            taker = taker_of(behind, Process(f"worker.{where}.{timeout}.{cut_at}", {}))
            for number in range(10):
                send(layer, number)
            seen: list[int] = []
            while len(seen) < 10:
                with suppress(LayerUnavailable):
                    seen += read(behind.send_and_receive([], ["queue"], 3, timeout, taker)[1])
            assert sorted(seen) == list(range(10))
            assert layer.receive_batch(["queue"], 10) == []
            behind.close()


@pytest.mark.parametrize("timeout", [0, PATIENCE])
@pytest.mark.parametrize("servers", [1, 2])
def test_a_taker_whose_first_trip_was_cut_is_known_to_a_sweep(
    redis_servers: list[str], layer_on: LayerOn, servers: int, timeout: float
) -> None:
    """A server learns of a taker with the first trip that arrives, and not with the first that was made."""
    layer = layer_on(redis_servers[:servers])
    layer.flush()
    trips = count()

    def cut(trip: bytes) -> Cut:
        return "before" if b"inflight:worker" in trip and next(trips) < servers else None

    with ExitStack() as proxies:
        urls = [proxies.enter_context(RedisProxy(url, cut)).url for url in redis_servers[:servers]]
        behind = layer_on(urls)
        taker = taker_of(behind)
        send(layer, *range(6))
        with pytest.raises(LayerUnavailable):
            behind.send_and_receive([], ["queue"], 6, timeout, taker)
        seen: list[int] = []
        while not seen:
            seen = read(behind.send_and_receive([], ["queue"], 6, timeout, taker)[1])
        behind.close()
    swept = layer.sweep(PROCESS, lambda process: {})
    assert swept is not None
    assert swept.back == len(seen)
    assert sorted(read(layer.receive_batch(["queue"], 6))) == list(range(6))


def test_a_message_that_is_given_back_twice_comes_back_once(server: RedisServer, layer: RedisChannelLayer) -> None:
    with RedisProxy(server.url) as proxy:
        behind = RedisChannelLayer([proxy.url])
        taker = taker_of(behind)
        send(layer, 1, 2, 3)
        batch = behind.receive_batch(["queue"], 3, taker=taker)
        proxy.cut_after(b"inflight:worker")
        with pytest.raises(LayerUnavailable):
            behind.give_back(batch[1:], taker)
        behind.give_back(batch[1:], taker)
        behind.close()
    assert read(layer.receive_batch(["queue"], 10)) == [2, 3]


def test_a_worker_that_dies_while_it_waits_takes_nothing_along(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    """Its connection ends with it. The next message wakes another worker."""
    with RedisProxy(server.url) as proxy:
        behind = RedisChannelLayer([proxy.url])
        waits = threading.Event()
        proxy._cut = lambda trip: waits.set() if b"BLPOP" in trip else None  # type: ignore[func-returns-value]
        dying = taker_of(behind)

        def wait() -> None:
            with pytest.raises(LayerUnavailable):
                behind.receive_batch(["queue"], 5, PATIENCE, dying)

        thread = threading.Thread(target=wait)
        thread.start()
        assert waits.wait(PATIENCE)
        proxy.go_away()
        thread.join()
        other = taker_of(layer, Process("worker.two", {}))
        send(layer, 1)
        layer.sweep(PROCESS, lambda process: {})
        assert read(layer.receive_batch(["queue"], 5, PATIENCE, other)) == [1]
        behind.close()


# Waiting.


def test_a_refused_message_ends_the_wait_at_once(layer: RedisChannelLayer, server: RedisServer) -> None:
    """A full server does so, too. The worker has to tell the sender, and to try again."""
    taker = taker_of(layer)
    layer._queues._capacity_of = lambda channel: 1
    send(layer, 1, channel="full")
    full, received = layer.send_and_receive([layer.prepare("full", {})], ["queue"], 5, PATIENCE, taker)
    assert (full, received) == ([0], [])
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(LayerUnavailable, match="is full") as refused:
            layer.send_and_receive([layer.prepare("other", {})], ["queue"], 5, PATIENCE, taker)
        assert refused.value.nothing_done
        assert read(layer.send_and_receive([], ["full"], 5, PATIENCE, taker)[1]) == [1]
        client.config_set("maxmemory", 0)


def test_routes_that_have_changed_do_not_wait(
    layer: RedisChannelLayer, server: RedisServer, layer_on: LayerOn
) -> None:
    """A message to a group is sent again by the present routes, before the end of the turn."""
    other = layer_on([server.url])
    taker = taker_of(layer)
    other.group_add("group", "one")
    layer.send_group("group", {})
    other.group_add("group", "queue")
    batch = [layer.prepare_group("group", {"number": 1}), layer.end_of_turn("interface.a!b", 0)]
    full, received = layer.send_and_receive(batch, ["queue"], 5, PATIENCE, taker)
    assert full == []
    received = received or layer.receive_batch(["queue"], 5, PATIENCE, taker)
    assert read(received) == [1]


def test_one_message_wakes_one_worker(server: RedisServer, layer: RedisChannelLayer, client: redis.Redis) -> None:
    """Other workers that wait are not woken in vain."""
    takers = [taker_of(layer, Process(f"worker.{number}", {})) for number in range(5)]
    batches: list[list[int]] = []
    threads = [
        threading.Thread(
            target=lambda taker=taker: batches.append(read(layer.receive_batch(["queue"], 1, 3, taker)))
        )
        for taker in takers
    ]
    for thread in threads:
        thread.start()
    while int(client.info("clients")["blocked_clients"]) < 5:
        pass
    send(layer, 1)
    for thread in threads:
        thread.join()
    assert sorted(batches) == [[], [], [], [], [1]]
    assert int(client.info("commandstats")["cmdstat_blpop"]["calls"]) == 5  # nobody had to wait again


def test_a_message_on_one_of_several_servers_is_taken_with_few_commands(
    redis_servers: list[str], layer_on: LayerOn
) -> None:
    layer = layer_on(redis_servers)
    layer.flush()
    clients = [redis.Redis.from_url(url, decode_responses=True) for url in redis_servers]
    taker = taker_of(layer)
    taken: list[int] = []
    # The first message makes the connections and announces the taker.
    for number in range(2):
        thread = threading.Thread(
            target=lambda: taken.extend(read(layer.receive_batch(["queue"], 5, PATIENCE, taker)))
        )
        thread.start()
        while not all(client.info("clients")["blocked_clients"] for client in clients):
            pass
        for client in clients:
            client.config_resetstat()
        send(layer, number)
        thread.join()
    assert taken == [0, 1]
    scripts = sum(client.info("commandstats")["cmdstat_evalsha"]["calls"] for client in clients)
    assert scripts == 1 + len(clients) + 1  # send, peek on all, take from one
    for client in clients:
        client.close()


@pytest.mark.parametrize("is_early", [True, False])
def test_a_wait_on_several_servers_that_have_lost_their_scripts(
    redis_servers: list[str], layer_on: LayerOn, is_early: bool
) -> None:
    layer = layer_on(redis_servers)
    layer.flush()
    taker = taker_of(layer)
    send(layer, 1)
    assert read(layer.receive_batch(["queue"], 5, PATIENCE, taker)) == [1]
    if is_early:
        send(layer, 2)
    for url in redis_servers:
        with redis.Redis.from_url(url) as client:
            client.script_flush()
    threads = [] if is_early else [threading.Thread(target=lambda: send(layer, 2))]
    for thread in threads:
        thread.start()
    assert read(layer.receive_batch(["queue"], 5, PATIENCE, taker)) == [2]
    for thread in threads:
        thread.join()
    assert layer.receive_batch(["queue"], 5, 0, taker) == []


# Processes that were stopped, and those of other versions.


def test_a_trip_of_a_process_that_was_swept_in_the_meantime(
    server: RedisServer, layer: RedisChannelLayer, layer_on: LayerOn
) -> None:
    """When a message comes, the waiting worker takes nothing, and another one is woken."""
    stopped = layer_on([server.url])
    taker = taker_of(stopped)
    failures: list[Exception] = []

    def wait() -> None:
        try:
            stopped.receive_batch(["queue"], 5, PATIENCE, taker)
        except Lapsed as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    with redis.Redis.from_url(server.url) as client:
        while not client.info("clients")["blocked_clients"]:
            pass
    layer.sweep(PROCESS, lambda process: {})
    send(layer, 1)
    thread.join()
    assert len(failures) == 1
    other = taker_of(layer, Process("worker.two", {}))
    assert read(layer.receive_batch(["queue"], 5, PATIENCE, other)) == [1]


def test_an_interface_server_that_was_swept_sends_nothing_for_its_sockets(layer: RedisChannelLayer) -> None:
    interface = Process("interface.one", {})
    layer.beat(interface)
    layer.sweep(interface, lambda process: None)
    frame = layer.prepare("frames", {})._replace(client=Client("interface.one!a", 1))
    with pytest.raises(Lapsed):
        layer.send_batch([frame])
    assert layer.receive_batch(["frames"], 5) == []
    assert layer.clients("interface.one") == []


def test_a_server_that_has_lost_its_data_knows_its_processes_again(
    server: RedisServer, layer: RedisChannelLayer, client: redis.Redis
) -> None:
    """They have not lapsed. Their messages are taken even before their next heartbeat."""
    taker = taker_of(layer)
    client.flushall()
    full, _ = layer.send_and_receive([layer.prepare("queue", {"number": 1})], [], 0, taker=taker)
    assert full == []
    assert read(layer.receive_batch(["queue"], 5, taker=taker)) == [1]
    assert not layer.beat(PROCESS).lapsed
    assert layer.processes() == [PROCESS]
    layer.receive_batch(["queue"], 5, taker=taker)
    send(layer, 2)
    layer.receive_batch(["queue"], 5, taker=taker)
    assert layer.sweep(PROCESS, lambda process: {}) is not None
    assert read(layer.receive_batch(["queue"], 5)) == [2]


def previous_send(client: redis.Redis, channel: str, packed: bytes) -> None:
    """Append a message like the previous version, which rang no bells."""
    seconds, microseconds = client.time()
    stamp = b"%016d" % (seconds * 1_000_000 + microseconds + 60_000_000)
    client.rpush(f"asgi:queue:{channel}", stamp + b"m\0" + packed)
    client.pexpire(f"asgi:queue:{channel}", 60_000)


def test_the_previous_version_sends_to_this_one(
    layer: RedisChannelLayer, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody rings for its messages, so they are found when a wait is over."""
    monkeypatch.setattr("channels_classic.layers.redis.taking.LONGEST_WAIT", 0.2)
    taker = taker_of(layer)
    delivery = layer.prepare("queue", {"number": 1})
    send(layer, 0)
    assert read(layer.receive_batch(["queue"], 5, taker=taker)) == [0]
    client.delete("asgi:bell:queue")
    previous_send(client, "queue", delivery.payload)
    assert read(layer.receive_batch(["queue"], 5, PATIENCE, taker)) == [1]
    # From then on it is known that there are such senders: they wait a quarter of a second at most.
    monkeypatch.setattr("channels_classic.layers.redis.taking.LONGEST_WAIT", 3600.0)
    thread = threading.Thread(target=previous_send, args=[client, "queue", delivery.payload])
    thread.start()
    assert read(layer.receive_batch(["queue"], 5, PATIENCE, taker)) == [1]
    thread.join()


def test_the_previous_version_takes_from_this_one(layer: RedisChannelLayer, client: redis.Redis) -> None:
    """It takes by ``BLPOP`` on the queue itself, and also takes messages that a sweep has put back."""
    taker = taker_of(layer)
    send(layer, 1)
    layer.receive_batch(["queue"], 5, taker=taker)
    layer.sweep(PROCESS, lambda process: {})
    found = client.blpop(["asgi:queue:queue"], 5)
    assert found is not None
    assert found[1][16:18] == b"m\0"


# What is left behind.


def test_nothing_of_a_process_stays(layer: RedisChannelLayer, client: redis.Redis) -> None:
    """This holds whether it departs or is swept, and although others still send to it."""
    for end in (layer.depart, lambda process: layer.sweep(process, lambda process: None)):
        process = Process(f"interface.{id(end)}", {"threads": 1})
        taker = taker_of(layer, process)
        for channel in (f"{process.name}!a", f"{taker.name}!wake"):
            layer.send(channel, {})
            layer.group_add("group", channel)
            layer.pause([channel])
        send(layer, 1)
        layer.receive_batch(["queue"], 5, taker=taker)
        full, _ = layer.send_and_receive([layer.prepare("other", {})], ["queue"], 5, 0.05, taker)
        assert full == []
        end(process)
        layer.send(f"{process.name}!a", {})
        layer.send_group("group", {})
        layer.group_add("group", f"{process.name}!a")
        layer.group_discard("group", f"{process.name}!a")
        left = [key for key in client.scan_iter() if process.name.encode() in key]
        assert left == []
        assert layer.group_channels("group") == []


def test_a_prefix_shared_by_mistake(server: RedisServer, layer: RedisChannelLayer) -> None:
    """The error names the foreign key, and the process goes on."""
    with redis.Redis.from_url(server.url) as client:
        client.set("asgi:inflight:worker.one.0", "something else")
        taker = taker_of(layer)
        with pytest.raises(LayerUnavailable, match="Set another one"):
            layer.receive_batch(["queue"], 5, taker=taker)
        client.delete("asgi:inflight:worker.one.0")
    send(layer, 1)
    assert read(layer.receive_batch(["queue"], 5, taker=taker)) == [1]


@pytest.mark.parametrize("with_taker", [True, False])
def test_a_queue_whose_key_is_somebody_elses(
    server: RedisServer, layer: RedisChannelLayer, with_taker: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The messages of other channels are not lost with it, and the log tells of it once."""
    taker = taker_of(layer) if with_taker else None
    with redis.Redis.from_url(server.url) as client:
        client.set("asgi:queue:theirs", "something else")
        seen: list[int] = []
        for number in range(4):
            send(layer, number)
            seen += read(layer.receive_batch(["queue", "theirs"], 5, taker=taker))
        assert seen == [0, 1, 2, 3]
        [record] = caplog.records
        assert "asgi:queue:theirs" in record.getMessage()
        assert "Set another one" in record.getMessage()
        client.delete("asgi:queue:theirs")
    send(layer, 4, channel="theirs")
    assert read(layer.receive_batch(["queue", "theirs"], 5, taker=taker)) == [4]


def test_nothing_comes_back_of_a_process_that_was_swept(
    server: RedisServer, layer: RedisChannelLayer, layer_on: LayerOn, client: redis.Redis
) -> None:
    """It was stopped just before its first round trips, and goes on after the sweep."""
    frozen = layer_on([server.url])
    taker = taker_of(frozen)
    assert layer.sweep(PROCESS, lambda process: None) is not None
    with pytest.raises(Lapsed):
        frozen.receive_batch(["queue"], 5, taker=taker)
    with pytest.raises(Lapsed):
        frozen.receive_batch(["queue"], 5, 0.05, taker)
    frozen.open_answer(PROCESS.name, "interface.a!b")
    assert [key for key in client.scan_iter() if PROCESS.name.encode() in key] == []


def test_the_last_process_does_not_stay_among_those_that_have_ended(
    layer: RedisChannelLayer, client: redis.Redis
) -> None:
    """Nobody beats any more who would forget it."""
    for end in (layer.depart, lambda process: layer.sweep(process, lambda process: None)):
        layer.beat(PROCESS)
        end(PROCESS)
        assert layer.has_ended(PROCESS.name)
        assert 0 < client.pttl("asgi:gone") <= 60_000
        client.flushdb()


@pytest.mark.parametrize("timeout", [0, 0.05])
@pytest.mark.parametrize("servers", [1, 2])
def test_a_taker_that_a_full_server_hears_of_is_known_to_a_sweep(
    server: RedisServer, redis_servers: list[str], layer_on: LayerOn, servers: int, timeout: float
) -> None:
    """A server that is full lets takers take, and refuses most other commands."""
    layer = layer_on([server.url, *redis_servers[1:servers]])
    layer.flush()
    taker = taker_of(layer)
    send(layer, *range(6))
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        seen = read(layer.receive_batch(["queue"], 6, timeout, taker))
        client.config_set("maxmemory", 0)
    assert seen
    swept = layer.sweep(PROCESS, lambda process: {})
    assert swept is not None
    assert swept.back == len(seen)
    assert sorted(read(layer.receive_batch(["queue"], 6))) == list(range(6))


def test_a_taker_is_known_to_a_server_that_has_come_back_empty(
    layer: RedisChannelLayer, client: redis.Redis
) -> None:
    """It may be killed before its process has sent another heartbeat."""
    taker = taker_of(layer)
    send(layer, 1)
    layer.receive_batch(["queue"], 5, taker=taker)
    client.flushdb()
    send(layer, 2)
    layer.receive_batch(["queue"], 5, taker=taker)
    assert client.smembers(f"asgi:takers:{PROCESS.name}") == {b"0"}
