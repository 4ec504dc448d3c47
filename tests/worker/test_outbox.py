"""What consumers sent: in order, and again where a channel was full."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from channels_classic.layers import Delivery, InMemoryChannelLayer, LayerUnavailable
from tests.worker.conftest import eventually
from worker import outbox as outbox_module
from worker.outbox import Outbox


class FlakyLayer(InMemoryChannelLayer):
    """In memory, with an outage when the test wants one."""

    outage: LayerUnavailable | None = None

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        if self.outage is not None:
            raise self.outage
        return super().send_batch(deliveries)


class Given:
    def __init__(self, **config: Any) -> None:
        self.layer = FlakyLayer(**config)
        self.outbox = Outbox(self.layer)

    def add(self, channel: str, *names: object) -> None:
        for name in names:
            self.outbox.add(self.layer.prepare(channel, {"name": name}))

    def received(self, channel: str) -> list[Any]:
        return [received.content["name"] for received in self.layer.receive_batch([channel], 10_000)]


def test_all_goes_out_in_order() -> None:
    given = Given()
    given.add("one", 1, 2)
    given.add("two", 3)
    given.add("one", 4)
    given.outbox.flush()
    assert (given.received("one"), given.received("two")) == ([1, 2, 4], [3])
    given.outbox.flush()
    assert given.received("one") == []


def test_sending_and_receiving_take_one_trip() -> None:
    given = Given()
    given.layer.send("in", {"name": "question"})
    given.add("out", "answer")
    [received] = given.outbox.flush_and_receive(["in"], 10)
    assert received.content == {"name": "question"}
    assert given.received("out") == ["answer"]


def test_a_full_channel_is_tried_again_in_order_while_others_go_out() -> None:
    given = Given(capacity=2)
    given.add("narrow", 1, 2, 3, 4)
    given.add("wide", "a")
    given.outbox.flush()
    assert given.outbox.retrying
    assert given.received("wide") == ["a"]
    given.add("narrow", 5)
    given.outbox.flush()
    assert given.received("narrow") == [1, 2]
    given.outbox.flush_and_receive(["nothing"], 1)
    assert given.received("narrow") == [3, 4]
    given.outbox.flush()
    assert given.received("narrow") == [5]
    assert not given.outbox.retrying


def test_a_channel_that_stays_full(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.05)
    given = Given(capacity=1)
    given.add("narrow", 1, 2)

    def gave_up() -> bool:
        given.outbox.flush()
        return not given.outbox.retrying

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
            given.outbox.flush()
    with pytest.raises(LayerUnavailable):
        given.outbox.flush_and_receive(["two"], 1)
    given.layer.outage = None
    given.outbox.flush()
    assert given.received("one") == [0, 1, 2]


def test_what_may_have_arrived_is_not_sent_twice(caplog: pytest.LogCaptureFixture) -> None:
    given = Given()
    given.layer.outage = LayerUnavailable("It went away.")
    given.add("one", 1, 2)
    with pytest.raises(LayerUnavailable):
        given.outbox.flush()
    given.layer.outage = None
    given.outbox.flush()
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
            given.outbox.flush()

    watchdogs = [threading.Thread(target=flush) for _ in range(2)]
    for thread in watchdogs:
        thread.start()
    deliveries = [given.layer.prepare("one", {"name": number}) for number in range(20_000)]
    for delivery in deliveries:
        given.outbox.add(delivery)
    done.set()
    for thread in watchdogs:
        thread.join()
    given.outbox.flush()
    assert given.received("one") + given.received("one") == list(range(20_000))
