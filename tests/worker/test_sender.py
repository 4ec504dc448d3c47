"""``Sender``: messages go out in order, and are tried again if a channel is full."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis

from channels_classic.layers import Delivery, InMemoryChannelLayer, LayerUnavailable, RedisChannelLayer
from channels_classic.layers.types import Turn
from tests.conftest import LayerOn
from tests.worker.conftest import eventually
from worker import sender as sender_module
from worker.sender import Sender


class FlakyLayer(InMemoryChannelLayer):
    """A layer in memory with outages on demand."""

    outage: LayerUnavailable | None = None
    arrives = False
    """Whether the layer gets what is sent, and only its answer is lost."""

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        full = super().send_batch(deliveries) if self.arrives or self.outage is None else []
        if self.outage is not None:
            raise self.outage
        return full


GONE = LayerUnavailable("It is gone.", nothing_done=True)


class Given:
    def __init__(self, **config: Any) -> None:
        self.layer = FlakyLayer(**config)
        self.sender = Sender(self.layer)

    def add(self, channel: str, *names: object) -> None:
        for name in names:
            self.sender.add([self.layer.prepare(channel, {"name": name})])

    def received(self, channel: str) -> list[Any]:
        return [received.content["name"] for received in self.layer.receive_batch([channel], 10_000)]


def test_all_goes_out_in_order() -> None:
    given = Given()
    given.add("one", 1, 2)
    given.add("two", 3)
    given.add("one", 4)
    given.sender.flush()
    assert (given.received("one"), given.received("two")) == ([1, 2, 4], [3])
    given.sender.flush()
    assert given.received("one") == []


def test_sending_and_receiving_take_one_trip() -> None:
    given = Given()
    given.layer.send("in", {"name": "question"})
    given.add("out", "answer")
    [received] = given.sender.flush_and_receive(["in"], 10)
    assert received.content == {"name": "question"}
    assert given.received("out") == ["answer"]


def test_a_full_channel_is_tried_again_in_order_while_others_go_out() -> None:
    given = Given(capacity=2)
    given.add("narrow", 1, 2, 3, 4)
    given.add("wide", "a")
    given.sender.flush()
    assert given.sender.retrying
    assert given.received("wide") == ["a"]
    given.add("narrow", 5)
    given.sender.flush()
    assert given.received("narrow") == [1, 2]
    given.sender.flush_and_receive(["nothing"], 1)
    assert given.received("narrow") == [3, 4]
    given.sender.flush()
    assert given.received("narrow") == [5]
    assert not given.sender.retrying


def test_a_channel_that_stays_full(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(sender_module, "RETRY_SECONDS", 0.05)
    given = Given(capacity=1)
    given.add("narrow", 1, 2)

    def gave_up() -> bool:
        given.sender.flush()
        return not given.sender.retrying

    eventually(gave_up)
    [record] = caplog.records
    assert (record.name, record.levelname) == ("django.channels", "ERROR")
    assert "A message was dropped after 0.05 seconds" in record.getMessage()
    assert "'narrow'" in record.getMessage()
    assert "raise capacity or channel_capacity" in record.getMessage()
    assert given.received("narrow") == [1]


def test_an_outage_that_did_nothing_loses_nothing() -> None:
    given = Given()
    given.layer.outage = LayerUnavailable("It is gone.", nothing_done=True)
    for number in range(3):
        given.add("one", number)
        with pytest.raises(LayerUnavailable):
            given.sender.flush()
    with pytest.raises(LayerUnavailable):
        given.sender.flush_and_receive(["two"], 1)
    given.layer.outage = None
    given.sender.flush()
    assert given.received("one") == [0, 1, 2]


def test_a_full_redis_delays_what_was_sent_and_nothing_else(redis_url: str, layer_on: LayerOn) -> None:
    layer = layer_on([redis_url])
    sender = Sender(layer)
    layer.send("in", {"name": "question"})
    sender.add([layer.prepare("out", {"name": "answer"})])
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(LayerUnavailable, match="maxmemory") as error:
                sender.flush_and_receive(["in"], 10)
        finally:
            client.config_set("maxmemory", 0)
    assert [received.content for received in error.value.received] == [{"name": "question"}]
    assert sender.retrying
    [received] = sender.flush_and_receive(["out"], 10)
    assert received.content == {"name": "answer"}


def test_messages_outlast_an_outage_longer_than_a_full_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "RETRY_SECONDS", 0)
    given = Given()
    given.layer.outage = GONE
    given.add("one", 1)
    for _ in range(3):
        with pytest.raises(LayerUnavailable):
            given.sender.flush()
    assert given.sender.unsent == 1
    given.layer.outage = None
    given.sender.flush()
    assert given.received("one") == [1]
    assert given.sender.unsent == 0


def test_an_outage_that_lasts_longer_than_a_message_lives(caplog: pytest.LogCaptureFixture) -> None:
    given = Given()
    given.layer.expiry = 0
    given.layer.outage = GONE
    given.add("one", 1, 2)
    with pytest.raises(LayerUnavailable):
        given.sender.flush()
    assert given.sender.unsent == 0
    assert "2 messages were lost" in caplog.records[0].getMessage()


def test_messages_that_may_have_arrived_are_not_sent_twice(caplog: pytest.LogCaptureFixture) -> None:
    given = Given()
    given.layer.outage = LayerUnavailable("It went away.")
    given.add("one", 1, 2)
    with pytest.raises(LayerUnavailable):
        given.sender.flush()
    given.layer.outage = None
    given.sender.flush()
    assert given.received("one") == []
    [record] = caplog.records
    assert "2 messages were lost" in record.getMessage()


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("frequent_switches")
def test_a_second_thread_may_send_what_the_first_one_adds() -> None:
    given = Given(capacity=100_000)
    done = threading.Event()

    def flush() -> None:
        while not done.is_set():
            given.sender.flush()

    watchdogs = [threading.Thread(target=flush) for _ in range(2)]
    for thread in watchdogs:
        thread.start()
    deliveries = [given.layer.prepare("one", {"name": number}) for number in range(20_000)]
    for delivery in deliveries:
        given.sender.add([delivery])
    done.set()
    for thread in watchdogs:
        thread.join()
    given.sender.flush()
    assert given.received("one") + given.received("one") == list(range(20_000))


CLIENT = "interface.abc!one"


class GivenTurns(Given):
    """A client whose message 0 runs, and whose message 1 waits for the end of that turn."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.enter(0)
        self.enter(1)

    def enter(self, order: int, client: str = CLIENT) -> bool:
        return self.layer.enter_turn(Turn(client, order, "frames"), {"name": order})

    def finish(self, order: int, *names: object, client: str = CLIENT) -> None:
        """Note that a consumer is done that sent these messages to its client."""
        sends = [self.layer.prepare(client, {"name": name}) for name in names]
        self.sender.add([*sends, self.layer.end_of_turn(client, order)])


def test_a_turn_ends_behind_the_messages_of_its_consumer() -> None:
    given = GivenTurns()
    given.finish(0, "a", "b")
    assert given.received("frames") == []
    given.sender.flush()
    assert given.received("interface.abc!") == ["a", "b"]
    assert given.received("frames") == [1]
    assert not given.sender.retrying


def test_a_turn_of_a_consumer_that_sent_nothing_ends_as_well() -> None:
    given = GivenTurns()
    given.finish(0)
    [] = given.sender.flush_and_receive(["nothing"], 10)
    assert given.received("frames") == [1]


def test_a_turn_does_not_end_while_a_reply_is_refused() -> None:
    """Otherwise the reply to the next message, which may run anywhere, could come before it."""
    given = GivenTurns()
    given.enter(0, "interface.abc!other")
    given.enter(1, "interface.abc!other")
    given.layer.pause([CLIENT])
    given.finish(0, "a", "b")
    given.finish(0, "c", client="interface.abc!other")
    given.sender.flush()
    given.sender.flush_and_receive(["nothing"], 1)
    # Another client's turn has ended; its consumer ran here too, but sent to a channel that took it.
    assert given.received("interface.abc!") == ["c"]
    assert given.received("frames") == [1]
    assert given.enter(1, "interface.abc!other")
    assert not given.enter(1)
    assert given.sender.retrying
    given.layer.resume([CLIENT])
    given.sender.flush()
    assert given.received("interface.abc!") == ["a", "b"]
    assert given.received("frames") == [1]
    assert not given.sender.retrying


def test_a_turn_ends_when_its_reply_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "RETRY_SECONDS", 0.05)
    given = GivenTurns()
    given.layer.pause([CLIENT])
    given.finish(0, "a")

    def gave_up() -> bool:
        given.sender.flush()
        return not given.sender.retrying

    eventually(gave_up)
    assert given.received("frames") == [1]


def test_a_turn_ends_in_spite_of_outages() -> None:
    given = GivenTurns()
    given.layer.outage = LayerUnavailable("It went away.")
    given.finish(0, "a")
    for _ in range(2):  # the first time with the reply, which is lost
        with pytest.raises(LayerUnavailable):
            given.sender.flush()
        assert given.sender.retrying
    given.layer.outage = None
    given.sender.flush()
    assert given.received("frames") == [1]
    assert not given.sender.retrying


def test_a_turn_that_ended_in_an_outage_does_no_harm_when_it_ends_again() -> None:
    """Not even while the next message has its turn."""
    given = GivenTurns()
    given.enter(2)
    given.finish(0)
    given.layer.outage = LayerUnavailable("It went away.")
    given.layer.arrives = True
    for came_back in ([1], []):
        with pytest.raises(LayerUnavailable):
            given.sender.flush()
        assert given.sender.retrying
        assert given.received("frames") == came_back
    assert given.enter(1)
    given.layer.outage = None
    given.sender.flush()
    assert not given.sender.retrying
    assert given.received("frames") == []
    given.finish(1)
    given.sender.flush()
    assert given.received("frames") == [2]


def test_an_outage_at_the_end_of_a_turn_does_not_lose_what_was_received() -> None:
    given = GivenTurns()
    given.layer.send("in", {"name": "question"})
    given.finish(0)
    given.layer.outage = LayerUnavailable("It went away.")
    receive = InMemoryChannelLayer.receive_batch

    def send_and_receive(deliveries: Sequence[Delivery], channels: Sequence[str], limit: int) -> Any:
        return [], receive(given.layer, channels, limit)

    given.layer.send_and_receive = send_and_receive  # type: ignore[method-assign]
    [received] = given.sender.flush_and_receive(["in"], 10)
    assert received.content == {"name": "question"}
    assert given.sender.retrying
    given.layer.outage = None
    given.sender.flush()
    assert given.received("frames") == [1]


def test_the_last_turn_of_a_client_is_settled_before_the_next_one() -> None:
    given = GivenTurns()
    given.add("one", 1)
    given.sender.settle_turn(CLIENT)  # nothing of this client's here: nothing goes out
    assert given.received("one") == []
    given.finish(0, "a")
    given.sender.settle_turn("interface.abc!other")
    assert given.received("frames") == []
    given.sender.settle_turn(CLIENT)
    assert given.received("frames") == [1]
    assert given.received("one") == [1]
    given.add("one", 2)
    given.sender.settle_turn(CLIENT)
    assert given.received("one") == []


def test_ends_that_a_new_master_has_not_heard_of_are_told_again(redis_url: str) -> None:
    layer = RedisChannelLayer([redis_url])
    sender = Sender(layer)
    try:
        with redis.Redis.from_url(redis_url) as client:
            assert layer.enter_turn(Turn("interface.a!b", 0, "test", token="first"), {})
            (key,) = client.keys("*turns:interface.a!b")
            before = client.dump(key)
            sender.add([layer.end_of_turn("interface.a!b", 0)])
            sender.flush()
            client.restore(key, 0, before, replace=True)  # as a replica has it that the end had not reached
            assert not layer.enter_turn(Turn("interface.a!b", 1, "test", token="second"), {"order": 1})
            sender.repeat_ends()
            sender.flush()
            assert [received.content for received in layer.receive_batch(["test"], 10)] == [{"order": 1}]
            assert layer.enter_turn(Turn("interface.a!b", 1, "test", token="second"), {"order": 1})
            sender.repeat_ends()
            sender.flush()
            assert not layer.enter_turn(Turn("interface.a!b", 2, "test", token="third"), {})  # 1 has not ended
    finally:
        layer.close()


def test_ends_are_told_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given()
    given.sender.add([given.layer.end_of_turn("interface.a!b", 0)])
    given.sender.flush()
    monkeypatch.setattr(sender_module, "REPEAT_SECONDS", -1.0)
    given.sender.repeat_ends()
    assert given.sender.open_turns == 0
