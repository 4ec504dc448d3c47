"""Layers in memory, in the place of those of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from channels_classic import Channel, channel_layers
from channels_classic.exceptions import (
    InvalidChannelLayerError,
)
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.sessions import enforce_ordering
from channels_classic.test import in_memory_layers
from channels_classic.test import layers as layers_for_tests
from channels_classic.test.layers import next_received
from tests.channels_classic.test.examples import TWO_LAYERS, layers


class TestInMemoryLayers:
    @pytest.fixture(autouse=True)
    def two_layers(self, settings: Any) -> None:
        settings.CHANNEL_LAYERS = TWO_LAYERS

    def test_all_are_replaced_and_come_back(self) -> None:
        outside = layers()
        with in_memory_layers():
            assert not {*layers()} & {*outside}
            Channel("queue").send({"number": 1})
        assert layers() == outside
        assert channel_layers["default"].receive(["queue"]) == (None, None)

    def test_only_some(self) -> None:
        default, other = layers()
        with in_memory_layers(["other"]):
            assert layers()[0] is default
            assert layers()[1] is not other
        assert layers() == [default, other]

    def test_one_that_was_not_made_is_not_made_for_it(self, settings: Any) -> None:
        backend = {"BACKEND": "no.such.Backend", "CONFIG": {"hosts": ["somewhere"], "capacity": 5}, "ROUTING": {}}
        settings.CHANNEL_LAYERS = {"default": backend}
        with in_memory_layers():
            assert channel_layers["default"].capacity == 5
        with pytest.raises(InvalidChannelLayerError, match=r"no\.such\.Backend"):
            channel_layers["default"]

    def test_their_limits_are_those_of_the_settings(self) -> None:
        with in_memory_layers():
            assert (layers()[0].capacity, layers()[0].expiry) == (3, 7)
            assert layers()[1].capacity == InMemoryChannelLayer().capacity

    def test_an_unknown_one(self) -> None:
        with (
            pytest.raises(InvalidChannelLayerError, match="no 'third'; it has: 'default', 'other'"),
            in_memory_layers(["default", "third"]),
        ):
            pass


@pytest.mark.parametrize("client", ["reply", "interface.abc!client"])
def test_old_tests_find_what_waits_for_its_turn(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    @enforce_ordering
    def consumer(message: Message) -> None:
        ran.append(message["order"])

    def arrive(order: int) -> None:
        consumer(
            Message({"reply_channel": client, "order": order}, "websocket.receive", channel_layers["default"])
        )

    waiting = f"__wait__.{client.replace('!', '?')}"
    with in_memory_layers():
        arrive(0)
        arrive(3)
        arrive(2)
        monkeypatch.setattr(layers_for_tests, "legacy_is_active", lambda: False)
        assert next_received(channel_layers["default"], waiting.replace("?", ".")) is None
        monkeypatch.setattr(layers_for_tests, "legacy_is_active", lambda: True)
        found = [next_received(channel_layers["default"], waiting) for _ in range(3)]
    assert ran == [0]
    assert [each and (each.channel, each.content["order"]) for each in found] == [
        ("websocket.receive", 2),
        ("websocket.receive", 3),
        None,
    ]
