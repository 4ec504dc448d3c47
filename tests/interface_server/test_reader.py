"""The way from the layer to the clients."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels_classic.layers import LayerUnavailable
from interface_server.reader import DELIVERIES_AT_ONCE, Reader
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.loops import running, until


class Client:
    next_order = None

    def __init__(self) -> None:
        self.got: list[Any] = []

    def deliver(self, content: dict[str, Any]) -> None:
        if content.get("poison"):
            raise ValueError("cannot swallow this")
        self.got.append(content["text"])


def test_each_client_gets_its_own_in_order() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        reader = Reader(layer)
        clients = [Client() for _ in range(3)]
        channels = [reader.join(client) for client in clients]
        assert len({reader.process_channel, *channels}) == 4
        assert all(channel.startswith(reader.process_channel) for channel in channels)
        async with running(reader):
            for number in range(30):
                layer.send(channels[number % 3], {"text": number})
            await until(lambda: sum(len(client.got) for client in clients) == 30)
        assert [client.got for client in clients] == [list(range(first, 30, 3)) for first in range(3)]

    asyncio.run(scenario())


def test_an_error_of_a_client_does_not_stop_the_reader(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        reader = Reader(layer)
        bad, good = Client(), Client()
        to_bad, to_good = reader.join(bad), reader.join(good)
        layer.send(to_bad, {"poison": True})
        layer.send(to_good, {"text": "hello"})
        async with running(reader):
            await until(lambda: good.got == ["hello"])
        [record] = caplog.records
        assert to_bad in record.getMessage()
        assert "cannot swallow this" in (record.exc_text or str(record.exc_info))

    asyncio.run(scenario())


def test_a_client_that_has_left_gets_nothing_and_leaves_its_groups() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        reader = Reader(layer)
        stays, leaves = Client(), Client()
        to_stays, to_leaves = reader.join(stays), reader.join(leaves)
        assert reader.clients == 2
        reader.leave(to_leaves)
        reader.leave(to_leaves)
        assert reader.clients == 1
        for channel in (to_stays, to_leaves):
            layer.group_add("everyone", channel)
        async with running(reader):
            layer.send_group("everyone", {"text": "hello"})
            await until(lambda: layer.group_channels("everyone") == [to_stays])
        assert (stays.got, leaves.got) == (["hello"], [])

    asyncio.run(scenario())


def test_a_large_group_does_not_hold_the_event_loop_up() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        reader = Reader(layer)
        turns = 0
        turns_seen = []

        class Member:
            def deliver(self, content: dict[str, Any]) -> None:
                turns_seen.append(turns)

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        for _ in range(4 * DELIVERIES_AT_ONCE):
            layer.group_add("everyone", reader.join(Member()))
        layer.send_group("everyone", {"text": "hello"})
        counter = asyncio.create_task(count_turns())
        async with running(reader):
            await until(lambda: len(turns_seen) == 4 * DELIVERIES_AT_ONCE)
        counter.cancel()
        assert len(set(turns_seen)) >= 4

    asyncio.run(scenario())


def test_it_goes_on_after_an_outage() -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        layer.outage = LayerUnavailable("It is gone.")
        reader = Reader(layer)
        client = Client()
        reply_channel = reader.join(client)
        async with running(reader):
            await until(lambda: layer.failures >= 3)
            layer.outage = None
            layer.send(reply_channel, {"text": "hello"})
            await until(lambda: client.got == ["hello"])

    asyncio.run(scenario())
