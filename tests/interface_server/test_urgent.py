"""Urgent messages: in order, bounded, and withdrawn or refused as long as they are in the queue."""

from __future__ import annotations

from channels_classic.layers import Delivery
from interface_server import urgent as urgent_module
from interface_server.outcome import Outcome
from interface_server.urgent import Urgent, UrgentQueue


def message(outcomes: list[Outcome] | None = None, size: int = 10) -> Urgent:
    return Urgent(Delivery("one", b"x" * size), None if outcomes is None else outcomes.append)


def test_in_order_and_within_the_bounds_of_a_batch() -> None:
    queue = UrgentQueue()
    messages = [message(size=size) for size in (10, 10, 10, 1000, 10)]
    for number, one in enumerate(messages):
        assert queue.put(one, str(number))
    assert queue.take(2, 10**6) == messages[:2]
    assert queue.take(9, 500) == messages[2:4]
    assert queue
    assert queue.take(9, 1) == messages[4:]
    assert not queue
    assert queue.take(9, 1) == []


def test_how_many_there_may_be() -> None:
    queue = UrgentQueue()
    for number in range(urgent_module.MOST_MESSAGES):
        assert queue.put(message(), str(number))
    assert not queue.put(message(), None)
    assert queue.withdraw("7")
    assert queue.put(message(), None)
    assert not queue.put(message(), None)


def test_how_many_bytes_there_may_be() -> None:
    queue = UrgentQueue()
    assert queue.put(message(size=urgent_module.MOST_BYTES - 10), "large")
    assert queue.put(message(), None)
    assert not queue.put(message(), None)
    assert queue.withdraw("large")
    assert queue.put(message(), None)


def test_a_withdrawn_message_is_not_taken() -> None:
    queue = UrgentQueue()
    first, second = message(), message()
    queue.put(first, "first")
    queue.put(second, "second")
    assert queue.withdraw("first")
    assert not queue.withdraw("first")
    assert queue.take(9, 10**6) == [second]
    assert not queue.withdraw("second")


def test_each_is_told_once() -> None:
    queue = UrgentQueue()
    outcomes: list[Outcome] = []
    one = message(outcomes)
    queue.put(one, None)
    queue.put(message(), None)
    queue.refuse_all()
    assert outcomes == [Outcome.REFUSED]
    assert not queue
    one.settle(Outcome.TAKEN)
    assert outcomes == [Outcome.REFUSED]
