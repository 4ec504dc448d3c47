"""Another server becomes the master: by real sentinels, and by a proxy to a replica that lags behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from channels_classic.layers import LayerUnavailable, RedisChannelLayer, RedisSentinelChannelLayer
from channels_classic.layers.types import Turn
from tests.conftest import LayerOn
from tests.lagging_replica import LaggingReplica, lagging_replica
from tests.redis_proxy import RedisProxy
from tests.redis_sentinel import Sentinel, Watched, wait_until, watched
from tests.redis_server import RedisServer

THREADS, SENDS = 4, 40

FAULTS: dict[str, Callable[[Watched], None]] = {
    "killed": lambda site: site.master.kill(),
    "hangs": Watched.stop_master,
    "demoted": Watched.fail_over,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_all_connections_leave_the_old_master(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """The old master would still take messages for seconds, and one of the sentinels hangs."""
    with watched() as site, ExitStack() as stack:
        layer = RedisSentinelChannelLayer(site.hosts, capacity=10_000)
        stack.callback(layer.close)
        senders = stack.enter_context(ThreadPoolExecutor(THREADS))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(loop.call_soon_threadsafe, loop.stop)

        def run(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

        def send(number: int) -> bool:
            """Whether it was taken, by a thread for even numbers and by the event loop for others."""
            try:
                if number % 2:
                    return bool(run(layer.asend_batch([layer.prepare("test", {"number": number})])) == [])
                layer.send("test", {"number": number})
                return True
            except LayerUnavailable:
                return False

        assert all(senders.map(send, range(SENDS)))
        with site.in_trouble(site.sentinels[2] if fault == "killed" else None):
            FAULTS[fault](site)
            wait_until(site.has_switched, "the switch")
            # The sentinels publish it in that moment. What they tell is heard by a thread.
            wait_until(lambda: "moves to" in caplog.text, "the layer to hear of it")
            with site.replica.client() as client:

                def taken_by_the_new_master(number: int) -> bool:
                    client.delete("asgi:queue:test")
                    return send(number) and bool(client.llen("asgi:queue:test"))

                wait_until(lambda: all(map(taken_by_the_new_master, range(THREADS))), "the layer to follow")
                client.delete("asgi:queue:test")
                assert all(senders.map(send, range(SENDS)))
                assert client.llen("asgi:queue:test") == SENDS
        run(layer.aclose())


def test_a_switch_that_no_sentinel_could_tell_of() -> None:
    """The only sentinel was away during the switch. It is asked when it is back."""
    with watched() as site, ExitStack() as stack:
        proxy = stack.enter_context(RedisProxy(f"redis://127.0.0.1:{site.sentinels[0].port}"))
        host, port = proxy.url.removeprefix("redis://").removesuffix("/0").split(":")
        layer = RedisSentinelChannelLayer([(host, int(port))], capacity=100_000)
        stack.callback(layer.close)
        layer.send("test", {})
        wait_until(lambda: b"sub=3" in _clients(site.sentinels[0]), "the layer to listen")
        proxy.go_away()
        site.fail_over()
        wait_until(site.has_switched, "the switch")
        layer.send("test", {})
        proxy.come_back()
        with site.replica.client() as client:

            def follows() -> bool:
                layer.send("moved", {})
                return bool(client.llen("asgi:queue:moved"))

            wait_until(follows, "the layer to follow")


def _clients(sentinel: Sentinel) -> bytes:
    with sentinel.client() as client:
        return str(client.execute_command("CLIENT", "LIST")).encode()


# A failover behind one address, to a replica that lags behind.


@pytest.fixture
def lagging() -> Iterator[LaggingReplica]:
    with lagging_replica() as lagging:
        yield lagging


@pytest.fixture
def layer(lagging: LaggingReplica) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer([lagging.url])
    yield layer
    layer.close()


def until_it_answers(call: Callable[..., Any], *arguments: Any) -> Any:
    """Repeat a call that fails because connections are broken."""
    found: list[Any] = []
    wait_until(lambda: found.append(call(*arguments)) is None, "an answer")
    return found[-1]


def test_memberships_are_told_to_a_replica_that_took_over(
    layer: RedisChannelLayer, lagging: LaggingReplica
) -> None:
    """It has the epoch of the old master, and lacks the last memberships."""
    assert layer.receive_batch(["process!"], 10) == []
    lagging.stop_following()
    layer.group_add("room", "process!one")
    assert layer.receive_batch(["process!"], 10) == []
    lagging.fail_over()
    until_it_answers(layer.repair)
    assert layer.losses == 1
    layer.send_group("room", {"text": "hello"})
    assert [one.channel for one in layer.receive_batch(["process!"], 10)] == ["process!one"]


def test_a_worker_waits_for_memberships_that_are_told_again(
    lagging: LaggingReplica, layer: RedisChannelLayer, layer_on: LayerOn
) -> None:
    """It does not wait if the processes that it has sent to before are back."""
    holder = layer_on([lagging.url])
    holder.group_add("old", "process!one")
    lagging.stop_following()
    holder.group_add("new", "process!one")
    holder.receive_batch(["process!"], 10)
    for group in ("old", "new"):
        layer.send_group(group, {})
    assert layer.receive(["mine"]) == (None, None)
    holder.receive_batch(["process!"], 10)
    lagging.fail_over()
    until_it_answers(layer.receive, ["mine"])
    with pytest.raises(LayerUnavailable, match="have told it of these again") as refused:
        layer.send_group("new", {"text": "hello"})
    assert refused.value.nothing_done
    layer.send_group("old", {"text": "hello"})
    until_it_answers(holder.repair)
    layer.send_group("new", {"text": "hello"})
    assert len(holder.receive_batch(["process!"], 10)) == 2


def test_a_server_that_was_restarted_with_its_data(tmp_path: Any) -> None:
    """It may lack the last moments, so it counts as another one."""
    with RedisServer(appendonly="yes") as server:
        layer = RedisChannelLayer([server.url])
        layer.receive_batch(["process!"], 10)
        layer.group_add("room", "process!one")
        layer.receive_batch(["process!"], 10)
        server.restart()
        until_it_answers(layer.repair)
        assert layer.losses == 1
        assert layer.group_channels("room") == ["process!one"]
        layer.close()


def test_a_user_without_the_right_to_ask_for_the_server() -> None:
    with RedisServer() as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-info")
        limited = RedisChannelLayer([server.url])
        limited.send("test", {"number": 1})
        assert limited.receive(["test"]) == ("test", {"number": 1})
        limited.close()


@pytest.mark.parametrize("settled", [False, True])
def test_turns_of_a_replica_that_took_over(
    layer: RedisChannelLayer, lagging: LaggingReplica, settled: bool
) -> None:
    """Clients go on when the missing messages can be in no queue any more."""
    client = "interface.abc!one"

    def handle(order: int) -> None:
        assert layer.enter_turn(Turn(client, order, "frames"), {"order": order})
        layer.send_batch([layer.end_of_turn(client, order)])

    handle(0)
    lagging.stop_following()
    handle(1)
    handle(2)
    lagging.fail_over()
    # Message 3 was in the queue of the old master.
    assert not until_it_answers(layer.enter_turn, Turn(client, 4, "frames"), {"order": 4})
    layer.resume_turns({client: 4}, settled=settled)
    if settled:
        assert layer.receive(["frames"]) == ("frames", {"order": 4})
        handle(4)
    else:
        assert layer.receive(["frames"]) == (None, None)


def test_turns_that_are_waited_for_are_not_passed_over(layer: RedisChannelLayer) -> None:
    client = "interface.abc!one"
    first, third = Turn(client, 0, "frames", token="a"), Turn(client, 2, "frames")
    assert layer.enter_turn(first, {"order": 0})
    assert not layer.enter_turn(third, {"order": 2})
    layer.resume_turns({client: 3}, settled=True)  # the first one runs
    assert layer.receive(["frames"]) == (None, None)
    layer.suspend_turn(first)
    layer.resume_turns({client: 5}, settled=True)  # the third one waits
    assert layer.receive(["frames"]) == ("frames", {"order": 2})
    assert layer.enter_turn(third, {"order": 2})
