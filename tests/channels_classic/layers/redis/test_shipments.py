"""Shipments of takers whose answer is lost are sent again, and arrive once."""

from __future__ import annotations

import random
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from channels_classic.layers import Delivery, LayerUnavailable, Process, RedisChannelLayer, Taker
from channels_classic.layers.names import queue_name
from tests.redis_proxy import Cut, RedisProxy
from tests.redis_server import RedisServer

PROCESS = Process("worker.one", {"kind": "worker"})
GROUP, MEMBER = "group", "reader.one!member"
QUEUES = ["one", "two", MEMBER]


def is_sending(trip: bytes) -> bool:
    return b":sent:worker.one.0" in trip


class Given:
    """A taker whose round trips break, and a reader whose round trips do not."""

    def __init__(self, stack: ExitStack, urls: Sequence[str], cut: Callable[[bytes], Cut]) -> None:
        self.proxies = [stack.enter_context(RedisProxy(url, cut)) for url in urls]
        self.reader = RedisChannelLayer(urls, capacity=9)
        self.sender = RedisChannelLayer([proxy.url for proxy in self.proxies], capacity=9)
        for layer in (self.reader, self.sender):
            stack.callback(layer.close)
        self.reader.flush()
        self.reader.group_add(GROUP, MEMBER)
        self.sender.beat(PROCESS)
        self.taker: Taker = self.sender.taker(PROCESS.name, 0)

    def messages(self, *to: tuple[str, int]) -> list[Delivery]:
        return [
            self.sender.prepare_group(GROUP, {"number": number})
            if name == GROUP
            else self.sender.prepare(name, {"number": number})
            for name, number in to
        ]

    def ship(self, messages: Sequence[Delivery]) -> list[int]:
        """Send until the answer comes."""
        while True:
            try:
                return self.sender.send_and_receive(messages, [], 0, taker=self.taker)[0]
            except LayerUnavailable as error:
                if not (error.nothing_done or error.repeatable):
                    raise

    def read(self, channel: str) -> list[int]:
        return [one.content["number"] for one in self.reader.receive_batch([queue_name(channel)], 10_000)]


@pytest.fixture
def make() -> Iterator[Callable[..., Given]]:
    with ExitStack() as stack:
        yield lambda urls, cut=lambda trip: None: Given(stack, urls, cut)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hosts", [1, 3])
def test_whatever_breaks_each_message_arrives_once_and_in_order(
    make: Callable[..., Given], redis_servers: list[str], hosts: int, seed: int
) -> None:
    """Refused messages are known, although the first answer that named them was lost."""
    dice = random.Random(seed)
    cuts: dict[Cut, int] = defaultdict(int)

    def cut(trip: bytes) -> Cut:
        where: Cut = dice.choice([None, "before", "after"]) if is_sending(trip) else None
        cuts[where] += 1
        return where

    given = make(redis_servers[:hosts], cut)
    taken: dict[str, list[int]] = defaultdict(list)
    seen: dict[str, list[int]] = defaultdict(list)
    number = refused = 0
    for _ in range(40):
        to = [dice.choice(["one", "two", GROUP]) for _ in range(dice.randrange(1, 12))]
        batch = [(name, number + place) for place, name in enumerate(to)]
        number += len(batch)
        full = given.ship(given.messages(*batch))
        refused += len(full)
        for place, (name, one) in enumerate(batch):
            if place not in full:
                taken[name].append(one)
        if dice.random() < 0.3:
            for name in QUEUES:
                seen[name] += given.read(name)
    for name in QUEUES:
        seen[name] += given.read(name)
    order: Any = list if hosts == 1 else sorted  # between servers, the reader puts them into order by time
    assert order(seen["one"]) == taken["one"]
    assert order(seen["two"]) == taken["two"]
    assert set(seen[MEMBER]) <= set(taken[GROUP])  # a full member is skipped
    assert seen[MEMBER] == sorted(set(seen[MEMBER]))
    assert refused
    assert min(cuts["before"], cuts["after"]) > 5


def test_a_shipment_that_arrives_late_is_not_sent_once_more(make: Callable[..., Given], redis_url: str) -> None:
    """It was in the connection of a server that hung, and was sent again meanwhile."""
    late: list[bytes] = []

    def cut(trip: bytes) -> Cut:
        if is_sending(trip) and not late:
            late.append(trip)
            return "before"
        return None

    given = make([redis_url], cut)
    given.ship(given.messages(("one", 1)))  # the server learns the scripts
    late.clear()
    assert given.ship(given.messages(("one", 2))) == []
    replay(redis_url, late[0])
    assert given.read("one") == [1, 2]
    given.ship(given.messages(("one", 3)))
    replay(redis_url, late[0])
    assert given.read("one") == [3]


def replay(url: str, trip: bytes) -> None:
    """Let a server carry out commands that it had not read yet."""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
        connection.sendall(trip)
        assert not connection.recv(2**16).startswith(b"-")


def test_routes_that_change_before_the_shipment_is_sent_again(make: Callable[..., Given], redis_url: str) -> None:
    cuts: list[Cut] = []
    given = make([redis_url], lambda trip: cuts.pop() if is_sending(trip) and cuts else None)
    given.ship(given.messages((GROUP, 0)))  # from now on it remembers the routes
    assert given.read(MEMBER) == [0]
    other = "reader.two!member"
    messages = given.messages((GROUP, 1), ("one", 1))
    cuts.append("before")
    with pytest.raises(LayerUnavailable) as error:
        given.sender.send_and_receive(messages, [], 0, taker=given.taker)
    assert error.value.repeatable
    given.reader.group_add(GROUP, other)
    cuts.append("after")  # of the trip that is told the new routes
    assert given.ship(messages) == []
    assert (given.read(MEMBER), given.read(other), given.read("one")) == ([1], [1], [1])


def test_equal_messages_are_other_messages(make: Callable[..., Given], redis_url: str) -> None:
    """The ones before were given up."""
    cuts: list[Cut] = ["after"]
    given = make([redis_url], lambda trip: cuts.pop() if is_sending(trip) and cuts else None)
    with pytest.raises(LayerUnavailable):
        given.sender.send_and_receive(given.messages(("one", 1)), [], 0, taker=given.taker)
    assert given.ship(given.messages(("one", 1))) == []
    assert given.read("one") == [1, 1]


def test_a_script_that_fails_half_way_is_not_to_be_repeated(
    make: Callable[..., Given], redis_server: RedisServer, redis_url: str
) -> None:
    given = make([redis_url])
    with redis.Redis.from_url(redis_url) as client:
        client.set("asgi:queue:two", "somebody else's")
    with pytest.raises(LayerUnavailable, match="same prefix") as error:
        given.sender.send_and_receive(given.messages(("one", 1), ("two", 2)), [], 0, taker=given.taker)
    assert not error.value.repeatable
    assert not error.value.nothing_done
