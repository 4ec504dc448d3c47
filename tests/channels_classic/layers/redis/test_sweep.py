"""A sweep that is killed between any two of its steps is finished by another one, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest
import redis

from channels_classic.layers import Client, Process, RedisChannelLayer, Turn, codec
from channels_classic.layers.redis.connections.server import Server
from channels_classic.layers.redis.connections.steps import Steps
from channels_classic.layers.tracking import Progress
from channels_classic.layers.traffic import traffic
from tests.channels_classic.layers.redis.schedules import all_schedules, interleave

DEAD = "worker.dead"
numbers = count()


@pytest.fixture(params=["plain", "encrypted", "several"])
def layers(request: pytest.FixtureRequest, redis_servers: list[str]) -> Iterator[list[RedisChannelLayer]]:
    """The layers of two living processes."""
    config: dict[str, Any] = {"at_least_once": ["mail"], "max_deliveries": 2}
    if request.param == "encrypted":
        config["symmetric_encryption_keys"] = ["secret"]
    hosts = redis_servers[:2] if request.param == "several" else redis_servers[:1]
    prefix = f"sweep{next(numbers)}:"
    layers = [RedisChannelLayer(hosts, prefix=prefix, stats_prefix=f"meta-{prefix}", **config) for _ in range(2)]
    yield layers
    for layer in layers:
        layer.flush()
        layer.close()


def die(layer: RedisChannelLayer) -> dict[str, tuple[int, int]]:
    """Let a process die that is a worker and has sockets. Returns the content of its journal."""
    process = Process(DEAD, {"kind": "worker"})
    layer.beat(process)
    for number in range(3):
        content = {"reply_channel": f"interface.a!{number}", "order": 0, "number": number}
        layer.send("http.request", content)
        layer.send("mail", content)
    letters = layer.taker("worker.before", 0)
    layer.beat(Process("worker.before", {}))
    # One message of the channel that is at-least-once was handed out before.
    assert letters is not None
    layer.receive_batch(["mail"], 1, taker=letters)
    layer.sweep(Process("worker.before", {}), lambda process: None)
    started = {}
    for number, (channel, begun) in enumerate([("http.request", 2), ("mail", 3)]):
        taker = layer.taker(DEAD, number)
        assert taker is not None
        assert len(layer.receive_batch([channel], 3, taker=taker)) == 3
        started[taker.name] = Progress(taker.batch, begun)
    assert layer.enter_turn(Turn("interface.a!0", 0, "http.request", token="t"), {})
    will = codec.pack({"reply_channel": f"{DEAD}!a"})
    connect = layer.prepare("connects", {})._replace(client=Client(f"{DEAD}!a", 0, will))
    frame = layer.prepare("frames", {})._replace(client=Client(f"{DEAD}!a", 1))
    assert layer.send_batch([connect, frame]) == []
    layer.group_add("group", f"{DEAD}!a")
    layer.open_answer(DEAD, "interface.b!stream")
    return started


def journal(started: dict[str, tuple[int, int]], process: Process) -> dict[str, tuple[int, int]]:
    """The journal for the sweep."""
    assert process.name == DEAD
    return started


def steps_of(layer: RedisChannelLayer, started: dict[str, tuple[int, int]]) -> Steps[Any]:
    process = Process(DEAD, {})
    return layer._sweeps.sweep(process, layer._rules(process), partial(journal, started))


def carry_out(servers: list[Server], steps: Steps[Any], at_most: int) -> bool:
    """Carry out ``steps`` round trips of a call. Returns whether it came to its end."""
    answers = None
    try:
        for _ in range(at_most):
            trips = steps.send(answers)
            answers = {number: servers[number].round_trip(trips.commands[number]) for number in trips.commands}
        steps.send(answers)
    except StopIteration:
        return True
    return False


def forget_lock(layer: RedisChannelLayer) -> None:
    """End the claim of a sweep that was killed."""
    layer._transport.servers[0].round_trip([("DEL", layer._keys[0].sweep(DEAD))])


def check(layer: RedisChannelLayer) -> None:
    """Check the state after the sweep."""
    assert layer.clients(DEAD) == []
    assert layer.group_channels("group") == []
    [goodbye] = layer.receive_batch(["websocket.disconnect"], 10)
    assert goodbye.content == {"reply_channel": f"{DEAD}!a", "order": 2}
    [request] = layer.receive_batch(["http.request"], 10)
    assert request.content["number"] == 2
    mail = sorted((one.content["number"], one.deliveries) for one in layer.receive_batch(["mail"], 10))
    letters = [(letter.content["number"], letter.deliveries) for letter in layer.dead_letters()]
    assert letters == [(0, 2)]
    assert mail == [(1, 2), (2, 2)]
    # Those that were told twice are told the same, and forget the second.
    replies = layer.receive_batch(["interface.a!"], 100)
    assert {one.channel for one in replies} == {"interface.a!0", "interface.a!1"}
    assert {one.content["status"] for one in replies} == {502}
    assert {one.content["status"] for one in layer.receive_batch(["interface.b!"], 100)} == {502}
    assert layer.enter_turn(Turn("interface.a!0", 1, "frames"), {})
    assert DEAD not in [process.name for process in layer.beat(Process("worker.alive", {})).dead]


def nothing_is_left(layer: RedisChannelLayer) -> None:
    for url in [str(source) for source in layer._transport._sources]:
        host, _, port = url.partition(",")[0].partition(":")
        with redis.Redis(host=host, port=int(port)) as client:
            assert [key for key in client.scan_iter(f"{layer.prefix}*") if DEAD.encode() in key] == []


def test_a_sweep_that_is_killed_after_any_step(layers: list[RedisChannelLayer]) -> None:
    one, two = layers
    for at_most in count(1):
        for layer in layers:
            layer.flush()
        started = die(one)
        ended = carry_out(one._transport.servers, steps_of(one, started), at_most)
        if not ended:
            assert two.sweep(Process(DEAD, {}), partial(journal, started)) is None
            # Who beats learns of it until it is finished, whatever is left of the life of the dead.
            assert DEAD in [process.name for process in two.beat(Process("worker.alive", {})).dead]
            forget_lock(two)
            assert two.sweep(Process(DEAD, {}), partial(journal, started)) is not None
        check(two)
        nothing_is_left(two)
        if ended:
            assert at_most > 10
            return


def test_nobody_sweeps_a_process_that_departs(layers: list[RedisChannelLayer]) -> None:
    """Other processes see it between two steps. If it is killed there, they go on after the time of its claim."""
    one, two = layers
    for at_most in count(1):
        for layer in layers:
            layer.flush()
        die(one)
        ended = carry_out(one._transport.servers, one._sweeps.depart(DEAD), at_most)
        dead = [process.name for process in two.beat(Process("worker.alive", {})).dead]
        assert dead == ([] if ended else [DEAD])
        if ended:
            nothing_is_left(two)
            assert at_most > 3
            return
        assert two.sweep(Process(DEAD, {}), lambda process: None) is None
        forget_lock(two)
        assert two.sweep(Process(DEAD, {}), lambda process: None) is not None
        nothing_is_left(two)


def test_a_process_that_is_swept_does_not_depart_with_its_messages(layers: list[RedisChannelLayer]) -> None:
    """A process that was declared dead ends while another one sweeps it."""
    one, two = layers
    started = die(one)
    assert not carry_out(two._transport.servers, steps_of(two, started), 2)
    one.depart(Process(DEAD, {}))
    forget_lock(two)
    assert two.sweep(Process(DEAD, {}), partial(journal, started)) is not None
    check(two)


@pytest.mark.parametrize("block", [7, 8, 9])
def test_two_sweeps_at_the_same_time(redis_servers: list[str], block: int) -> None:
    """The claim was lost, as after a failover, so two sweeps mix in any order of steps.

    They mix in blocks of several round trips, so that there are not too many orders. Blocks of other sizes end
    behind other round trips.
    """
    prefix = f"sweep{next(numbers)}:"
    config: dict[str, Any] = {"at_least_once": ["mail"], "max_deliveries": 2}
    one, two = (
        RedisChannelLayer(redis_servers[:1], prefix=prefix, stats_prefix=f"meta-{prefix}", **config)
        for _ in range(2)
    )

    def play(choose: Any) -> None:
        one.flush()
        started = die(one)
        first, second = steps_of(one, started), steps_of(two, started)
        server = one._transport.servers

        def begin(steps: Steps[Any]) -> Steps[Any]:
            answers = yield steps.send(None)
            forget_lock(one)
            try:
                trips = steps.send(answers)
            except StopIteration as stop:  # the other one has ended
                return stop.value
            return (yield from rest(steps, trips))

        def rest(steps: Steps[Any], trips: Any) -> Steps[Any]:
            try:
                while True:
                    answers: Any = None
                    for _ in range(block):
                        answers = {0: server[0].round_trip(trips.commands[0])}
                        trips = steps.send(answers)
                    trips = steps.send((yield trips))
            except StopIteration as stop:
                return stop.value

        interleave(server, [iter([begin(first)]), iter([begin(second)])], choose)
        check(two)
        nothing_is_left(two)

    try:
        assert all_schedules(play) > 10
    finally:
        for layer in (one, two):
            layer.flush()
            layer.close()


def test_a_process_with_thousands_of_sockets(redis_url: str) -> None:
    """Redis shows a large hash in pages, and some of them are empty when most of the sockets are gone."""
    layer = RedisChannelLayer([redis_url])
    process = Process("interface.large", {"kind": "interface"})
    layer.beat(process)
    channels = [f"{process.name}!{number}" for number in range(10_000)]
    layer.register_clients(
        process.name, {channel: (0, codec.pack({"reply_channel": channel})) for channel in channels}
    )
    swept = layer.sweep(process, lambda process: None)
    assert swept is not None
    assert swept.goodbyes == len(channels)
    goodbyes = layer.receive_batch(["websocket.disconnect"], 10_000)
    assert {one.content["reply_channel"] for one in goodbyes} == set(channels)
    assert len(goodbyes) == len(channels)
    layer.close()


def test_the_turns_of_a_client_whose_disconnect_is_lost_do_not_stay(redis_url: str) -> None:
    """Nobody else would say that it has left."""
    layer = RedisChannelLayer([redis_url])
    layer.beat(Process(DEAD, {}))
    taker = layer.taker(DEAD, 0)
    for number in range(2):
        layer.send("websocket.disconnect", {"reply_channel": f"interface.a!{number}", "order": 5})
    assert len(layer.receive_batch(["websocket.disconnect"], 5, taker=taker)) == 2
    started = {taker.name: Progress(taker.batch, 1)}
    assert layer.sweep(Process(DEAD, {}), partial(journal, started)) is not None
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.pttl("asgi:turns:interface.a!0") <= layer.expiry * 1000
        assert not client.exists("asgi:turns:interface.a!1")
    layer.close()


def test_a_process_with_many_takers_is_removed_in_few_round_trips(redis_url: str) -> None:
    """A claim lasts for ten seconds only, wherever the server is."""
    layer = RedisChannelLayer([redis_url])
    layer.beat(Process(DEAD, {}))
    layer.send("queue", {})
    layer.receive_batch(["queue"], 1, taker=layer.taker(DEAD, 500))
    trips = traffic.round_trips
    layer.depart(Process(DEAD, {}))
    assert traffic.round_trips - trips < 10
    nothing_is_left(layer)
    layer.close()
