"""Memberships of clients that have left."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.layers import LayerUnavailable
from interface_server import departures as departures_module
from interface_server.departures import Departures
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.loops import running, until

GONE = "interface.abc!gone"


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures_module, "LATER_SECONDS", 0)


def test_memberships_end_at_once_and_those_made_later_when_no_message_is_left() -> None:
    async def scenario() -> None:
        layer = FlakyLayer(expiry=0.2)
        departures = Departures(layer)
        layer.group_add("one", GONE)
        layer.group_add("one", "interface.abc!stays")
        async with running(departures):
            departures.add(GONE)
            await until(lambda: layer.group_channels("one") == ["interface.abc!stays"])
            layer.group_add("two", GONE)  # by a consumer that still had a message of the client
            await until(lambda: layer.group_channels("two") == [])
            layer.group_add("three", "interface.abc!another")
            departures.add("interface.abc!another")
            await until(lambda: layer.group_channels("three") == [])
            assert layer.group_channels("one") == ["interface.abc!stays"]

    asyncio.run(scenario())


def test_finish_does_now_what_was_to_be_done_later() -> None:
    async def scenario() -> None:
        layer = FlakyLayer(expiry=3600)
        departures = Departures(layer)
        layer.group_add("one", GONE)
        async with running(departures):
            departures.add(GONE)
            await until(lambda: layer.group_channels("one") == [])
            layer.group_add("two", GONE)
            await departures.finish()
            assert layer.group_channels("two") == []

    asyncio.run(scenario())


def test_an_outage_is_made_up_for_by_the_second_time() -> None:
    async def scenario() -> None:
        layer = FlakyLayer(expiry=0.3)
        departures = Departures(layer)
        layer.group_add("one", GONE)
        layer.outage = LayerUnavailable("It is gone.")
        async with running(departures):
            departures.add(GONE)
            await until(lambda: layer.failures)
            layer.outage = None
            await until(lambda: layer.group_channels("one") == [])

    asyncio.run(scenario())
