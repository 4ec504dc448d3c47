"""The order of ``websocket.disconnect``: one past the last frame that the layer took."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from channels_classic.layers import Delivery, InMemoryChannelLayer, LayerUnavailable
from interface_server.outbox import Outbox, Outcome
from interface_server.websocket import socket as websocket
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import Hosted, eventually
from tests.interface_server.loops import running, until

Start = Callable[..., Hosted]


def narrow_layer() -> InMemoryChannelLayer:
    return InMemoryChannelLayer(channel_capacity={"websocket.receive": 2})


def test_a_client_that_leaves_while_its_frames_wait_for_room(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "FRAME_PATIENCE", 60)
    hosted = start(narrow_layer())
    socket, _ = hosted.open()
    for number in range(5):
        socket.send(str(number))
    eventually(lambda: hosted.layer.channel_statistics("websocket.receive")["channel_full_count"])
    socket.close(3456)
    # What it said can still be heard, and only then it says goodbye.
    assert hosted.is_empty("websocket.disconnect")
    assert [hosted.receive("websocket.receive")["order"] for _ in range(5)] == [1, 2, 3, 4, 5]
    goodbye = hosted.receive("websocket.disconnect")
    assert (goodbye["order"], goodbye["code"]) == (6, 3456)


def test_a_client_that_leaves_and_whose_frames_find_no_room(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "FRAME_PATIENCE", 0.3)
    hosted = start(narrow_layer())
    socket, _ = hosted.open()
    for number in range(5):
        socket.send(str(number))
    eventually(lambda: hosted.layer.channel_statistics("websocket.receive")["channel_full_count"])
    socket.close()
    assert hosted.receive("websocket.disconnect")["order"] == 3
    assert [hosted.receive("websocket.receive")["order"] for _ in range(2)] == [1, 2]
    assert hosted.is_empty("websocket.receive")


class UncertainLayer(InMemoryChannelLayer):
    """Takes a frame, and is gone before it can say so."""

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        full = await super().asend_batch(deliveries)
        if any(delivery.name == "websocket.receive" for delivery in deliveries):
            raise LayerUnavailable("It went away.")
        return full


def test_a_frame_of_which_nobody_knows_whether_it_was_taken_counts(start: Start) -> None:
    """Two messages of one order would be worse than one that is missing: the second would never be handled.

    And what a client says last is not lost in the outage.
    """
    hosted = start(UncertainLayer())
    socket, _ = hosted.open()
    socket.send("hello")
    assert hosted.receive("websocket.receive")["order"] == 1
    goodbye = hosted.receive("websocket.disconnect")
    assert (goodbye["order"], goodbye["code"]) == (2, 1013)


def test_when_one_is_given_up_so_are_the_later_ones_of_its_sender() -> None:
    """Though they would have had more time: what comes after a gap is of no use."""

    async def scenario() -> None:
        layer = FlakyLayer(capacity=1)
        outbox = Outbox(layer)
        settled: dict[str, Outcome] = {}

        def put(name: str, patience: float, sender: object) -> None:
            delivery = layer.prepare("narrow", {"name": name})
            outbox.put(delivery, lambda outcome: settled.__setitem__(name, outcome), patience, sender)

        async with running(outbox):
            put("first", 0.2, "a")
            put("second", 0.2, "a")
            put("third", 60, "a")
            put("of another", 60, "b")
            await until(lambda: "second" in settled)
            assert settled == {"first": Outcome.TAKEN, "second": Outcome.REFUSED, "third": Outcome.REFUSED}
            assert [one.content["name"] for one in layer.receive_batch(["narrow"], 10)] == ["first"]
            await until(lambda: settled.get("of another") is Outcome.TAKEN)
            put("fourth", 60, "a")
            assert [one.content["name"] for one in layer.receive_batch(["narrow"], 10)] == ["of another"]
            await until(lambda: settled.get("fourth") is Outcome.TAKEN)

    asyncio.run(scenario())
