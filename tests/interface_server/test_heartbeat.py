"""The registry has a process and its sockets while they exist. A process that was declared dead starts anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from channels_classic.layers import InMemoryChannelLayer, LayerUnavailable
from channels_classic.layers.redelivery import BAD_GATEWAY, REFUSAL
from channels_classic.layers.types import Beat, Lease, Process
from interface_server import heartbeat as heartbeat_module
from interface_server.context import Context, Options
from interface_server.heartbeat import Heartbeat
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import DEADLINE, Hosted, eventually, read_response, read_until_closed
from tests.interface_server.loops import running, until

PROCESS = Process("interface.abc", {})


def no_lapse() -> Process:
    raise AssertionError("it did not lapse")


def in_registry(hosted: Hosted) -> Process:
    [process] = eventually(hosted.layer.processes)
    assert isinstance(process, Process)
    return process


def declare_dead(hosted: Hosted) -> Process:
    """Sweep a process like another process that has missed its heartbeats."""
    process = in_registry(hosted)
    assert hosted.layer.sweep(process, lambda _: None) is not None
    return process


def test_the_process_and_its_sockets_are_in_the_registry() -> None:
    with Hosted() as hosted:
        process = in_registry(hosted)
        assert process.details["kind"] == "interface"
        socket, reply_channel = hosted.open()
        assert reply_channel.startswith(f"{process.name}!")
        assert hosted.layer.clients(process.name) == [reply_channel]
        socket.send("hello")
        hosted.receive("websocket.receive")
        assert hosted.layer.clients(process.name) == [reply_channel]
        socket.close()
        hosted.receive("websocket.disconnect")
        assert hosted.layer.clients(process.name) == []
        assert hosted.layer.processes() == [process]
    assert hosted.layer.processes() == []


def test_the_sizes_of_groups_are_in_the_registry() -> None:
    with Hosted() as hosted:
        for group in ("one", "two"):
            hosted.layer.group_add(group, hosted.open()[1])
        hosted.layer.group_add("two", hosted.open()[1])
        expected = {"largest": {"two": 2, "one": 1}, "groups": 2, "memberships": 3}
        assert eventually(lambda: in_registry(hosted).details["groups"] == expected)


def test_a_socket_that_is_refused_by_a_full_channel_is_not_in_the_registry() -> None:
    with Hosted(InMemoryChannelLayer(channel_capacity={"websocket.connect": 1})) as hosted:
        hosted.layer.send("websocket.connect", {})
        hosted.dial().exception(DEADLINE)
        assert hosted.layer.clients(in_registry(hosted).name) == []


@pytest.mark.parametrize("frames", [0, 3])
def test_sockets_of_a_dead_process_say_goodbye_once(frames: int) -> None:
    with Hosted() as hosted:
        socket, reply_channel = hosted.open("/path")
        for number in range(frames):
            socket.send(str(number))
        eventually(lambda: len(hosted.layer._queues._queues.get("websocket.receive", ())) == frames or frames == 0)
        declare_dead(hosted)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        goodbye = hosted.receive("websocket.disconnect")
        assert goodbye == {"reply_channel": reply_channel, "path": "/path", "code": 1006, "order": frames + 1}
        # It goes on under another name.
        again, other_channel = hosted.open()
        assert other_channel.partition("!")[0] != reply_channel.partition("!")[0]
        hosted.send(other_channel, text="hello")
        assert again.recv(DEADLINE) == "hello"
        again.close()
        assert hosted.receive("websocket.disconnect")["reply_channel"] == other_channel
        assert hosted.is_empty("websocket.disconnect")


def test_requests_of_a_dead_process_get_503(caplog: pytest.LogCaptureFixture) -> None:
    with Hosted() as hosted:
        response = hosted.get()
        hosted.receive("http.request")
        dialled = hosted.dial()
        hosted.receive("websocket.connect")
        declare_dead(hosted)
        assert response.result(DEADLINE).status_code == 503
        assert dialled.exception(DEADLINE) is not None
        response = hosted.get()
        hosted.send(hosted.receive("http.request")["reply_channel"], status=200)
        assert response.result(DEADLINE).status_code == 200
    assert "was declared dead" in caplog.text
    assert "Traceback" not in caplog.text


def test_nothing_is_sent_for_a_process_that_was_declared_dead_while_it_was_stopped() -> None:
    """Its first heartbeat is answered after a client has sent something."""

    async def scenario() -> None:
        layer = FlakyLayer()
        layer.life = heartbeat_module.MARGIN + 0.05
        context = Context(layer, Options())
        context.start()
        await until(layer.processes)
        layer.outage = LayerUnavailable("It does not answer.", nothing_done=True)
        await until(lambda: layer.failures)
        [process] = layer._processes._states.values()
        assert process.process is not None
        layer.sweep(process.process, lambda _: None)
        sending = asyncio.create_task(context.outbox.send(layer.prepare("one", {}), patience=60))
        await asyncio.sleep(0.1)
        layer.outage = None
        assert (await sending).name == "REFUSED"
        assert layer.batches == []
        await context.stop()

    asyncio.run(scenario())


class SlowLayer(InMemoryChannelLayer):
    """A layer that answers heartbeats on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.answers = asyncio.Event()

    async def abeat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
        self.begun += 1
        await self.answers.wait()
        return await super().abeat(process, leases)


def test_beats_go_on_while_the_layer_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_module, "BEAT_SECONDS", 0.01)

    async def scenario() -> None:
        layer = SlowLayer()
        heartbeat = Heartbeat(layer, PROCESS, no_lapse)
        async with running(heartbeat):
            await until(lambda: layer.begun == heartbeat_module.MOST_BEATS)
            await asyncio.sleep(0.1)
            assert layer.begun == heartbeat_module.MOST_BEATS
            assert not heartbeat.is_trusted
            layer.answers.set()
            await until(lambda: layer.begun > heartbeat_module.MOST_BEATS)
            assert heartbeat.is_trusted

    asyncio.run(scenario())


def test_a_beat_that_fails_for_a_reason_that_nobody_foresaw_ends_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_module, "BEAT_SECONDS", 0.01)

    class BrokenLayer(InMemoryChannelLayer):
        async def abeat(self, process: Process, leases: Sequence[Lease] = ()) -> Beat:
            raise ZeroDivisionError

    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(Heartbeat(BrokenLayer(), PROCESS, no_lapse).run(), DEADLINE)

    asyncio.run(scenario())


def test_sockets_are_registered_again_after_a_loss_of_data() -> None:
    class LosingLayer(FlakyLayer):
        lost = 0

        @property
        def losses(self) -> int:
            return self.lost

    layer = LosingLayer()
    with Hosted(layer) as hosted:
        process = in_registry(hosted)
        socket, reply_channel = hosted.open("/path")
        other, _ = hosted.open()
        socket.send("hello")
        hosted.receive("websocket.receive")
        layer._processes.clear()
        layer.lost += 1
        hosted.send(reply_channel, text="wake")  # the reader looks before it waits again
        eventually(lambda: len(layer.clients(process.name)) == 2)
        eventually(layer.processes)
        layer.sweep(process, lambda _: None)
        goodbyes = [hosted.receive("websocket.disconnect") for _ in range(2)]
        assert {"reply_channel": reply_channel, "path": "/path", "code": 1006, "order": 2} in goodbyes
        other.close()


# What a sweep says to the clients of a dead worker.


def test_a_request_whose_worker_has_died_gets_502() -> None:
    with Hosted() as hosted:
        response = hosted.get()
        hosted.send(hosted.receive("http.request")["reply_channel"], **BAD_GATEWAY)
        assert response.result(DEADLINE).status_code == 502


def test_an_answer_whose_worker_has_died_ends_without_looking_complete(caplog: pytest.LogCaptureFixture) -> None:
    with Hosted() as hosted:
        client = hosted.raw(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
        reply_channel = hosted.receive("http.request")["reply_channel"]
        hosted.send(reply_channel, status=200, content=b"first", more_content=True)
        received = client.recv(4096)
        hosted.send(reply_channel, **BAD_GATEWAY)
        received += read_until_closed(client)
        assert b"first" in received
        assert not received.endswith(b"0\r\n\r\n")
    assert "The answer to GET /page was cut: its worker has died." in caplog.text


def test_a_worker_that_died_behind_its_answer_is_no_mistake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Hosted() as hosted:
        for _ in range(2):
            client = hosted.raw(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
            reply_channel = hosted.receive("http.request")["reply_channel"]
            hosted.send(reply_channel, status=200, content=b"all")
            hosted.send(reply_channel, **BAD_GATEWAY)
            assert read_response(client)[1] == b"all"
    assert "second answer" not in caplog.text


def test_a_connecting_socket_whose_worker_has_died_is_refused() -> None:
    with Hosted() as hosted:
        dialled = hosted.dial()
        hosted.send(hosted.receive("websocket.connect")["reply_channel"], **REFUSAL)
        error: Any = dialled.exception(DEADLINE)
        assert error.response.status_code == 403
