"""The way from the clients to the layer."""

from __future__ import annotations

import asyncio

import pytest
import redis

from channels_classic.layers import Delivery, LayerUnavailable, RedisChannelLayer
from interface_server.outbox import Outbox, Outcome
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.loops import running, until


class Given:
    """What the outbox said about each delivery."""

    def __init__(self, layer: FlakyLayer) -> None:
        self.layer = layer
        self.outbox = Outbox(layer)
        self.outcomes: dict[str, Outcome] = {}

    def delivery(self, channel: str, **content: object) -> Delivery:
        return self.layer.prepare(channel, dict(content))

    def put(self, channel: str, name: str, patience: float = 0) -> None:
        delivery = self.delivery(channel, name=name)
        self.outbox.put(delivery, lambda outcome: self.outcomes.__setitem__(name, outcome), patience)

    def received(self, channel: str) -> list[str]:
        return [received.content["name"] for received in self.layer.receive_batch([channel], 1000)]


def test_what_is_put_in_one_turn_goes_out_in_one_batch_and_in_order() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer())
        async with running(given.outbox):
            for number in range(5):
                given.put("one" if number % 2 else "two", str(number))
            await until(lambda: len(given.outcomes) == 5)
            given.put("one", "later")
            await until(lambda: len(given.outcomes) == 6)
        assert given.layer.batches == [["two", "one", "two", "one", "two"], ["one"]]
        assert (given.received("one"), given.received("two")) == (["1", "3", "later"], ["0", "2", "4"])
        assert set(given.outcomes.values()) == {Outcome.TAKEN}

    asyncio.run(scenario())


def test_a_full_channel_refuses_what_has_no_patience() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        async with running(given.outbox):
            for name in ("first", "second"):
                given.put("narrow", name)
            given.put("other", "third")
            await until(lambda: len(given.outcomes) == 3)
            assert given.outcomes == {"first": Outcome.TAKEN, "second": Outcome.REFUSED, "third": Outcome.TAKEN}
            assert not given.outbox.congested
            assert await given.outbox.send(given.delivery("narrow", name="fourth")) is Outcome.REFUSED
            assert given.received("narrow") == ["first"]
            assert await given.outbox.send(given.delivery("narrow", name="fifth")) is Outcome.TAKEN

    asyncio.run(scenario())


def test_what_has_patience_is_tried_again_in_order() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=2))
        async with running(given.outbox):
            for number in range(6):
                given.put("narrow", str(number), patience=60)
            await until(lambda: given.outbox.congested)
            given.put("other", "at once")
            await until(lambda: "at once" in given.outcomes)
            arrived: list[str] = []
            while len(arrived) < 6:
                arrived += given.received("narrow")
                await asyncio.sleep(0.002)
            assert arrived == [str(number) for number in range(6)]
            await until(lambda: not given.outbox.congested)
            assert set(given.outcomes.values()) == {Outcome.TAKEN}

    asyncio.run(scenario())


def test_patience_comes_to_an_end() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        async with running(given.outbox):
            given.put("narrow", "first")
            given.put("narrow", "second", patience=0.1)
            await until(lambda: given.outbox.congested)
            await given.outbox.room()
            assert given.outcomes == {"first": Outcome.TAKEN, "second": Outcome.REFUSED}
            assert given.received("narrow") == ["first"]

    asyncio.run(scenario())


def test_room_where_there_is_room() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer())
        async with running(given.outbox):
            await asyncio.wait_for(given.outbox.room(), 10)

    asyncio.run(scenario())


def test_there_is_room_when_what_was_in_the_way_is_lost() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        async with running(given.outbox):
            given.put("narrow", "first")
            given.put("narrow", "second", patience=60)
            await until(lambda: given.outbox.congested)
            waiting = asyncio.create_task(given.outbox.room())
            given.layer.outage = LayerUnavailable("It went away.")
            await until(lambda: "second" in given.outcomes)
            given.layer.outage = None
            await asyncio.wait_for(waiting, 10)
            assert given.outcomes == {"first": Outcome.TAKEN, "second": Outcome.UNKNOWN}

    asyncio.run(scenario())


def test_drain_waits_for_all_that_was_put() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        async with running(given.outbox):
            given.put("narrow", "first")
            given.put("narrow", "second", patience=60)
            draining = asyncio.create_task(given.outbox.drain())
            await until(lambda: given.outbox.congested)
            assert not draining.done()
            assert given.received("narrow") == ["first"]
            await asyncio.wait_for(draining, 10)
            assert given.outcomes == {"first": Outcome.TAKEN, "second": Outcome.TAKEN}
            await asyncio.wait_for(given.outbox.drain(), 10)

    asyncio.run(scenario())


@pytest.mark.parametrize("nothing_done", [True, False])
def test_an_outage(caplog: pytest.LogCaptureFixture, nothing_done: bool) -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer())
        given.layer.outage = LayerUnavailable("It is gone.", nothing_done)
        async with running(given.outbox):
            given.put("one", "impatient")
            given.put("one", "patient", patience=0.01)
            await until(lambda: "impatient" in given.outcomes)
            # While it lasts, who cannot wait is told at once, not after the next try.
            given.put("one", "newcomer")
            given.put("one", "waits", patience=60)
            await until(lambda: "newcomer" in given.outcomes)
            given.layer.outage = None
            await until(lambda: "waits" in given.outcomes)
            assert given.outcomes == {
                "impatient": Outcome.REFUSED if nothing_done else Outcome.UNKNOWN,
                "patient": Outcome.TAKEN if nothing_done else Outcome.UNKNOWN,
                "newcomer": Outcome.REFUSED,
                "waits": Outcome.TAKEN,
            }
            # What may have arrived the first time is not sent twice.
            assert given.received("one") == ["patient", "waits"][not nothing_done :]
        messages = [record.getMessage() for record in caplog.records if record.name == "django.channels"]
        assert messages == [
            "The channel layer cannot be reached; trying again. It is gone.",
            "The channel layer is back.",
        ]

    asyncio.run(scenario())


def test_a_full_redis(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Who can wait waits, and who cannot is told at once."""

    async def scenario() -> None:
        layer = RedisChannelLayer([redis_url])
        outbox = Outbox(layer)
        settled: dict[str, Outcome] = {}

        def put(name: str, patience: float) -> None:
            delivery = layer.prepare("one", {"name": name})
            outbox.put(delivery, lambda outcome: settled.__setitem__(name, outcome), patience)

        with redis.Redis.from_url(redis_url) as client:
            client.config_set("maxmemory", 1)
            try:
                async with running(outbox):
                    put("impatient", 0)
                    put("patient", 60)
                    await until(lambda: "impatient" in settled)
                    client.config_set("maxmemory", 0)
                    await until(lambda: "patient" in settled)
            finally:
                client.config_set("maxmemory", 0)
        assert settled == {"impatient": Outcome.REFUSED, "patient": Outcome.TAKEN}
        [received] = await layer.areceive_batch(["one"], 10, 0)
        assert received.content == {"name": "patient"}
        assert "is full: its memory has reached maxmemory" in caplog.text
        await layer.aclose()

    asyncio.run(scenario())
