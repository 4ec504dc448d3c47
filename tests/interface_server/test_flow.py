"""Flow control: slow clients and their senders."""

from __future__ import annotations

import asyncio

from channels_classic.layers import LayerUnavailable
from interface_server.flow import Flow
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.loops import running, until

SLOW, QUICK = "interface.abc!slow", "interface.abc!quick"


def is_full(layer: FlakyLayer, channel: str) -> bool:
    return bool(layer.send_batch([layer.prepare(channel, {})]))


def test_a_paused_channel_refuses_and_the_others_do_not() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        flow = Flow(layer)
        async with running(flow):
            flow.pause(SLOW)
            await until(lambda: is_full(layer, SLOW))
            assert not is_full(layer, QUICK)
            flow.resume(SLOW)
            await until(lambda: not is_full(layer, SLOW))

    asyncio.run(scenario())


def test_the_last_call_counts() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        flow = Flow(layer)
        async with running(flow):
            flow.pause(SLOW)
            flow.resume(SLOW)
            flow.resume(QUICK)
            flow.pause(QUICK)
            await until(lambda: is_full(layer, QUICK))
            assert not is_full(layer, SLOW)

    asyncio.run(scenario())


def test_an_outage_only_delays_it() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        flow = Flow(layer)
        layer.outage = LayerUnavailable("It is gone.")
        async with running(flow):
            flow.pause(SLOW)
            flow.pause(QUICK)
            await until(lambda: layer.failures)
            flow.resume(QUICK)
            layer.outage = None
            await until(lambda: is_full(layer, SLOW))
            assert not is_full(layer, QUICK)

    asyncio.run(scenario())


def test_it_can_be_repeated_for_a_layer_that_has_lost_it() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        flow = Flow(layer)
        async with running(flow):
            flow.pause(SLOW)
            flow.pause(QUICK)
            await until(lambda: is_full(layer, SLOW))
            flow.resume(QUICK)
            await until(lambda: not is_full(layer, QUICK))
            layer.resume([SLOW])
            assert not is_full(layer, SLOW)
            flow.repeat()
            await until(lambda: is_full(layer, SLOW))
            assert not is_full(layer, QUICK)

    asyncio.run(scenario())
