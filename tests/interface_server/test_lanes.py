"""Messages that wait for room in several channels. Channels are independent, and clients take turns."""

from __future__ import annotations

from channels_classic.layers import Delivery
from interface_server import lanes as lanes_module
from interface_server.fair_queue import ClientQueue
from interface_server.lanes import Lanes
from interface_server.outcome import Outcome
from interface_server.window import NARROWEST

BYTES = 10**6


class Client:
    """One client of one channel."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.outcomes: list[Outcome] = []
        self.queue = ClientQueue(None, self.outcomes.append)

    def put(self, channel: str, count: int = 1) -> None:
        for _ in range(count):
            assert self.lanes.put(self.queue, Delivery(channel, b"x"), 10.0)


def test_a_channel_that_is_full_holds_up_no_other_one() -> None:
    lanes = Lanes()
    narrow, wide = Client(lanes), Client(lanes)
    narrow.put("narrow", 20)
    wide.put("wide")
    first, second = lanes.take(100, BYTES, now=1.0)
    lanes.settle(first, 0, now=1.0)
    lanes.settle(second, 1, now=1.0)
    assert (narrow.outcomes, wide.outcomes) == ([], [Outcome.TAKEN])
    assert 1 < lanes.opens_at < 2
    assert lanes.take(100, BYTES, now=1.0) == []
    wide.put("wide")
    assert lanes.opens_at == 0
    [again] = lanes.take(100, BYTES, now=1.0)
    lanes.settle(again, 1, now=1.0)
    [probe] = lanes.take(100, BYTES, now=2.0)
    assert len(probe.taken) == NARROWEST


def test_one_round_trip_has_room_for_every_channel_in_its_turn() -> None:
    lanes = Lanes()
    clients = [Client(lanes) for _ in range(3)]
    for number, client in enumerate(clients):
        client.put(str(number), 10)
    names = []
    for _ in range(6):
        loads = lanes.take(5, BYTES, now=1.0)
        names.append([load.taken[0].delivery.name for load in loads])
        for load in loads:
            lanes.settle(load, len(load.taken), now=1.0)
    assert names == [["0"], ["1"], ["2"], ["0"], ["1"], ["2"]]
    assert not lanes


def test_channels_of_which_nothing_is_to_be_remembered_are_forgotten() -> None:
    lanes = Lanes()
    for number in range(100):
        Client(lanes).put(f"http.request.body?{number}")
        for load in lanes.take(100, BYTES, now=1.0):
            lanes.settle(load, 1, now=1.0)
    assert len(lanes._lanes) <= lanes_module.KEPT_LANES + 1


def test_only_a_full_channel_gives_messages_up_for_their_age() -> None:
    lanes = Lanes()
    client = Client(lanes)
    client.put("narrow", 2)
    lanes.refuse_overdue(now=11.0)
    assert client.outcomes == []
    [load] = lanes.take(100, BYTES, now=1.0)
    lanes.settle(load, 1, now=1.0)
    lanes.refuse_overdue(now=9.0)
    assert client.outcomes == [Outcome.TAKEN]
    lanes.refuse_overdue(now=10.0)
    assert client.outcomes == [Outcome.TAKEN, Outcome.REFUSED]
    assert client.queue.messages == 0


def test_messages_that_may_have_arrived_are_not_put_back() -> None:
    lanes = Lanes()
    client = Client(lanes)
    client.put("one", 3)
    [load] = lanes.take(2, BYTES, now=1.0)
    lanes.lose(load)
    assert client.outcomes == [Outcome.UNKNOWN, Outcome.UNKNOWN]
    [load] = lanes.take(2, BYTES, now=1.0)
    lanes.put_back(load)
    assert client.queue.messages == 1
    lanes.refuse_all()
    assert client.outcomes[2:] == [Outcome.REFUSED]
    assert not lanes
