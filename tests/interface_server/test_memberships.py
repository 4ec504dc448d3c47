"""The time for which clients stay in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from channels_classic.layers import LayerUnavailable
from interface_server import memberships as memberships_module
from interface_server.memberships import Memberships
from interface_server.reader import Reader
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import Hosted, eventually
from tests.interface_server.loops import running, until


class Client:
    next_order = None

    def deliver(self, content: dict[str, object]) -> None:
        pass

    def abort(self) -> None:
        pass


def test_a_membership_lasts_as_long_as_its_client() -> None:
    async def scenario() -> None:
        layer = FlakyLayer(group_expiry=1.0)
        reader = Reader(layer)
        stays = reader.join(Client())
        loop = asyncio.get_running_loop()
        async with running(Memberships(layer, reader)):
            layer.group_add("one", stays)
            layer.group_add("one", "elsewhere!member")
            end = loop.time() + 2.2
            while loop.time() < end:
                assert stays in layer.group_channels("one")
                await asyncio.sleep(0.01)
            assert layer.group_channels("one") == [stays]
            layer.group_discard("one", stays)
            await asyncio.sleep(0.5)  # it would be renewed meanwhile
            assert layer.group_channels("one") == []

    asyncio.run(scenario())


def test_a_membership_ends_with_its_client_and_clients_without_one_cost_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memberships_module, "SEARCH_SECONDS", 0.05)
    released: list[list[str]] = []

    class CountingLayer(FlakyLayer):
        async def arelease(self, channels: object) -> None:
            released.append(list(channels))  # type: ignore[call-overload]
            await super().arelease(released[-1])

    async def scenario() -> None:
        layer = CountingLayer()
        reader = Reader(layer)
        stays, leaves, loner = (reader.join(Client()) for _ in range(3))
        for channel in (stays, leaves, "elsewhere!member"):
            layer.group_add("one", channel)
        async with running(Memberships(layer, reader)):
            reader.leave(leaves)
            reader.leave(loner)
            await until(lambda: leaves not in layer.group_channels("one"))
            assert layer.group_channels("one") == [stays, "elsewhere!member"]
            assert released == [[leaves]]

    asyncio.run(scenario())


def test_a_client_that_is_added_after_it_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memberships_module, "LATE_SECONDS", 0.05)

    async def scenario() -> None:
        layer = FlakyLayer()
        reader = Reader(layer)
        leaves = reader.join(Client())
        reader.leave(leaves)
        async with running(Memberships(layer, reader)):
            await until(lambda: not reader.left.is_set())
            layer.group_add("one", leaves)
            await until(lambda: layer.group_channels("one") == [])

    asyncio.run(scenario())


def test_an_outage_only_delays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memberships_module, "SEARCH_SECONDS", 0.05)

    async def scenario() -> None:
        layer = FlakyLayer()
        reader = Reader(layer)
        leaves = reader.join(Client())
        layer.group_add("one", leaves)
        layer.outage = LayerUnavailable("It is gone.")
        async with running(Memberships(layer, reader)):
            reader.leave(leaves)
            await until(lambda: layer.failures >= 2)
            layer.outage = None
            await until(lambda: layer.group_channels("one") == [])

    asyncio.run(scenario())


def test_after_an_outage_they_are_compared_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memberships_module, "COMPARE_SECONDS", 0.05)
    renewed: list[list[str]] = []

    class ComparingLayer(FlakyLayer):
        async def arenew(self, channels: Iterable[str]) -> None:
            renewed.append(list(channels))

    async def scenario() -> None:
        layer = ComparingLayer()
        reader = Reader(layer)
        stays = reader.join(Client())
        layer.group_add("one", stays)
        memberships = Memberships(layer, reader)
        async with running(memberships):
            memberships.compare()
            await until(lambda: len(renewed) == 2)
            await asyncio.sleep(0.2)
            assert renewed == [[stays], [stays]]

    asyncio.run(scenario())


def test_a_page_that_joins_a_group() -> None:
    with Hosted() as hosted:
        response = hosted.get()
        reply_channel = hosted.receive("http.request")["reply_channel"]
        hosted.layer.group_add("readers", reply_channel)
        hosted.send(reply_channel, status=200, content=b"page")
        assert response.result(30).text == "page"
        eventually(lambda: hosted.layer.group_channels("readers") == [])
