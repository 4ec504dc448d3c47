"""The in-memory layer: the contract, and its own features."""

import asyncio
import random
import threading
from collections import Counter
from unittest import TestCase

import pytest

from channels_classic.layers import InMemoryChannelLayer
from channels_classic.layers.conformance import ConformanceTests


class TestConformance(ConformanceTests, TestCase):
    def make_layer(self, **config):
        return InMemoryChannelLayer(**config)


def test_it_works_inside_one_process_only():
    assert InMemoryChannelLayer.local_only
    InMemoryChannelLayer().send("queue", {})
    assert InMemoryChannelLayer().receive(["queue"]) == (None, None)


def test_an_unknown_keyword_is_refused():
    with pytest.raises(TypeError, match="hosts"):
        InMemoryChannelLayer(hosts=["redis://localhost"])


def test_a_thread_that_waits_does_nothing_else():
    """It does not poll: it looks when it begins, when it is woken, and at its timeout."""
    looks = []

    class CountingLayer(InMemoryChannelLayer):
        def _take(self, channels, limit):
            looks.append(channels)
            return super()._take(channels, limit)

    layer = CountingLayer()
    assert layer.receive_batch(["queue"], 1, 0.3) == []
    assert len(looks) <= 3


def test_an_event_loop_that_waits_does_nothing_else():
    looks = []

    class CountingLayer(InMemoryChannelLayer):
        def _take(self, channels, limit):
            looks.append(channels)
            return super()._take(channels, limit)

    assert asyncio.run(CountingLayer().areceive_batch(["queue"], 1, 0.3)) == []
    assert len(looks) <= 3


def test_an_event_loop_that_was_closed_while_it_waited_harms_nobody():
    layer = InMemoryChannelLayer()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(layer.areceive_batch(["queue"], 1, 3600))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    layer.send("queue", {"number": 1})
    assert layer.receive(["queue"]) == ("queue", {"number": 1})
    waiting._log_destroy_pending = False  # the point of the test, not worth a line in the log


def test_nothing_is_lost_or_doubled_when_receives_are_cancelled():
    """The cancellation comes before, with or after the message."""
    layer = InMemoryChannelLayer(capacity=10_000)
    number_of_messages = 2000
    received = []

    def send():
        for number in range(number_of_messages):
            layer.send("queue", {"number": number})

    async def receive():
        chance = random.Random(1)
        while sender.is_alive():
            task = asyncio.create_task(layer.areceive_batch(["queue"], 3, 0.01))
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
            try:
                received.extend(one.content["number"] for one in await task)
            except asyncio.CancelledError:
                pass
        received.extend(one.content["number"] for one in await layer.areceive_batch(["queue"], 10_000, 0))

    sender = threading.Thread(target=send)
    sender.start()
    asyncio.run(receive())
    sender.join()
    assert Counter(received) == Counter(range(number_of_messages))


def test_waiting_in_vain_leaves_nothing_behind():
    layer = InMemoryChannelLayer()

    async def main():
        for _ in range(10):
            assert await layer.areceive_batch(["queue"], 1, 0.001) == []

    asyncio.run(main())
    assert len(layer._arrivals) == 0


def test_channels_that_were_used_once_do_not_fill_the_memory():
    """Reply channels and groups of a user come and go by the thousand."""
    layer = InMemoryChannelLayer()
    for number in range(100):
        channel = f"body?{number}"
        layer.group_add(f"user.{number}", channel)
        layer.send_group(f"user.{number}", {})
        assert layer.receive([channel]) == (channel, {})
        layer.group_discard(f"user.{number}", channel)
    assert (len(layer._queues), len(layer._groups)) == (0, 0)


def test_expired_messages_that_nobody_reads_do_not_fill_the_memory():
    layer = InMemoryChannelLayer(expiry=0.05, group_expiry=0.05)
    for number in range(100):
        layer.send(f"body?{number}", {})
        layer.group_add(f"user.{number}", f"body?{number}")
    # The layer tidies up by itself as it is used, from time to time.
    deadline = threading.Event()
    timer = threading.Timer(20, deadline.set)
    timer.start()
    while len(layer._queues) > 1 or len(layer._groups):
        assert not deadline.is_set()
        layer.send("queue", {})
        layer.receive(["queue"])
    timer.cancel()
