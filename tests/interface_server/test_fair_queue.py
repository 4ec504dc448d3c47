"""The order, the fairness and the bounds of a queue of many clients."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channels_classic.layers import Delivery
from interface_server.backpressure import Amount
from interface_server.fair_queue import ENTRY_BYTES, ClientQueue, Entry, FairQueue

MOST = Amount(5, 4 * ENTRY_BYTES)
CLIENTS = 4


def entry(queue: ClientQueue, label: str, size: int = 0, deadline: float = 0) -> Entry:
    return Entry(queue, Delivery(label, b"x" * size), deadline)


def client(most: Amount | None = None) -> ClientQueue:
    return ClientQueue(most, lambda outcome: None)


def labels(taken: list[Entry]) -> list[str]:
    return [entry.delivery.name for entry in taken]


def filled(**counts: int) -> tuple[FairQueue, dict[str, ClientQueue]]:
    """Clients, each with a number of entries: those of ``a`` are a1, a2 and so on."""
    fair, queues = FairQueue(), {name: client() for name in counts}
    for name, count in counts.items():
        for number in range(1, count + 1):
            fair.put(entry(queues[name], f"{name}{number}"))
    return fair, queues


def test_one_of_each_client_in_rotation() -> None:
    fair, _ = filled(a=4, b=1, c=2)
    assert labels(fair.take(5, 10**6)) == ["a1", "b1", "c1", "a2", "c2"]
    assert labels(fair.take(5, 10**6)) == ["a3", "a4"]
    assert not fair


def test_a_late_client_waits_for_one_round() -> None:
    fair, queues = filled(a=9, b=9)
    fair.take(3, 10**6)
    late = client()
    fair.put(entry(late, "late"))
    assert labels(fair.take(4, 10**6)) == ["b2", "a3", "late", "b3"]
    assert queues["a"].messages == 9


def test_entries_that_found_no_room_come_next() -> None:
    fair, _ = filled(a=3, b=2, c=1)
    taken = fair.take(5, 10**6)
    fair.put_back(taken[2:])
    assert labels(taken[2:]) == ["c1", "a2", "b2"]
    assert labels(fair.take(9, 10**6)) == ["c1", "a2", "b2", "a3"]


def test_the_bytes_of_a_round_trip_are_bounded() -> None:
    fair, queue = FairQueue(), client()
    for number, size in enumerate((10_000, 100, 100, 10_000)):
        fair.put(entry(queue, str(number), size))
    assert labels(fair.take(9, 1000)) == ["0"]
    assert labels(fair.take(9, 2 * ENTRY_BYTES + 200)) == ["1", "2"]
    assert labels(fair.take(9, 1)) == ["3"]


def test_entries_that_have_waited_too_long() -> None:
    fair, first, second = FairQueue(), client(), client()
    for deadline in (1, 2, 3):
        fair.put(entry(first, f"first {deadline}", deadline=deadline))
    fair.put(entry(second, "second 2", deadline=2))
    assert labels(fair.take_overdue(0.5)) == []
    assert labels(fair.take_overdue(2)) == ["first 1", "first 2", "second 2"]
    assert labels(fair.take(9, 10**6)) == ["first 3"]


class Clients(RuleBasedStateMachine):
    """Some clients, and a channel that takes a part of what it is offered."""

    def __init__(self) -> None:
        super().__init__()
        self.fair = FairQueue()
        self.queues = [client(MOST) for _ in range(CLIENTS)]
        self.waiting: list[deque[Entry]] = [deque() for _ in range(CLIENTS)]
        # For each client that waits: how often each other one has been served since.
        self.served: list[Counter[int]] = [Counter() for _ in range(CLIENTS)]
        self.number = 0

    @rule(who=st.integers(0, CLIENTS - 1), size=st.integers(0, 2 * ENTRY_BYTES))
    def put(self, who: int, size: int) -> None:
        self.number += 1
        new = entry(self.queues[who], str(self.number), size)
        waiting = self.waiting[who]
        fits = len(waiting) < MOST.messages and sum(one.size for one in waiting) + new.size <= MOST.size
        assert self.fair.put(new) == fits
        if fits:
            if not waiting:
                self.served[who].clear()
            waiting.append(new)

    @rule(messages=st.integers(1, 8), size=st.integers(1, 6 * ENTRY_BYTES), room=st.integers(0, 8))
    def offer(self, messages: int, size: int, room: int) -> None:
        taken = self.fair.take(messages, size)
        assert len(taken) <= messages
        assert len(taken) <= 1 or sum(one.size for one in taken) <= size
        assert bool(taken) == any(self.waiting)
        for one in taken[:room]:
            who = self.queues.index(one.queue)
            assert one is self.waiting[who].popleft(), "not in order"
            one.queue.remove(one)
            self.served[who].clear()
            for other in range(CLIENTS):
                if other != who and self.waiting[other]:
                    self.served[other][who] += 1
                    assert self.served[other][who] <= 1, "served twice while another one waits"
        self.fair.put_back(taken[room:])

    @rule(who=st.integers(0, CLIENTS - 1))
    def drop(self, who: int) -> None:
        dropped = self.fair.drop(self.queues[who])
        assert dropped == list(self.waiting[who])
        for one in dropped:
            self.queues[who].remove(one)
        self.waiting[who].clear()

    @invariant()
    def all_is_counted(self) -> None:
        assert self.fair.messages == sum(map(len, self.waiting))
        assert self.fair.size == sum(one.size for waiting in self.waiting for one in waiting)
        for queue, waiting in zip(self.queues, self.waiting, strict=True):
            assert list(queue.waiting) == list(waiting)
            assert queue.messages == len(waiting) <= MOST.messages
            assert queue.size == sum(one.size for one in waiting) <= MOST.size
        assert bool(self.fair) == any(self.waiting)


Clients.TestCase.settings = settings(stateful_step_count=30, deadline=None)
TestClients = Clients.TestCase
