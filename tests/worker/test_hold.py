"""A hold tells the layer that its batch is done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, Process
from tests.conftest import LayerOn
from worker.hold import Hold

PROCESS = Process("worker.one", {"kind": "worker"})


@pytest.fixture(params=[0, 1, 3], ids=["memory", "one server", "several servers"])
def layer(request: pytest.FixtureRequest, redis_servers: list[str], layer_on: LayerOn) -> BaseChannelLayer:
    layer = layer_on(redis_servers[: request.param]) if request.param else InMemoryChannelLayer()
    layer.flush()
    return layer


def end(hold: Hold, layer: BaseChannelLayer) -> None:
    hold.end(layer)


def receive_nowhere(hold: Hold, layer: BaseChannelLayer) -> None:
    """As a worker that ends."""
    assert layer.receive_batch([hold.nowhere], 1, 0, hold.taker) == []


@pytest.mark.parametrize("tell", [end, receive_nowhere])
def test_every_server_hears_of_it_and_no_wake_up_is_lost(
    layer: BaseChannelLayer, tell: Callable[[Hold, BaseChannelLayer], None]
) -> None:
    layer.beat(PROCESS)
    hold = Hold(layer.taker(PROCESS.name, 0))
    assert hold.taker is not None
    for number in range(20):
        layer.send("queue", {"number": number})
    assert len(layer.receive_batch(["queue"], 20, taker=hold.taker)) == 20
    layer.send(f"{hold.taker.name}!wake", {})
    tell(hold, layer)
    assert len(layer.receive_batch([f"{hold.taker.name}!"], 10)) == 1
    swept = layer.sweep(PROCESS, lambda process: None)
    assert swept is not None
    assert (swept.back, swept.lost) == (0, [])


def test_without_a_taker_there_is_nothing_to_tell() -> None:
    Hold().end(InMemoryChannelLayer())
