"""A process that receives on its own channel gets each message once, whatever breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from channels_classic.layers import LayerUnavailable, Process, RedisChannelLayer
from tests.channels_classic.layers.redis.schedules import all_schedules
from tests.conftest import LayerOn
from tests.redis_proxy import Cut, RedisProxy
from tests.redis_server import RedisServer

NAME = "interface.one"
CHANNEL = f"{NAME}!client"


def is_reading(trip: bytes) -> bool:
    return b":handed:" in trip


class Numbers:
    """Sends numbered messages to one process, which reads over the same layer.

    Arguments:
        layer: empty at first.
    """

    def __init__(self, layer: RedisChannelLayer) -> None:
        self.layer = layer
        self.sent = 0

    def send(self, count: int) -> None:
        messages = [self.layer.prepare(CHANNEL, {"number": self.sent + place}) for place in range(count)]
        assert self.layer.send_batch(messages) == []
        self.sent += count


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer([redis_url])
    yield layer
    layer.close()


@pytest.fixture
def numbers(layer: RedisChannelLayer) -> Numbers:
    return Numbers(layer)


async def read(layer: RedisChannelLayer, limit: int = 1000, timeout: float = 0) -> list[int]:
    """Read as an interface server does, which tries again after an outage."""
    while True:
        try:
            batch = await layer.areceive_own(NAME, limit, timeout)
        except LayerUnavailable:
            continue
        assert all(one.channel == CHANNEL for one in batch)
        return [one.content["number"] for one in batch]


@pytest.mark.parametrize("timeout", [0, 1])
@pytest.mark.parametrize("hosts", [1, 3])
def test_whatever_breaks_each_message_comes_once_and_in_order(
    redis_servers: list[str], stack: ExitStack, hosts: int, timeout: float, layer_on: LayerOn
) -> None:
    """Also if there are more messages than one batch can have."""
    dice = random.Random(hosts)
    cuts: list[Cut] = []

    def cut(trip: bytes) -> Cut:
        if is_reading(trip):
            cuts.append(dice.choice([None, "before", "after", "after"]))
            return cuts[-1]
        return None

    urls = redis_servers[:hosts]
    numbers = Numbers(RedisChannelLayer(urls))
    numbers.layer.flush()
    stack.callback(numbers.layer.close)
    proxies = [stack.enter_context(RedisProxy(url, cut)) for url in urls]
    layer = layer_on([proxy.url for proxy in proxies])

    async def main() -> list[int]:
        seen: list[int] = []
        for _ in range(20):
            numbers.send(dice.randrange(1, 9))
            seen += await read(layer, 6, timeout)
        while len(seen) < numbers.sent:
            seen += await read(layer, 6, timeout)
        assert await read(layer) == []
        await layer.aclose()
        return seen

    assert asyncio.run(main()) == list(range(numbers.sent))
    assert cuts.count("after") > 10


class Trip:
    """A round trip of a reader, which Redis may carry out later than the reader thinks."""

    def __init__(self, layer: RedisChannelLayer, limit: int) -> None:
        self._reading = layer._batches._reading
        self._steps = self._reading.read(NAME, limit, 0)
        self._commands = next(self._steps).commands[0]
        self._server = layer._transport.servers[0]

    def carry_out(self) -> Sequence[Any]:
        return self._server.round_trip(self._commands)

    def complete(self, too_late: bool = False) -> list[int]:
        """Carry it out, and let the answer arrive.

        Arguments:
            too_late: whether Redis carries it out when the reader has already given up.
        """
        if too_late:
            [(*command, latest, asked, seen)] = self._commands
            assert latest > 1e15
            self._commands = [(*command, 1, asked, seen)]
        try:
            self._steps.send({0: self.carry_out()})
        except StopIteration as stop:
            received, number = stop.value
        self._reading.confirm(NAME, number)
        return [one.content["number"] for one in received]


def test_every_order_of_what_is_lost_and_what_is_late(numbers: Numbers, layer: RedisChannelLayer) -> None:
    """An answer may be lost, and Redis may carry out a round trip after later ones have ended."""

    def run(choose: Callable[[int], int]) -> None:
        first = numbers.sent
        late: list[Trip] = []
        seen: list[int] = []
        for place in range(3):
            numbers.send(choose(2) * (2 + place))
            trip = Trip(layer, limit=3)
            outcome = choose(4)
            if outcome == 0:
                seen += trip.complete()
            elif outcome == 3:
                assert trip.complete(too_late=True) == []
            elif outcome == 1:
                trip.carry_out()
            else:
                late.append(trip)
            if late and late[0] is not trip and choose(2):
                late.pop(0).carry_out()
        for trip in late:
            trip.carry_out()
        for _ in range(4):
            seen += Trip(layer, limit=100).complete()
        assert seen == list(range(first, numbers.sent))

    assert all_schedules(run) > 500


def test_a_cancelled_call_loses_nothing(numbers: Numbers, redis_url: str) -> None:

    async def main() -> list[int]:
        layer = RedisChannelLayer([redis_url])
        seen: list[int] = []
        for turns in range(60):
            task = asyncio.create_task(read(layer, timeout=0.1))
            for _ in range(turns % 12):
                await asyncio.sleep(0)
            await asyncio.to_thread(numbers.send, 2)
            if turns % 3:
                task.cancel()
            [result] = await asyncio.gather(task, return_exceptions=True)
            seen += result if isinstance(result, list) else []
        while len(seen) < numbers.sent:
            seen += await read(layer, timeout=1)
        await layer.aclose()
        return seen

    assert asyncio.run(main()) == list(range(numbers.sent))


def test_a_batch_that_a_lagging_replica_still_has_does_not_come_twice(
    numbers: Numbers, layer: RedisChannelLayer, client: redis.Redis
) -> None:
    """The replica takes over before it knows that the batch has arrived."""
    numbers.send(2)
    assert Trip(layer, 10).complete() == [0, 1]
    before = client.dump(f"asgi:handed:{NAME}")
    numbers.send(1)
    assert Trip(layer, 10).complete() == [2]
    client.restore(f"asgi:handed:{NAME}", 0, before, replace=True)
    numbers.send(1)
    assert Trip(layer, 10).complete() == [3]


def test_a_full_redis_hands_out_what_it_has(server: RedisServer, layer_on: LayerOn) -> None:
    """The first write of the script takes no memory."""
    layer = layer_on([server.url])
    numbers = Numbers(layer)
    numbers.send(3)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        assert Trip(layer, 10).complete() == [0, 1, 2]
        assert Trip(layer, 10).complete() == []


def test_nothing_stays_behind(numbers: Numbers, layer: RedisChannelLayer, client: redis.Redis) -> None:
    """The sweep of a dead process removes its last batch, and a batch without a process expires."""
    process = Process(NAME, {"kind": "interface"})
    layer.beat(process)
    numbers.send(2)
    assert Trip(layer, 10).complete() == [0, 1]
    assert 0 < client.pttl(f"asgi:handed:{NAME}") <= 60_000
    assert Trip(layer, 10).complete() == []
    assert 0 < client.pttl(f"asgi:handed:{NAME}") <= 60_000
    assert layer.sweep(process, lambda process: {}) is not None
    assert [key for key in client.scan_iter() if NAME.encode() in key] == []
