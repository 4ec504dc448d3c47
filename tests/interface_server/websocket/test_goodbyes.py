"""``websocket.disconnect``: its order is one past the last message that the layer took, and it is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from channels_classic.layers import Delivery, InMemoryChannelLayer, LayerUnavailable
from interface_server.outbox import Outbox
from interface_server.reader import Reader
from interface_server.websocket import goodbyes as goodbyes_module
from interface_server.websocket.goodbyes import Goodbyes
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import Hosted, eventually
from tests.interface_server.loops import running, until

Start = Callable[..., Hosted]


def test_a_client_that_leaves_while_its_messages_wait_for_room(start: Start) -> None:
    """Its waiting messages are dropped, because they are useless, and others wait behind them."""
    hosted = start(InMemoryChannelLayer(channel_capacity={"websocket.receive": 2}))
    socket, _ = hosted.open()
    for number in range(5):
        socket.send(str(number))
    eventually(lambda: hosted.layer.channel_statistics("websocket.receive")["channel_full_count"])
    socket.close(3456)
    goodbye = hosted.receive("websocket.disconnect")
    assert (goodbye["order"], goodbye["code"]) == (3, 3456)
    assert [hosted.receive("websocket.receive")["order"] for _ in range(2)] == [1, 2]
    assert hosted.is_empty("websocket.receive")


def test_the_last_messages_of_a_client_that_leaves(start: Start) -> None:
    hosted = start()
    for number in range(20):
        socket, _ = hosted.open()
        socket.send("last words")
        socket.close()
        assert hosted.receive("websocket.receive")["text"] == "last words", number
        assert hosted.receive("websocket.disconnect")["order"] == 2


class UncertainLayer(InMemoryChannelLayer):
    """Takes a frame, and goes away before it answers."""

    async def asend_batch(self, deliveries: Sequence[Delivery]) -> list[int]:
        full = await super().asend_batch(deliveries)
        if any(delivery.name == "websocket.receive" for delivery in deliveries):
            raise LayerUnavailable("It went away.")
        return full


def test_a_frame_with_an_unknown_outcome_counts(start: Start) -> None:
    """Two messages with the same order would be worse than a missing one, because the second would never be
    handled.

    The last messages of a client are not lost in the outage either.
    """
    hosted = start(UncertainLayer())
    socket, _ = hosted.open()
    socket.send("hello")
    assert hosted.receive("websocket.receive")["order"] == 1
    goodbye = hosted.receive("websocket.disconnect")
    assert (goodbye["order"], goodbye["code"]) == (2, 1013)


def test_many_leave_while_no_worker_has_time(start: Start) -> None:
    hosted = start(InMemoryChannelLayer(channel_capacity={"websocket.disconnect": 3}))
    sockets = [hosted.open(f"/{number}")[0] for number in range(20)]
    for socket in sockets:
        socket.close()
    eventually(lambda: hosted.layer.channel_statistics("websocket.disconnect")["channel_full_count"])
    paths = {hosted.receive("websocket.disconnect")["path"] for _ in sockets}
    assert paths == {f"/{number}" for number in range(20)}
    assert hosted.is_empty("websocket.disconnect")


def test_goodbyes_that_find_no_room_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(goodbyes_module, "REPORT_SECONDS", 0.3)

    async def scenario() -> None:
        outbox = Outbox(FlakyLayer(capacity=2))
        layer = FlakyLayer(capacity=2, expiry=0.2)
        reader = Reader(layer)
        goodbyes = Goodbyes(layer, outbox, reader)
        async with running(outbox):
            for number in range(10):
                goodbyes.say({"code": 1000, "order": number, "reply_channel": f"{reader.process_channel}a"})
            await until(lambda: caplog.records)
            for number in range(3):
                goodbyes.say({"code": 1000, "order": number, "reply_channel": f"{reader.process_channel}a"})
            await asyncio.wait_for(outbox.drain(60), 60)
            goodbyes.report()
            goodbyes.report()

    asyncio.run(scenario())
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("8 websocket.disconnect messages were given up: their channel was full for 0.2 s")
    assert "channel_capacity" in first
    assert second.startswith("3 websocket.disconnect messages were given up")


def test_goodbyes_that_may_be_lost_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        layer = FlakyLayer()
        outbox = Outbox(layer)
        reader = Reader(layer)
        goodbyes = Goodbyes(layer, outbox, reader)
        layer.outage = LayerUnavailable("It went away.")
        async with running(outbox):
            for number in range(2):
                goodbyes.say({"code": 1000, "order": number, "reply_channel": f"{reader.process_channel}a"})
            await until(lambda: layer.failures)
            layer.outage = None
            await outbox.drain(60)
            goodbyes.report()

    asyncio.run(scenario())
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("2 websocket.disconnect messages may be lost") for line in lines)
