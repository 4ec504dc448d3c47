"""The way from the clients to the layer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import redis

from channels_classic.counters import counters
from channels_classic.layers import Delivery, LayerUnavailable, RedisChannelLayer
from interface_server import outbox as outbox_module
from interface_server import urgent as urgent_module
from interface_server.backpressure import Amount
from interface_server.fair_queue import ClientQueue
from interface_server.outbox import Outbox
from interface_server.outcome import Outcome
from interface_server.window import NARROWEST
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import DEADLINE
from tests.interface_server.loops import running, until


class Given:
    """The outcomes of deliveries."""

    def __init__(self, layer: FlakyLayer) -> None:
        self.layer = layer
        self.outbox = Outbox(layer)
        self.outcomes: dict[str, Outcome] = {}

    def delivery(self, channel: str, **content: object) -> Delivery:
        return self.layer.prepare(channel, dict(content))

    def put(self, channel: str, name: str) -> None:
        delivery = self.delivery(channel, name=name)
        self.outbox.put(delivery, partial(self.outcomes.__setitem__, name), f"key of {name}")

    def client(self, most: Amount | None = None) -> Client:
        return Client(self, most)

    def received(self, channel: str, limit: int = 1000) -> list[str]:
        return [received.content["name"] for received in self.layer.receive_batch([channel], limit)]


class Client:
    """A client whose messages wait for room."""

    def __init__(self, given: Given, most: Amount | None) -> None:
        self.given = given
        self.names: list[str] = []
        self.outcomes: list[Outcome] = []
        self.queue = ClientQueue(most, self.outcomes.append)

    def put(self, channel: str, *names: str, patience: float = 60) -> bool:
        return all(
            self.given.outbox.enqueue(self.queue, self.given.delivery(channel, name=name), patience)
            for name in names
        )


def test_messages_of_one_iteration_go_out_in_one_batch_in_order() -> None:
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


@pytest.mark.parametrize("is_shared", [True, False])
def test_messages_join_a_batch_while_others_arrive_unless_the_last_one_was_alone(
    is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "JOIN_SECONDS", DEADLINE)

    async def scenario() -> None:
        given = Given(FlakyLayer())
        async with running(given.outbox):
            given.put("one", "first")
            if is_shared:
                given.put("one", "second")
            await until(lambda: len(given.outcomes) == 1 + is_shared)
            given.layer.batches.clear()
            client = given.client()
            for name in "abc":
                given.put("one", name)
                client.put("two", name)
                await asyncio.sleep(0)
            await until(lambda: len(client.outcomes) == 3)
        joined = ["one"] * 3 + ["two"] * 3
        assert given.layer.batches[0] == (joined if is_shared else joined[2:4])
        assert given.received("one")[1 + is_shared :] == given.received("two") == list("abc")

    asyncio.run(scenario())


def test_urgent_messages_that_are_enough_for_a_worker_do_not_wait_for_more() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer())
        async with running(given.outbox):
            for number in range(2 + 4 * outbox_module.JOIN_URGENT):
                given.put("one", str(number))
                if number:
                    await asyncio.sleep(0)
            await until(lambda: len(given.outcomes) == 2 + 4 * outbox_module.JOIN_URGENT)
        assert len(given.layer.batches[0]) == 2
        assert max(map(len, given.layer.batches)) <= outbox_module.JOIN_URGENT + 1

    asyncio.run(scenario())


def test_a_batch_does_not_wait_for_messages_without_end() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=100_000))
        number = 0
        async with running(given.outbox), asyncio.timeout(DEADLINE):
            while len(given.layer.batches) < 3:
                for _ in range(2):
                    given.put("one", f"message {number}")
                    number += 1
                await asyncio.sleep(0)
            await until(lambda: len(given.outcomes) == number)
        assert set(given.outcomes.values()) == {Outcome.TAKEN}  # more would not have found room in the outbox

    asyncio.run(scenario())


def test_a_full_channel_refuses_urgent_messages() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        async with running(given.outbox):
            for name in ("first", "second"):
                given.put("narrow", name)
            given.put("other", "third")
            await until(lambda: len(given.outcomes) == 3)
            assert given.outcomes == {"first": Outcome.TAKEN, "second": Outcome.REFUSED, "third": Outcome.TAKEN}
            assert await given.outbox.send(given.delivery("narrow", name="fourth")) is Outcome.REFUSED
            assert given.received("narrow") == ["first"]
            assert await given.outbox.send(given.delivery("narrow", name="fifth")) is Outcome.TAKEN

    asyncio.run(scenario())


def test_only_a_full_channel_that_somebody_reads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "full", 0)

    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        async with running(given.outbox):
            for channel in ("narrow", "http.disconnect"):
                outcomes = [await given.outbox.send(given.delivery(channel)) for _ in range(3)]
                assert outcomes == [Outcome.TAKEN, Outcome.REFUSED, Outcome.REFUSED]
        assert counters.full == 2

    asyncio.run(scenario())


def test_messages_that_wait_for_room_are_tried_again_in_order() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=2))
        client = given.client()
        async with running(given.outbox):
            client.put("narrow", *"012345")
            await until(lambda: len(client.outcomes) == 2)
            given.put("other", "at once")
            await until(lambda: "at once" in given.outcomes)
            arrived: list[str] = []
            while len(arrived) < 6:
                arrived += given.received("narrow")
                await asyncio.sleep(0.002)
            assert arrived == list("012345")
            await until(lambda: client.queue.messages == 0)
            assert client.outcomes == [Outcome.TAKEN] * 6

    asyncio.run(scenario())


def test_a_flood_of_one_client_delays_no_other_one() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=3))
        flood, others = given.client(), [given.client() for _ in range(5)]
        async with running(given.outbox):
            flood.put("narrow", *(f"flood {number}" for number in range(1000)))
            for number, other in enumerate(others):
                other.put("narrow", f"other {number}")
            arrived: list[str] = []
            while not all(other.outcomes for other in others):
                arrived += given.received("narrow", 1)
                await asyncio.sleep(0)
        assert len(arrived) < 12  # each of the others once, and so often the flood, but for what it is ahead

    asyncio.run(scenario())


def test_a_full_channel_is_not_offered_all_that_waits_over_and_over_again() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=3))
        client = given.client()
        async with running(given.outbox):
            client.put("narrow", *map(str, range(500)))
            await until(lambda: len(given.layer.batches) > 20)
        assert [len(batch) for batch in given.layer.batches[2:]] == [NARROWEST] * (len(given.layer.batches) - 2)
        assert len(client.outcomes) == 3

    asyncio.run(scenario())


def test_a_channel_that_is_read_all_the_time_gets_messages_quickly() -> None:
    """Retries do not limit the throughput of a small channel that is read all the time."""

    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=50))
        clients = [given.client() for _ in range(20)]
        async with running(given.outbox):
            for client in clients:
                client.put("narrow", *map(str, range(200)))
            arrived = 0
            while arrived < 4000:
                arrived += len(given.received("narrow"))
                await asyncio.sleep(0)
        offered = sum(len(batch) for batch in given.layer.batches)
        assert offered < 3 * 4000

    asyncio.run(scenario())


def test_it_waits_only_so_long() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        hasty, patient = given.client(), given.client()
        async with running(given.outbox):
            hasty.put("narrow", "first", "second", patience=0.1)
            patient.put("narrow", "third")
            await until(lambda: len(hasty.outcomes) == 2)
            assert hasty.outcomes == [Outcome.TAKEN, Outcome.REFUSED]
            assert given.received("narrow") == ["first"]
            await until(lambda: patient.outcomes == [Outcome.TAKEN])

    asyncio.run(scenario())


def test_the_bounds_of_a_client() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=2))
        client = given.client(Amount(3, 10**6))
        async with running(given.outbox):
            assert client.put("narrow", "1", "2", "3")
            assert not client.put("narrow", "4")
            await until(lambda: client.queue.messages == 1)
            assert client.put("narrow", "4", "5")
            assert not client.put("narrow", "6")
            assert given.client(Amount(1, 10**6)).put("narrow", "of another")

    asyncio.run(scenario())


def test_the_last_messages_of_a_client_are_sent_if_there_is_room() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=2))
        leaver = given.client()
        async with running(given.outbox):
            leaver.put("narrow", "1", "2", "3")
            given.outbox.leave(leaver.queue)
            await until(lambda: leaver.queue.messages == 0)
            assert leaver.outcomes == [Outcome.TAKEN, Outcome.TAKEN, Outcome.REFUSED]

    asyncio.run(scenario())


def test_waiting_messages_are_dropped_when_their_client_leaves() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        leaver, other = given.client(), given.client()
        async with running(given.outbox):
            leaver.put("narrow", "1", "2", "3")
            other.put("narrow", "4")
            await until(lambda: leaver.outcomes)
            given.outbox.leave(leaver.queue)
            assert leaver.outcomes == [Outcome.TAKEN, Outcome.REFUSED, Outcome.REFUSED]
            assert given.received("narrow") == ["1"]
            await until(lambda: given.received("narrow") == ["4"])

    asyncio.run(scenario())


def test_drain_waits_for_all_that_was_put() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        client = given.client()
        async with running(given.outbox):
            client.put("narrow", "first", "second")
            draining = asyncio.create_task(given.outbox.drain(60))
            await until(lambda: client.outcomes)
            assert not draining.done()
            assert given.received("narrow") == ["first"]
            await asyncio.wait_for(draining, DEADLINE)
            assert client.outcomes == [Outcome.TAKEN, Outcome.TAKEN]
            await asyncio.wait_for(given.outbox.drain(60), DEADLINE)

    asyncio.run(scenario())


def test_many_channels() -> None:
    """Lanes without anything to remember are forgotten, and every message is sent once."""

    async def scenario() -> None:
        given = Given(FlakyLayer(capacity=1))
        async with running(given.outbox):
            for number in range(100):
                channel = f"http.request.body?{number}"
                sending = [
                    asyncio.create_task(given.outbox.send(given.delivery(channel, name=name), patience=60))
                    for name in ("a", "b")
                ]
                await sending[0]
                assert given.received(channel) == ["a"]
                assert await sending[1] is Outcome.TAKEN
                assert given.received(channel) == ["b"]

    asyncio.run(scenario())


def test_an_error_of_one_client_does_not_affect_others(caplog: pytest.LogCaptureFixture) -> None:
    def fail(outcome: Outcome) -> None:
        raise ValueError("cannot take this")

    async def scenario() -> None:
        given = Given(FlakyLayer())
        async with running(given.outbox):
            given.outbox.put(given.delivery("one", name="bad"), fail)
            given.outbox.enqueue(ClientQueue(None, fail), given.delivery("one", name="bad too"), 60)
            given.put("one", "good")
            await until(lambda: given.outcomes)
            assert given.outcomes == {"good": Outcome.TAKEN}

    asyncio.run(scenario())
    assert [record.exc_text or str(record.exc_info) for record in caplog.records]
    assert all("cannot take this" in (record.exc_text or str(record.exc_info)) for record in caplog.records)


# A layer that is away, or hangs.


@pytest.mark.parametrize("nothing_done", [True, False])
def test_an_outage(caplog: pytest.LogCaptureFixture, nothing_done: bool) -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer())
        given.layer.outage = LayerUnavailable("It is gone.", nothing_done)
        first, later = given.client(), given.client()
        async with running(given.outbox):
            given.put("one", "urgent")
            first.put("one", "waits", patience=0.01)
            await until(lambda: "urgent" in given.outcomes)
            # While it lasts, who cannot wait is told at once, not after the next try.
            given.put("one", "newcomer")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert given.outcomes["newcomer"] is Outcome.REFUSED
            later.put("one", "waits too", patience=0.01)
            await until(lambda: given.layer.failures >= (3 if nothing_done else 2))
            given.layer.outage = None
            await until(lambda: later.outcomes)
            afterwards = given.delivery("one", name="afterwards")
            while await given.outbox.send(afterwards) is Outcome.REFUSED:
                await asyncio.sleep(0.005)
            assert given.outcomes == {
                "urgent": Outcome.REFUSED if nothing_done else Outcome.UNKNOWN,
                "newcomer": Outcome.REFUSED,
            }
            assert first.outcomes == [Outcome.TAKEN if nothing_done else Outcome.UNKNOWN]
            if nothing_done:
                assert later.outcomes == [Outcome.TAKEN]
            # What may have arrived is not sent twice, and what was refused never runs.
            waited = ["waits", "waits too"] if nothing_done else []
            assert given.received("one") == [*waited, "afterwards"]
        messages = [record.getMessage() for record in caplog.records if record.name == "django.channels"]
        assert messages == [
            "The channel layer cannot be reached; trying again. It is gone.",
            "The channel layer is back.",
        ]

    asyncio.run(scenario())


def test_a_client_that_leaves_during_an_outage() -> None:
    async def scenario() -> None:
        given = Given(FlakyLayer())
        given.layer.outage = LayerUnavailable("It is gone.", nothing_done=True)
        early, late = given.client(), given.client()
        async with running(given.outbox):
            early.put("one", "1")
            await until(lambda: given.layer.failures)
            late.put("one", "2")
            for client in (early, late):
                given.outbox.leave(client.queue)
                assert client.outcomes == [Outcome.REFUSED]
            given.layer.outage = None
            assert await given.outbox.send(given.delivery("one", name="3"), patience=60) is Outcome.TAKEN
            assert given.received("one") == ["3"]

    asyncio.run(scenario())


def test_lost_data_is_restored_before_anything_is_sent() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        steps: list[str] = []

        async def restore() -> None:
            steps.append("tried")
            if layer.outage is not None:
                raise layer.outage
            assert layer.batches == []
            steps.append("restored")

        outbox = Outbox(layer, restore)
        async with running(outbox):
            layer.outage = LayerUnavailable("It is gone.", nothing_done=True)
            sending = asyncio.create_task(outbox.send(layer.prepare("one", {}), patience=60))
            await until(lambda: len(steps) >= 2)
            assert set(steps) == {"tried"}
            # It is known to be away as long as it cannot restore: nothing is tried with it.
            assert await outbox.send(layer.prepare("one", {})) is Outcome.REFUSED
            assert layer.failures == 1
            layer.outage = None
            assert await sending is Outcome.TAKEN
            assert steps[-1] == "restored"

    asyncio.run(scenario())


class HangingLayer(FlakyLayer):
    """A layer that does not answer until the test allows it."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.answers = asyncio.Event()
        self.asked = 0

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        self.asked += 1
        await self.answers.wait()
        return await super().asend_batch(deliveries)


def test_a_layer_that_hangs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(outbox_module, "ANSWER_SECONDS", 0.1)

    async def scenario() -> None:
        layer = HangingLayer()
        given = Given(layer)
        client = given.client()
        async with running(given.outbox):
            given.put("one", "on its way")
            await until(lambda: layer.asked)
            given.put("one", "behind it")
            client.put("one", "waits")
            await until(lambda: len(given.outcomes) == 2)
            assert given.outcomes == {"on its way": Outcome.UNKNOWN, "behind it": Outcome.REFUSED}
            assert await given.outbox.send(given.delivery("one", name="late")) is Outcome.REFUSED
            layer.answers.set()
            await until(lambda: client.outcomes)
            assert await given.outbox.send(given.delivery("one", name="after")) is Outcome.TAKEN
            # What was refused is not carried out afterwards.
            assert given.received("one") == ["on its way", "waits", "after"]
        messages = [record.getMessage() for record in caplog.records if record.name == "django.channels"]
        assert messages == [
            "The channel layer has not answered for 0.1 s: requests get 503 until it does. Does its server hang?",
            "The channel layer is back.",
        ]

    asyncio.run(scenario())


def test_a_long_life_without_overdue_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox_module, "ANSWER_SECONDS", 0.05)

    async def scenario() -> None:
        given = Given(FlakyLayer())
        async with running(given.outbox):
            end = asyncio.get_running_loop().time() + 0.3
            while asyncio.get_running_loop().time() < end:
                assert await given.outbox.send(given.delivery("one", name="x")) is not Outcome.UNKNOWN
                await asyncio.sleep(0.001)
                given.received("one")

    asyncio.run(scenario())
    assert not caplog.records


@pytest.mark.parametrize("size", [10, 100_000])
def test_urgent_messages_are_bounded(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "ANSWER_SECONDS", DEADLINE)  # a busy machine takes seconds to put all that

    async def scenario() -> None:
        layer = HangingLayer()
        given = Given(layer)
        async with running(given.outbox):
            given.put("one", "x")
            await until(lambda: layer.asked)
            delivery = given.delivery("one", name="x" * size)
            outcomes: list[Outcome] = []
            for _ in range(2 * urgent_module.MOST_MESSAGES):
                given.outbox.put(delivery, outcomes.append)
            await until(lambda: outcomes)
            kept = 2 * urgent_module.MOST_MESSAGES - len(outcomes)
            assert set(outcomes) == {Outcome.REFUSED}
            assert kept == min(urgent_module.MOST_MESSAGES, urgent_module.MOST_BYTES // len(delivery.payload))

    asyncio.run(scenario())


def test_a_withdrawn_message_never_runs() -> None:
    async def scenario() -> None:
        layer = HangingLayer()
        given = Given(layer)
        async with running(given.outbox):
            given.put("one", "on its way")
            await until(lambda: layer.asked)
            given.put("one", "behind")
            given.put("one", "last")
            assert not given.outbox.withdraw("key of on its way")
            assert given.outbox.withdraw("key of behind")
            assert not given.outbox.withdraw("key of behind")
            layer.answers.set()
            await until(lambda: "last" in given.outcomes)
            assert given.outcomes == {"on its way": Outcome.TAKEN, "last": Outcome.TAKEN}
            assert given.received("one") == ["on its way", "last"]

    asyncio.run(scenario())


def test_when_it_is_closed_all_is_refused() -> None:
    async def scenario() -> None:
        layer = HangingLayer()
        given = Given(layer)
        client = given.client()
        async with running(given.outbox):
            given.put("one", "on its way")
            await until(lambda: layer.asked)
            given.put("one", "urgent")
            client.put("one", "waits")
            given.outbox.close()
            assert given.outcomes == {"on its way": Outcome.UNKNOWN, "urgent": Outcome.REFUSED}
            assert client.outcomes == [Outcome.REFUSED]
            given.put("one", "late")
            client.put("one", "late too")
            await until(lambda: len(client.outcomes) == 2)
            assert given.outcomes["late"] is Outcome.REFUSED
            assert client.outcomes == [Outcome.REFUSED, Outcome.REFUSED]

    asyncio.run(scenario())


def test_a_full_redis(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Other messages wait, and urgent ones are refused at once."""

    async def scenario() -> None:
        layer = RedisChannelLayer([redis_url])
        outbox = Outbox(layer)
        settled: dict[str, Outcome] = {}

        async def send(name: str, patience: float) -> None:
            settled[name] = await outbox.send(layer.prepare("one", {"name": name}), patience)

        with redis.Redis.from_url(redis_url) as client:
            client.config_set("maxmemory", 1)
            try:
                async with running(outbox):
                    patient = asyncio.create_task(send("patient", 60))
                    await send("impatient", 0)
                    client.config_set("maxmemory", 0)
                    await patient
            finally:
                client.config_set("maxmemory", 0)
        assert settled == {"impatient": Outcome.REFUSED, "patient": Outcome.TAKEN}
        [received] = await layer.areceive_batch(["one"], 10, 0)
        assert received.content == {"name": "patient"}
        assert "is full: its memory has reached maxmemory" in caplog.text
        await layer.aclose()

    asyncio.run(scenario())
