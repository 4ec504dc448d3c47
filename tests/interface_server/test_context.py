"""The context of all clients: its warnings, and the order of calls after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace

import pytest

from channels_classic.layers import Delivery, LayerUnavailable
from interface_server import context as context_module
from interface_server.context import FULL_PAUSE, Context, Options
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import DEADLINE
from tests.interface_server.loops import until


def test_each_kind_of_warning_comes_once_and_the_kinds_are_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(context_module, "MAX_KINDS", 3)
    context = Context(FlakyLayer(), Options())
    for _ in range(2):
        for kind in range(10):
            context.warn_once(kind, "Number %s came.", kind)
    assert [record.getMessage() for record in caplog.records] == [
        f"Number {kind} came. Others like this are not logged." for kind in range(3)
    ]


class RepairedLayer(FlakyLayer):
    """A layer that records the order of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    async def arepair(self) -> None:
        self._check()
        self.steps.append("repaired")

    async def asend_batch(self, deliveries: object) -> list[int]:
        full = await super().asend_batch(deliveries)  # type: ignore[arg-type]
        self.steps.append("sent")
        return full


def test_after_an_outage_the_layer_is_repaired_before_anything_is_sent() -> None:
    async def scenario() -> None:
        layer = RepairedLayer()
        context = Context(layer, Options())
        context.start()
        assert context.is_started
        layer.outage = LayerUnavailable("It is gone.", nothing_done=True)
        sending = asyncio.create_task(context.outbox.send(layer.prepare("one", {}), patience=60))
        await until(lambda: layer.failures >= 3)
        layer.outage = None
        await sending
        assert layer.steps == ["repaired", "sent"]
        assert not context.failed.is_set()
        await context.stop()
        assert not context.is_started

    asyncio.run(scenario())


class DisconnectsLayer(FlakyLayer):
    """A layer whose channels are full or not, as the test says. It counts what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = True
        self.attempts = 0

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        self.attempts += len(deliveries)
        return list(range(len(deliveries))) if self.is_full else []


def test_a_channel_of_disconnects_that_stays_full_is_tried_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Most sites read no ``http.disconnect``. An attempt is a message for each request until it is answered."""
    now = 1000.0
    monkeypatch.setattr(context_module, "time", SimpleNamespace(monotonic=lambda: now))

    async def scenario() -> None:
        nonlocal now
        layer = DisconnectsLayer()
        context = Context(layer, Options())
        context.start()

        async def pauses(seconds: float) -> list[float]:
            """The times between the attempts, if ten exchanges end every 10 ms."""
            nonlocal now
            end, tried = now + seconds, []
            while now < end:
                before = layer.attempts
                for number in range(10):
                    context.say_disconnect({"path": "/"}, f"client!{number}")
                await context.outbox.drain(DEADLINE)
                if layer.attempts > before:
                    tried.append(now)
                now += 0.01
            return [after - before for before, after in pairwise(tried)]

        def are_backed_off(found: list[float], steps: list[float]) -> bool:
            """Whether each pause is between the half and all of its step, to the next end of exchanges."""
            return all(step / 2 <= pause <= step + 0.015 for pause, step in zip(found, steps, strict=False))

        assert len(found := await pauses(6)) >= 7
        assert are_backed_off(found, [0.05, 0.1, 0.2, 0.4, 0.8, 1, 1])
        layer.is_full = False
        now += FULL_PAUSE[1]
        assert max(await pauses(1)) == pytest.approx(0.01)
        layer.is_full = True
        assert len(found := await pauses(0.3)) >= 2
        assert are_backed_off(found, [0.05, 0.1])
        await context.stop()

    asyncio.run(scenario())
