"""An interface server whose Redis hangs, goes away, or comes back empty."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.layers.types import Turn
from interface_server import context as context_module
from interface_server import outbox as outbox_module
from tests.interface_server.hosted import DEADLINE, Hosted, eventually
from tests.lagging_replica import lagging_replica
from tests.redis_proxy import Cut, RedisProxy
from tests.redis_server import RedisServer


@contextmanager
def hosted_on_redis(
    directives: dict[str, object] | None = None, **options: Any
) -> Iterator[tuple[Hosted, RedisServer]]:
    with (
        RedisServer(**directives or {}) as redis,
        closing(RedisChannelLayer([redis.url])) as layer,
        Hosted(layer, **options) as hosted,
    ):
        yield hosted, redis


@contextmanager
def hanging(redis: RedisServer) -> Iterator[None]:
    assert redis.pid is not None
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(redis.pid, signal.SIGCONT)


def test_requests_do_not_pile_up_while_redis_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "ANSWER_SECONDS", 0.5)
    with hosted_on_redis() as (hosted, redis):
        connection, reply_channel = hosted.open()
        with hanging(redis):
            first = [hosted.get(f"/first/{number}") for number in range(10)]
            assert {response.result(DEADLINE).status_code for response in first} == {503}
            for number in range(10):
                assert hosted.get(f"/later/{number}").result(DEADLINE).status_code == 503
            connection.send("waits")
        assert hosted.receive("websocket.receive")["text"] == "waits"
        hosted.send(reply_channel, text="still there")
        assert connection.recv(timeout=DEADLINE) == "still there"
        response = hosted.get("/afterwards")
        paths = []
        while (request := hosted.receive("http.request"))["path"] != "/afterwards":
            paths.append(request["path"])
        # Only what was on its way to Redis when that stopped is carried out: nobody can call it back.
        assert len(paths) < 10
        assert all(path.startswith("/first/") for path in paths)
        hosted.send(request["reply_channel"], status=200, content=b"back")
        assert response.result(DEADLINE).text == "back"


@pytest.mark.parametrize("fault", ["full", "hangs", "replica"])
def test_goodbyes_that_nobody_takes_before_the_end_are_sent_by_others(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(context_module, "DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(context_module, "RELEASE_SECONDS", 0.2)
    with RedisServer() as redis, closing(RedisChannelLayer([redis.url])) as other, redis.client() as client:
        capacities = {"websocket.disconnect": 1}
        with (
            closing(RedisChannelLayer([redis.url], channel_capacity=capacities)) as layer,
            Hosted(layer) as hosted,
        ):
            _, reply_channel = hosted.open()
            [process] = eventually(other.processes)
            if fault == "full":
                other.send("websocket.disconnect", {})
            elif fault == "replica":
                client.replicaof("127.0.0.1", 1)
            with hanging(redis) if fault == "hangs" else nullcontext():
                hosted.stop()
        client.replicaof("NO", "ONE")
        if fault == "full":
            assert other.receive(["websocket.disconnect"]) == ("websocket.disconnect", {})
        # As a process does that finds no heartbeat.
        assert other.sweep(process, lambda _: None) is not None
        _, goodbye = other.receive(["websocket.disconnect"])
        # A server that goes on may still take the last one of the process itself.
        code = 1012 if fault == "hangs" and goodbye["code"] == 1012 else 1006
        assert goodbye == {"reply_channel": reply_channel, "path": "/", "code": code, "order": 1}
        assert other.receive(["websocket.disconnect"]) == (None, None)
    assert "Other processes send the websocket.disconnect messages that are missing." in caplog.text
    assert "given up" not in caplog.text


def test_a_request_that_has_timed_out_never_runs() -> None:
    """Its client has got 503 by the timeout, before the outbox gave it up."""
    with hosted_on_redis(http_timeout=0.3, websocket_handshake_timeout=0.3) as (hosted, redis):
        eventually(hosted.layer.processes)
        with hanging(redis):
            assert hosted.get("/first").result(DEADLINE).status_code == 503
            for number in range(5):
                assert hosted.get(f"/later/{number}").result(DEADLINE).status_code == 503
            with pytest.raises(InvalidStatus) as refused:
                hosted.dial("/later").result(DEADLINE)
            assert refused.value.response.status_code == 503
        connection, _ = hosted.open("/afterwards")
        connection.send("afterwards")
        assert hosted.receive("websocket.receive")["path"] == "/afterwards"
        assert hosted.receive("http.request")["path"] == "/first"
        assert hosted.is_empty("http.request")
        assert hosted.is_empty("websocket.disconnect")


def test_a_redis_that_comes_back_empty() -> None:
    with hosted_on_redis() as (hosted, redis):
        connections = [hosted.open(f"/{number}") for number in range(5)]
        for _, reply_channel in connections:
            hosted.layer.group_add("everyone", reply_channel)
        redis.stop()
        assert hosted.get().result(DEADLINE).status_code == 503
        for number, (connection, _) in enumerate(connections):
            connection.send(str(number))
        assert hosted.get().result(DEADLINE).status_code == 503
        redis.start()
        assert sorted(hosted.receive("websocket.receive")["text"] for _ in connections) == list("01234")
        # Whoever handles the first message that comes may send to the groups: they are there by then.
        hosted.layer.send_group("everyone", {"text": "hello"})
        for connection, _ in connections:
            assert connection.recv(timeout=DEADLINE) == "hello"
        for connection, _ in connections:
            connection.close()
        assert {hosted.receive("websocket.disconnect")["order"] for _ in connections} == {2}
        eventually(lambda: hosted.layer.group_channels("everyone") == [])


def test_ordered_sockets_go_on_when_redis_comes_back_empty() -> None:
    """The next message of each socket has its turn at once, and later ones wait for it."""
    with hosted_on_redis() as (hosted, redis):
        layer = hosted.layer

        def enter(message: dict[str, Any]) -> bool:
            return layer.enter_turn(Turn(message["reply_channel"], message["order"], "websocket.receive"), message)

        connection, reply_channel = hosted.open()
        layer.enter_turn(Turn(reply_channel, 0, "websocket.connect"), {})
        layer.send_batch([layer.end_of_turn(reply_channel, 0)])
        for number in range(3):
            connection.send(str(number))
            message = hosted.receive("websocket.receive")
            assert enter(message)
            layer.send_batch([layer.end_of_turn(reply_channel, message["order"])])
        redis.stop()
        assert hosted.get().result(DEADLINE).status_code == 503
        for number in range(3, 6):
            connection.send(str(number))
        redis.start()
        first, second, third = (hosted.receive("websocket.receive") for _ in range(3))
        assert not enter(second)
        assert enter(first)
        layer.send_batch([layer.end_of_turn(reply_channel, first["order"])])
        assert hosted.receive("websocket.receive") == second
        assert enter(second)
        layer.send_batch([layer.end_of_turn(reply_channel, second["order"])])
        assert enter(third)
        connection.close()


@pytest.mark.parametrize("lose", ["restart", "flushall"])
def test_a_redis_that_loses_its_data_while_nobody_sends(lose: str) -> None:
    """No send has failed, and still sockets go on soon, without waiting for a turn that is over."""
    with hosted_on_redis() as (hosted, redis):
        connection, reply_channel = hosted.open()
        if lose == "restart":
            redis.restart()
        else:
            with closing(redis.client()) as client:
                client.flushall()
        connection.send("first")
        message = hosted.receive("websocket.receive")
        assert not hosted.layer.enter_turn(Turn(reply_channel, 1, "websocket.receive"), message)
        assert hosted.receive("websocket.receive") == message
        assert hosted.layer.enter_turn(Turn(reply_channel, 1, "websocket.receive"), message)


def test_an_outage_passes_over_no_socket_that_is_not_open_yet() -> None:
    with hosted_on_redis() as (hosted, _):
        dialled = hosted.dial("/early")
        message = hosted.receive("websocket.connect")
        hosted.layer.resume_turns(hosted.server.context.reader.next_orders())
        assert hosted.layer.enter_turn(Turn(message["reply_channel"], 0, "websocket.connect"), message)
        hosted.send(message["reply_channel"], accept=True)
        dialled.result(DEADLINE).close()


def is_served(hosted: Hosted) -> bool:
    """Whether a request gets through to the layer and back."""
    response = hosted.get()

    def happened() -> bool:
        _, content = hosted.layer.receive(["http.request"])
        if content is not None:
            hosted.send(content["reply_channel"], status=200)
        return content is not None or response.done()

    eventually(happened)
    return bool(response.result(DEADLINE).status_code == 200)


def test_ordered_sockets_go_on_after_a_failover_to_a_replica_that_lags_behind() -> None:
    """It has lost the turns, and a message in its queue. Nobody waits for them."""
    with lagging_replica() as redis, closing(RedisChannelLayer([redis.url])) as layer, Hosted(layer) as hosted:

        def enter(message: dict[str, Any]) -> bool:
            return layer.enter_turn(Turn(message["reply_channel"], message["order"], "websocket.receive"), message)

        def end(order: int) -> None:
            layer.send_batch([layer.end_of_turn(reply_channel, order)])

        connection, reply_channel = hosted.open()
        layer.enter_turn(Turn(reply_channel, 0, "websocket.connect"), {})
        end(0)
        redis.stop_following()
        for number in (1, 2):
            connection.send(str(number))
            assert enter(hosted.receive("websocket.receive"))
            end(number)
        connection.send("lost")
        eventually(lambda: layer.channel_statistics("websocket.receive")["messages_pending"] == 1)
        assert is_served(hosted)  # so it knows that the message has arrived, and does not send it again
        redis.fail_over()
        # A socket that has a message on its way when the connection breaks may be closed for it.
        eventually(lambda: layer.losses > 0)
        eventually(lambda: is_served(hosted))
        connection.send("4")
        message = hosted.receive("websocket.receive")
        assert message["order"] == 4
        assert not enter(message)
        assert hosted.receive("websocket.receive") == message
        assert enter(message)


def test_a_message_that_waits_in_its_queue_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds for slow workers, and for another Redis with the same data."""
    with hosted_on_redis(directives={"appendonly": "yes"}) as (hosted, redis):
        layer = hosted.layer
        connection, reply_channel = hosted.open()
        layer.enter_turn(Turn(reply_channel, 0, "websocket.connect"), {})
        layer.send_batch([layer.end_of_turn(reply_channel, 0)])
        asked: list[str] = []
        statistics = layer.channel_statistics

        def counted(channel: str) -> dict[str, float]:
            asked.append(channel)
            return statistics(channel)

        connection.send("waits")
        eventually(lambda: hosted.layer.channel_statistics("websocket.receive")["messages_pending"] == 1)
        redis.restart()
        eventually(lambda: layer.losses > 0)
        monkeypatch.setattr(layer, "channel_statistics", counted)
        eventually(lambda: len(asked) >= 2)
        message = hosted.receive("websocket.receive")
        assert layer.enter_turn(Turn(reply_channel, 1, "websocket.receive"), message)


def test_a_redis_that_is_back_meets_few_connections_however_many_sockets_there_are() -> None:
    with hosted_on_redis() as (hosted, redis):
        connections = [hosted.open(f"/{number}")[0] for number in range(60)]
        redis.stop()
        for connection in connections:
            connection.send("waits")
        redis.start()
        assert all(hosted.receive("websocket.receive")["text"] == "waits" for _ in connections)
        with closing(redis.client()) as client:
            assert client.info("stats")["total_connections_received"] < 30


def test_after_an_outage_nobody_takes_the_others_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock of Redis all heartbeats are too old, until each process has sent another one."""
    monkeypatch.setattr(RedisChannelLayer, "life", 1.0)
    with hosted_on_redis(directives={"appendonly": "yes"}) as (hosted, redis), ExitStack() as others:
        hosts = [hosted]
        for _ in range(3):
            layer = others.enter_context(closing(RedisChannelLayer([redis.url])))
            hosts.append(others.enter_context(Hosted(layer)))
        sockets = [host.open() for host in hosts]
        eventually(lambda: len(hosted.layer.processes()) == 4)
        time.sleep(1.7)  # until they judge each other
        redis.stop()
        time.sleep(1.4)
        redis.start()
        eventually(lambda: are_alive(hosted, 4))
        for host, (socket, reply_channel) in zip(hosts, sockets, strict=True):
            host.send(reply_channel, text="still there")
            assert socket.recv(timeout=DEADLINE) == "still there"
        assert hosted.is_empty("websocket.disconnect")


def are_alive(hosted: Hosted, count: int) -> bool:
    try:
        return len(hosted.layer.processes()) == count
    except LayerUnavailable:
        return False


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_frame_on_its_way_when_the_connection_breaks(lost: Cut, redis_url: str) -> None:
    """The server finds out later whether Redis took it. It comes once, and its socket stays open."""
    cuts: list[bytes] = []

    def cut(trip: bytes) -> Cut:
        if b"precious" in trip and not cuts:
            cuts.append(trip)
            return lost
        return None

    with RedisProxy(redis_url, cut) as proxy, closing(RedisChannelLayer([proxy.url])) as layer:
        layer.flush()
        with Hosted(layer) as hosted:
            connection, reply_channel = hosted.open()
            for text in ("precious", "next"):
                connection.send(text)
            assert [hosted.receive("websocket.receive")["text"] for _ in range(2)] == ["precious", "next"]
            hosted.send(reply_channel, text="still there")
            assert connection.recv(timeout=DEADLINE) == "still there"
            assert hosted.is_empty("websocket.receive")
            assert cuts
            connection.close()
            assert hosted.receive("websocket.disconnect")["order"] == 3
