"""``BaseChannelLayer`` itself, tested on a layer that adds as little as possible."""

import asyncio
import re
from unittest import TestCase

import pytest

from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, LayerUnavailable
from channels_classic.layers.conformance import ConformanceTests


class PlainLayer(InMemoryChannelLayer):
    """A minimal layer, which inherits everything that it can."""

    asend_batch = BaseChannelLayer.asend_batch
    areceive_batch = BaseChannelLayer.areceive_batch
    arelease = BaseChannelLayer.arelease
    apause = BaseChannelLayer.apause
    aresume = BaseChannelLayer.aresume


class TestConformance(ConformanceTests, TestCase):
    def make_layer(self, **config):
        return PlainLayer(**config)


def test_the_defaults_are_those_of_the_specification():
    layer = PlainLayer()
    assert (layer.expiry, layer.group_expiry, layer.capacity) == (60, 86400, 100)
    assert layer.channel_capacity == {}
    assert sorted(BaseChannelLayer.extensions) == ["flush", "groups", "statistics"]


@pytest.mark.parametrize("keyword", ["expiry", "group_expiry", "capacity"])
@pytest.mark.parametrize("value", [0, -1, "60", None, True])
def test_an_invalid_number_is_refused(keyword, value):
    with pytest.raises(ValueError) as caught:
        PlainLayer(**{keyword: value})
    assert keyword in str(caught.value)
    assert repr(value) in str(caught.value)


def test_the_capacity_of_a_channel():
    layer = PlainLayer(
        capacity=50, channel_capacity={"http.request": 200, "http.response!*": 10, re.compile(r"^sends\!.+"): 80}
    )
    assert layer.capacity_of("http.request") == 200
    assert layer.capacity_of("http.requests") == 50
    assert layer.capacity_of("http.response!abc") == 10
    assert layer.capacity_of("sends!abc") == 80
    assert layer.capacity_of("queue") == 50


def test_many_channels_do_not_fill_the_memory():
    layer = PlainLayer(channel_capacity={"odd.*": 7})
    for number in range(3000):
        assert layer.capacity_of(f"odd.{number}") == 7
        assert layer.capacity_of(f"even.{number}") == 100
    assert len(layer._capacities._known) < 3000


def test_the_queue_of_an_interface_server_is_larger():
    layer = PlainLayer(capacity=5)
    assert layer.capacity_of("interface.abc!client") > 1000
    assert layer.capacity_of("interface.abc") == 5
    assert PlainLayer(capacity=50_000).capacity_of("interface.abc!client") == 50_000
    assert PlainLayer(channel_capacity={"interface.*": 3}).capacity_of("interface.abc!client") == 3


def test_a_full_channel_says_what_to_do():
    layer = PlainLayer(channel_capacity={"http.*": 2})
    text = layer.full_text("http.request")
    assert "'http.request'" in text
    assert "holds 2 messages" in text
    assert "CONFIG" in text


def test_a_cancelled_receive_lets_the_event_loop_end():
    """Its thread may still wait for messages."""
    layer = PlainLayer()

    async def main():
        waiting = asyncio.create_task(layer.areceive_batch(["queue"], 1, 3600))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_a_cancelled_receive_gives_back_what_it_took():
    layer = PlainLayer()

    async def main():
        waiting = asyncio.create_task(layer.areceive_batch(["queue"], 1, 3600))
        await asyncio.sleep(0.01)  # so that its thread is there to take the message
        layer.send("queue", {"number": 1})
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert layer.receive(["queue"]) == ("queue", {"number": 1})


def test_a_second_cancellation_loses_nothing_either():
    layer = PlainLayer()

    async def main():
        waiting = asyncio.create_task(layer.areceive_batch(["queue"], 1, 3600))
        await asyncio.sleep(0.01)  # so that its thread is there to take the message
        layer.send("queue", {"number": 1})
        while not waiting.done():
            waiting.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert layer.receive(["queue"]) == ("queue", {"number": 1})


class OneWayLayer(PlainLayer):
    """Takes messages and gives none, or cannot take messages back."""

    fails = ""
    nothing_done = True

    def receive_batch(self, channels, limit, timeout=0):
        if self.fails == "receive":
            raise LayerUnavailable("gone")
        return super().receive_batch(channels, limit, timeout)

    def give_back(self, batch):
        if self.fails == "give back":
            raise LayerUnavailable("gone", self.nothing_done)
        super().give_back(batch)


def test_the_outcome_is_returned_although_receiving_fails():
    layer = OneWayLayer(capacity=1)
    layer.fails = "receive"
    deliveries = [layer.prepare("out", {"number": number}) for number in (1, 2)]
    assert layer.send_and_receive(deliveries, ["in"], 10) == ([1], [])
    with pytest.raises(LayerUnavailable):
        layer.send_and_receive([], ["in"], 10)
    layer.fails = ""
    assert layer.receive(["out"]) == ("out", {"number": 1})


@pytest.mark.parametrize("nothing_done", [True, False])
def test_a_broadcast_that_cannot_be_put_back_comes_with_the_error(nothing_done):
    layer = OneWayLayer()
    layer.nothing_done = nothing_done
    members = ["process!one", "process!two"]
    for member in members:
        layer.group_add("group", member)
    layer.send_group("group", {})
    layer.fails = "give back"
    with pytest.raises(LayerUnavailable) as error:
        layer.receive(["process!"])
    # What may have been put back will come again.
    assert [received.channel for received in error.value.received] == (members if nothing_done else members[:1])


def test_an_error_does_not_hide_a_cancellation():
    class UnreachableLayer(PlainLayer):
        def receive_batch(self, channels, limit, timeout=0):
            super().receive_batch(channels, limit, timeout)
            raise LayerUnavailable("gone")

    layer = UnreachableLayer()

    async def main():
        with pytest.raises(LayerUnavailable):
            await layer.areceive_batch(["queue"], 1, 0)
        waiting = asyncio.create_task(layer.areceive_batch(["queue"], 1, 3600))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
