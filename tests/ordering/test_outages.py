"""Turns whose round trips to Redis break, before the server sees them or before the answer is back.

The messages of a consumer travel with the end of its turn. If that round trip breaks, nobody knows whether they
arrived. They are sent again, and come once.

These tests use the real times: a turn that is not ended would end after 5 minutes, longer than any test here
waits.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import ConsumeLater
from channels_classic.layers import RedisChannelLayer
from channels_classic.message import Message
from channels_classic.sessions.ordering import enforce_ordering
from tests.ordering.served import OURS, served, wait_for
from tests.ordering.test_load import flood
from tests.redis_proxy import Cut, RedisProxy, turn_step
from tests.redis_server import RedisServer
from worker import WorkerGroup

CLIENT = "interface.abc!one"
SECONDS = 60
SOCKETS, FRAMES = 20, 25

Frames = Callable[[Message], Any]


class Cuts:
    """Cuts the first round trips with a step of a turn, and records that it did."""

    def __init__(self, *planned: tuple[str, Cut]) -> None:
        self.planned = list(planned)
        self.done: list[tuple[str, Cut]] = []
        self._lock = threading.Lock()

    def __call__(self, trip: bytes) -> Cut:
        with self._lock:
            if not self.planned or turn_step(trip) != self.planned[0][0]:
                return None
            self.done.append(self.planned.pop(0))
            return self.done[-1][1]


class Dice:
    """Cuts some of the trips with a step of a turn, and of those that read replies, at random."""

    def __init__(self, seed: int, share: float) -> None:
        self.counts: Counter[tuple[str, Cut]] = Counter()
        self._dice = random.Random(seed)
        self._share = share
        self._lock = threading.Lock()

    def __call__(self, trip: bytes) -> Cut:
        step = "read" if b":handed:" in trip else turn_step(trip)
        with self._lock:
            if step not in ("enter", "end", "suspend", "read") or self._dice.random() >= self._share:
                return None
            cut: Cut = self._dice.choice(["before", "after"])
            self.counts[step, cut] += 1
            return cut


class Site:
    """Workers whose way to Redis is cut, and a client whose way is not.

    Arguments:
        urls: of the servers.
        cut: what is cut of the workers' trips.
    """

    def __init__(self, urls: list[str], cut: Callable[[bytes], Cut], stack: ExitStack) -> None:
        self.proxies = [stack.enter_context(RedisProxy(url, cut)) for url in urls]
        options: dict[str, Any] = {"prefix": "cut:", "stats_prefix": "cut-meta:", "capacity": 10_000}
        self.layer = RedisChannelLayer(urls, **options)
        self.layer.flush()
        self.of_workers = RedisChannelLayer([proxy.url for proxy in self.proxies], **options)
        for layer in (self.layer, self.of_workers):
            stack.callback(layer.close)
        self.ran: list[tuple[str, int]] = []
        self._stack = stack

    def start(self, consumer: Frames, n_threads: int = 1, **options: Any) -> WorkerGroup:
        """Start workers with this consumer for the frames."""

        def recorded(message: Message) -> None:
            self.ran.append((message["reply_channel"], message["order"]))
            consumer(message)

        slight = options.pop("slight", False)
        routing = {"frames": enforce_ordering(recorded, slight=slight)}
        layer = ChannelLayerWrapper(self.of_workers, "default", routing)
        group = WorkerGroup(layer, n_threads, signal_handlers=False, **options)
        group.start()
        self._stack.callback(group.stop)
        return group

    def send(self, *orders: int, client: str = CLIENT) -> None:
        """The client sends frames."""
        for order in orders:
            self.layer.send("frames", {"reply_channel": client, "order": order})

    def replies(self, count: int) -> list[int]:
        """The next replies to any client."""
        return [text for texts in self.answered(count).values() for text in texts]

    def answered(self, count: int) -> dict[str, list[int]]:
        """The next replies, by client; and all that come with them, should one have come twice."""
        deadline = time.monotonic() + SECONDS
        texts: dict[str, list[int]] = defaultdict(list)
        while sum(map(len, texts.values())) < count and time.monotonic() < deadline:
            for one in self.layer.receive_batch(["interface.abc!"], 1000, 0.1):
                texts[one.channel].append(one.content["text"])
        return texts


@pytest.fixture
def make_site(redis_server: RedisServer) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:
        yield lambda cut, *urls: Site(list(urls) or [redis_server.url], cut, stack)


def echo(message: Message) -> None:
    message.reply_channel.send({"text": message["order"]})  # type: ignore[union-attr]


CUT = pytest.mark.parametrize("cut", ["before", "after"])


@CUT
@pytest.mark.parametrize("slight", [False, True])
def test_a_message_whose_turn_it_is(make_site: Any, cut: Cut, slight: bool) -> None:
    """It runs once, and its turn ends. It does not use up a ``ConsumeLater``."""
    cuts = Cuts(*[("enter", cut)] * 3)
    site = make_site(cuts)
    site.start(echo, message_retries=0, slight=slight)
    site.send(*range(6))
    assert site.replies(6) == list(range(6))
    assert site.ran == [(CLIENT, order) for order in range(6)]
    assert cuts.planned == []


@CUT
@pytest.mark.parametrize("slight", [False, True])
def test_a_message_that_is_early(make_site: Any, cut: Cut, slight: bool) -> None:
    """It waits, once."""
    cuts = Cuts(("enter", cut), ("enter", cut), ("enter", cut))
    site = make_site(cuts)
    site.start(echo, message_retries=0, slight=slight)
    site.send(2, 3, 1, 0)
    assert sorted(site.replies(4)) == [0, 1, 2, 3]
    assert sorted(site.ran) == [(CLIENT, order) for order in range(4)]
    assert slight or site.ran == sorted(site.ran)
    assert cuts.planned == []
    assert site.layer.receive(["frames"]) == (None, None)


@CUT
def test_a_message_that_goes_back(make_site: Any, cut: Cut) -> None:
    """``ConsumeLater`` gets through, and the message has its turn when it comes again."""
    cuts = Cuts(("suspend", cut), ("suspend", cut))
    site = make_site(cuts)
    tried: list[int] = []

    def consumer(message: Message) -> None:
        tried.append(message["order"])
        if message["order"] == 1 and tried.count(1) < 3:
            raise ConsumeLater
        echo(message)

    site.start(consumer)
    site.send(0, 1, 2)
    assert site.replies(3) == [0, 1, 2]
    assert tried == [0, 1, 1, 1, 2]
    assert cuts.planned == []


@CUT
@pytest.mark.parametrize("hosts", [1, 3])
def test_the_end_of_a_turn(make_site: Any, redis_servers: list[str], hosts: int, cut: Cut) -> None:
    """It is sent again, and has its effect once."""
    cuts = Cuts(*[("end", cut)] * 5)
    site = make_site(cuts, *redis_servers[:hosts])
    clients = [f"interface.abc!{number}" for number in range(4)]
    site.start(echo, n_threads=2)
    for order in range(10):
        for client in clients:
            site.send(order, client=client)
    answered = site.answered(40)
    for client in clients:
        assert [one for one in site.ran if one[0] == client] == [(client, order) for order in range(10)]
        assert answered[client] == list(range(10))
    assert cuts.planned == []


def test_an_outage_in_which_a_message_waits_in_the_worker(make_site: Any, redis_server: RedisServer) -> None:
    """This may take many attempts, even if the first one already got the turn."""
    asked: list[str] = []

    def cut(trip: bytes) -> Cut:
        if turn_step(trip) != "enter" or asked:
            return None
        asked.append("enter")
        proxy.go_away(break_open=False)
        return "after"

    site = make_site(cut)
    [proxy] = site.proxies
    site.start(echo, message_retries=0)
    site.send(0, 1, 2)
    wait_for(lambda: proxy.refused >= 4)
    assert site.ran == []
    with redis_server.client() as record:
        assert record.hget(f"cut:turns:{CLIENT}", "lease")
    proxy.come_back()
    assert site.replies(3) == [0, 1, 2]
    assert site.ran == [(CLIENT, 0), (CLIENT, 1), (CLIENT, 2)]


def test_a_worker_that_is_told_to_stop_in_an_outage_stops(make_site: Any) -> None:
    site = make_site(lambda trip: None)
    [proxy] = site.proxies
    running, may_end = threading.Event(), threading.Event()

    def consumer(message: Message) -> None:
        running.set()
        may_end.wait(SECONDS)
        raise ConsumeLater

    group = site.start(consumer)
    site.send(0)
    assert running.wait(SECONDS)
    proxy.go_away()
    may_end.set()
    wait_for(lambda: proxy.refused >= 2)
    group.stop()
    assert site.ran == [(CLIENT, 0)]


@pytest.mark.parametrize("hosts", [1, 3])
def test_all_at_random(make_site: Any, redis_servers: list[str], hosts: int) -> None:
    dice = Dice(seed=hosts, share=0.2)
    site = make_site(dice, *redis_servers[:hosts])
    tried: Counter[tuple[str, int]] = Counter()

    def consumer(message: Message) -> None:
        one = (message["reply_channel"], message["order"])
        tried[one] += 1
        if message["order"] % 5 == 3 and tried[one] < 3:
            raise ConsumeLater
        echo(message)

    site.start(consumer, n_threads=4)
    clients = [f"interface.abc!{number}" for number in range(6)]
    sent = [(client, order) for client in clients for order in range(30)]
    random.Random(hosts).shuffle(sent)
    for client, order in sent:
        site.send(order, client=client)
    expected = [order for order in range(30) for _ in range(3 if order % 5 == 3 else 1)]
    answered = site.answered(len(sent))
    for client in clients:
        assert answered[client] == list(range(30))
        assert [order for who, order in site.ran if who == client] == expected
    assert min(dice.counts[step, cut] for step in ("enter", "end", "suspend") for cut in ("before", "after")) > 0


def test_sockets_whose_turns_and_replies_are_cut(
    redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    """Interface server and workers in processes of their own, frames as fast as they come."""
    dice = Dice(seed=1, share=0.1)
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    with RedisProxy(redis_url, dice) as proxy, redis_server.client() as record:
        site = {"LOAD_REDIS": proxy.url, "LOAD_SESSION_ENGINE": OURS, "LOAD_DATABASE": json.dumps(database)}
        with served(site, tmp_path, processes=2, threads=2) as (address, workers):
            replies = asyncio.run(flood(address, SOCKETS, FRAMES))
            expected_replies = [f"frame {number} {number} {number}" for number in range(1, FRAMES + 1)]
            assert [of_socket for of_socket in replies if of_socket != expected_replies] == []

            wait_for(lambda: record.llen("load:counts") == SOCKETS)
            expected = [f"{what} {order}" for order in range(FRAMES + 2) for what in ("begin", "end")]
            names = record.keys("load:interface*")
            assert len(names) == SOCKETS
            wait_for(lambda: all(record.llen(name) == len(expected) for name in names))
            assert [name for name in names if record.lrange(name, 0, -1) != expected] == []
            for word in ("Traceback", "dropped", "lost", "waited in vain", "did not end"):
                assert word not in workers.log
    assert all(dice.counts[step, cut] > 2 for step in ("enter", "end", "read") for cut in ("before", "after"))
