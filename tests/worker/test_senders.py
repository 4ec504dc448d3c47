"""``Senders``: what consumers send to other layers than that of their worker."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from channels_classic.layers import Delivery, InMemoryChannelLayer, LayerUnavailable
from worker.senders import Senders

SECONDS = 5.0


class Clock:
    """Stands where ``time`` does. It goes on only when the test wants it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Hanging(InMemoryChannelLayer):
    """Every call takes long, and is in vain while it hangs."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.hangs = True
        self.attempts = 0

    def send_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        self.attempts += 1
        if self.hangs:
            self.clock.now += SECONDS
            raise LayerUnavailable("It hangs.", nothing_done=True)
        return super().send_batch(deliveries)


def test_another_layer_that_hangs_takes_a_part_of_the_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the worker would wait for it again with each of its own messages."""
    clock = Clock()
    monkeypatch.setattr("worker.senders.time", clock)
    own, other = InMemoryChannelLayer(), Hanging(clock)
    senders = Senders(own)
    senders.add([(other, other.prepare("elsewhere", {"number": 1}))])
    for number in range(14):
        own.send("queue", {"number": number})
        [received] = senders.flush_and_receive(["queue"], 1, 5.0)
        assert received.content["number"] == number
        clock.now += 1
    assert other.attempts == 1
    clock.now += 1
    senders.flush_and_receive(["queue"], 1, 0)
    assert other.attempts == 2
    other.hangs = False
    senders.flush_others()
    assert senders.retrying
    senders.flush_others(at_once=True)  # as at the end of the worker
    assert not senders.retrying
    assert not senders.others_unreachable
    assert other.receive(["elsewhere"]) == ("elsewhere", {"number": 1})
