"""The context of all clients: its warnings, and the order of calls after an outage."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.layers import LayerUnavailable
from interface_server import context as context_module
from interface_server.context import Context, Options
from tests.interface_server.flaky import FlakyLayer
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
