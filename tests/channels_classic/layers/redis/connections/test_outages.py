"""The Redis layer while its server is away, and when it comes back. It works on without a restart."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.layers.types import Turn
from tests.conftest import LayerOn
from tests.ports import free_port
from tests.redis_server import RedisServer

PATIENCE = 60


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def wait_for_reader(server: RedisServer) -> None:
    """Wait until a reader waits on the server for a message."""
    with server.client() as client:
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1)


def run(layer: RedisChannelLayer, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``main`` in an event loop of its own."""

    async def run_and_close() -> None:
        try:
            await asyncio.wait_for(main(), PATIENCE)
        finally:
            await layer.aclose()

    asyncio.run(run_and_close())


def test_starts_before_its_server(layer_on: LayerOn) -> None:
    server = RedisServer(port=free_port())
    layer = layer_on([server.url])
    calls: list[Callable[[], object]] = [
        lambda: layer.send("test", {}),
        lambda: layer.receive(["test"]),
        lambda: layer.receive(["test"], block=True),
        lambda: layer.group_add("group", "test"),
        lambda: layer.send_group("group", {}),
        lambda: layer.flush(),
        lambda: layer.global_statistics(),
    ]
    for call in calls:
        with pytest.raises(
            LayerUnavailable, match=rf"^Cannot connect to Redis at 127.0.0.1:{server.port}"
        ) as error:
            call()
        assert error.value.nothing_done
    with server:
        layer.send("test", {})
        assert layer.receive(["test"]) == ("test", {})


def test_an_event_loop_starts_before_its_server(layer_on: LayerOn) -> None:
    server = RedisServer(port=free_port())
    layer = layer_on([server.url])

    async def main() -> None:
        delivery = layer.prepare("test", {})
        for call in (
            layer.asend_batch([delivery]),
            layer.areceive_batch(["test"], 10, 1),
            layer.arelease(["a!b"]),
        ):
            with pytest.raises(LayerUnavailable, match=r"^Cannot connect to Redis at") as error:
                await call
            assert error.value.nothing_done
        server.start()
        assert await layer.asend_batch([delivery]) == []
        (received,) = await layer.areceive_batch(["test"], 10, PATIENCE)
        assert received.channel == "test"

    try:
        run(layer, main)
    finally:
        server.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_goes_away_between_two_calls(end: str, server: RedisServer, layer: RedisChannelLayer) -> None:
    layer.send("test", {})
    getattr(server, end)()
    with pytest.raises(LayerUnavailable) as error:
        layer.send("test", {})
    assert error.value.nothing_done  # an idle connection shows that it has ended, before anything is sent
    server.start()
    layer.send("test", {"number": 2})
    assert layer.receive(["test"]) == ("test", {"number": 2})


def test_was_away_between_two_calls(server: RedisServer, layer: RedisChannelLayer) -> None:
    layer.send("test", {})
    server.restart()
    layer.send("test", {"number": 2})
    assert layer.receive(["test"]) == ("test", {"number": 2})


def test_goes_away_between_two_calls_of_an_event_loop(server: RedisServer, layer: RedisChannelLayer) -> None:
    async def main() -> None:
        deliveries = [layer.prepare("test", {})]
        assert await layer.asend_batch(deliveries) == []
        await asyncio.to_thread(server.stop)
        with pytest.raises(LayerUnavailable) as error:
            await layer.asend_batch(deliveries)
        assert error.value.nothing_done
        await asyncio.to_thread(server.start)
        assert await layer.asend_batch(deliveries) == []
        await asyncio.to_thread(server.restart)
        assert await layer.asend_batch(deliveries) == []
        assert len(await layer.areceive_batch(["test"], 10, PATIENCE)) == 1

    run(layer, main)


def test_ctrl_c_while_several_servers_are_waited_on(server: RedisServer) -> None:
    def interrupt() -> None:
        wait_for_reader(server)
        wait_for_reader(second)
        os.kill(os.getpid(), signal.SIGINT)

    with RedisServer() as second:
        layer = RedisChannelLayer([server.url, second.url])
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            layer.receive_batch(["test"], 10, PATIENCE)
        thread.join()
        # No connection is left on which an answer is still to come.
        for number in range(4):
            layer.send("test", {"number": number})
            assert layer.receive(["test"]) == ("test", {"number": number})
        layer.close()


def test_goes_away_while_a_thread_waits(server: RedisServer, layer: RedisChannelLayer) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(layer.receive_batch, ["test"], 10, PATIENCE)
        wait_for_reader(server)
        server.kill()
        with pytest.raises(LayerUnavailable, match=r"^The connection to Redis at") as error:
            waiting.result(PATIENCE)
        assert not error.value.nothing_done
        server.start()
        waiting = pool.submit(layer.receive_batch, ["test"], 10, PATIENCE)
        wait_for_reader(server)
        layer.send("test", {"number": 1})
        assert [received.content for received in waiting.result(PATIENCE)] == [{"number": 1}]


def test_goes_away_while_an_event_loop_waits(server: RedisServer, layer: RedisChannelLayer) -> None:
    async def main() -> None:
        waiting = asyncio.ensure_future(layer.areceive_batch(["test"], 10, PATIENCE))
        await asyncio.to_thread(wait_for_reader, server)
        server.kill()
        with pytest.raises(LayerUnavailable, match=r"^The connection to Redis at"):
            await waiting
        await asyncio.to_thread(server.start)
        waiting = asyncio.ensure_future(layer.areceive_batch(["test"], 10, PATIENCE))
        await asyncio.to_thread(wait_for_reader, server)
        await asyncio.to_thread(layer.send, "test", {"number": 1})
        assert [received.content for received in await waiting] == [{"number": 1}]

    run(layer, main)


def test_one_of_three_goes_away(redis_servers: list[str], server: RedisServer, layer_on: LayerOn) -> None:
    layer = layer_on([*redis_servers[1:], server.url], prefix="outage:", stats_prefix="outage-meta:")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(layer.receive_batch, ["test"], 10, PATIENCE)
        wait_for_reader(server)
        server.kill()
        with pytest.raises(LayerUnavailable):
            waiting.result(PATIENCE)
        server.start()
        waiting = pool.submit(layer.receive_batch, ["test"], 10, PATIENCE)
        wait_for_reader(server)
        layer.send("test", {"number": 1})
        assert [received.content for received in waiting.result(PATIENCE)] == [{"number": 1}]
    layer.flush()


def test_the_scripts_are_flushed(server: RedisServer, layer: RedisChannelLayer) -> None:
    async def main() -> None:
        await layer.asend_batch([layer.prepare("test", {"number": 0})])
        for number in range(1, 3):
            with server.client() as client:
                client.script_flush()
            await layer.asend_batch([layer.prepare("test", {"number": number})])
        layer.group_add("group", "test")
        with server.client() as client:
            client.script_flush()
        layer.send_group("group", {"number": 3})
        with server.client() as client:
            client.script_flush()
        batch = await layer.areceive_batch(["test"], 10, PATIENCE)
        with server.client() as client:
            client.script_flush()
        batch += layer.receive_batch(["test"], 10)
        assert [received.content["number"] for received in batch] == [0, 1, 2, 3]

    run(layer, main)


def test_every_connection_is_cut(server: RedisServer, layer: RedisChannelLayer) -> None:
    layer.send("test", {"number": 1})
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert layer.receive(["test"]) == ("test", {"number": 1})


def test_members_are_told_to_a_server_that_has_lost_them(
    server: RedisServer, layer: RedisChannelLayer, caplog: pytest.LogCaptureFixture, layer_on: LayerOn
) -> None:
    other = layer_on([server.url])
    members = [f"test.process!{number}" for number in range(20)]
    for member in members:
        layer.group_add("group", member)
    assert layer.receive_batch(["test.process!"], 100) == []
    server.restart()
    assert other.group_channels("group") == []
    assert layer.receive_batch(["test.process!"], 100) == []
    assert "Redis has lost its data: telling it 20 group memberships again." in caplog.text
    other.send_group("group", {"number": 1})
    assert {received.channel for received in layer.receive_batch(["test.process!"], 100)} == set(members)
    assert sorted(other.group_channels("group")) == sorted(members)


def test_an_event_loop_tells_its_members_before_it_waits(server: RedisServer, layer: RedisChannelLayer) -> None:
    async def main() -> None:
        layer.group_add("group", "test.process!one")
        waiting = asyncio.ensure_future(layer.areceive_batch(["test.process!"], 10, 600))
        await asyncio.to_thread(wait_for_reader, server)
        await asyncio.to_thread(layer.send, "test.process!one", {})
        assert len(await waiting) == 1
        waiting = asyncio.ensure_future(layer.areceive_batch(["test.process!"], 10, 600))
        await asyncio.to_thread(wait_for_reader, server)
        await asyncio.to_thread(server.restart)
        with pytest.raises(LayerUnavailable):
            await waiting
        losses = layer.losses
        assert await layer.areceive_batch(["test.process!"], 10, 600) == []
        assert layer.losses == losses + 1
        assert await asyncio.to_thread(layer.group_channels, "group") == ["test.process!one"]
        waiting = asyncio.ensure_future(layer.areceive_batch(["test.process!"], 10, 600))
        await asyncio.to_thread(wait_for_reader, server)
        await asyncio.to_thread(layer.send_group, "group", {"number": 1})
        assert [(received.channel, received.content) for received in await waiting] == [
            ("test.process!one", {"number": 1})
        ]

    run(layer, main)


def test_members_are_told_again_when_telling_them_failed(server: RedisServer, layer: RedisChannelLayer) -> None:
    layer.group_add("group", "test.process!one")
    assert layer.receive_batch(["test.process!"], 10) == []
    server.restart()
    with server.client() as client:
        client.set("asgi:routes:group", "in the way")
        with pytest.raises(LayerUnavailable, match="WRONGTYPE"):
            layer.receive_batch(["test.process!"], 10)
        client.delete("asgi:routes:group")
    layer.receive_batch(["test.process!"], 10)
    assert layer.group_channels("group") == ["test.process!one"]


def test_a_flush_is_no_loss(server: RedisServer, layer: RedisChannelLayer, layer_on: LayerOn) -> None:
    other = layer_on([server.url])
    layer.group_add("group", "test.process!one")
    assert layer.receive_batch(["test.process!"], 10) == []
    other.flush()
    assert layer.receive_batch(["test.process!"], 10) == []
    assert other.group_channels("group") == []


# A server that comes back empty: clients go on, and members come first.


def test_ordered_clients_go_on_where_they_were(server: RedisServer, layer: RedisChannelLayer) -> None:
    first, second = "interface.test!first", "interface.test!second"
    for order in range(5):
        assert layer.enter_turn(Turn(first, order, "frames"), {"order": order})
        layer.send_batch([layer.end_of_turn(first, order)])
    server.restart()
    wait_until(lambda: works(layer))
    layer.resume_turns({first: 5, second: 0})
    assert not layer.enter_turn(Turn(first, 6, "frames"), {"order": 6})
    assert layer.enter_turn(Turn(first, 5, "frames"), {"order": 5})
    layer.send_batch([layer.end_of_turn(first, 5)])
    assert layer.receive(["frames"]) == ("frames", {"order": 6})
    # One that has just come begins with the first message, whoever is faster.
    assert not layer.enter_turn(Turn(second, 1, "frames"), {})
    assert layer.enter_turn(Turn(second, 0, "frames"), {})


def test_a_message_that_a_worker_had_in_its_hands_is_the_next_one(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    client = "interface.test!client"
    layer.enter_turn(Turn(client, 0, "frames"), {})
    server.restart()
    wait_until(lambda: works(layer))
    assert not layer.enter_turn(Turn(client, 4, "frames"), {"order": 4})
    layer.resume_turns({client: 6})
    assert layer.receive(["frames"]) == ("frames", {"order": 4})
    assert layer.enter_turn(Turn(client, 4, "frames"), {"order": 4})


def test_an_end_whose_beginning_is_lost(server: RedisServer, layer: RedisChannelLayer) -> None:
    """A handled message had its turn, so the next one does not wait for it."""
    client = "interface.test!client"
    layer.enter_turn(Turn(client, 0, "frames"), {})
    layer.send_batch([layer.end_of_turn(client, 0)])
    layer.enter_turn(Turn(client, 1, "frames"), {})
    with server.client() as at_server:
        # As a replica has it that has fallen behind.
        at_server.hset(f"asgi:turns:{client}", mapping={"next": 0, "lease": ""})
    assert not layer.enter_turn(Turn(client, 2, "frames"), {"order": 2})
    layer.send_batch([layer.end_of_turn(client, 1)])
    assert layer.receive(["frames"]) == ("frames", {"order": 2})


def test_resuming_changes_nothing_for_clients_whose_turns_are_known(layer: RedisChannelLayer) -> None:
    client = "interface.test!client"
    assert layer.enter_turn(Turn(client, 0, "frames"), {})
    layer.resume_turns({client: 5})
    assert not layer.enter_turn(Turn(client, 1, "frames"), {"order": 1})
    layer.send_batch([layer.end_of_turn(client, 0)])
    layer.resume_turns({client: 5})
    assert layer.receive(["frames"]) == ("frames", {"order": 1})
    assert layer.enter_turn(Turn(client, 1, "frames"), {"order": 1})


@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "event loop"])
def test_a_message_to_a_group_waits_for_its_members(
    server: RedisServer, layer: RedisChannelLayer, asynchronous: bool, layer_on: LayerOn
) -> None:
    """The sender is back before the process that holds the members is."""
    sender = layer_on([server.url])
    process = "interface.test!"
    layer.group_add("group", f"{process}one")
    layer.receive_batch([process], 10)
    sender.receive_batch(["work"], 10)
    server.kill()

    async def asend() -> None:
        try:
            await sender.asend_batch([sender.prepare_group("group", {"number": 1})])
        finally:
            await sender.aclose()

    def send() -> None:
        if asynchronous:
            asyncio.run(asend())
        else:
            sender.send_group("group", {"number": 1})

    with pytest.raises(LayerUnavailable):
        send()
    server.start()

    def is_sent() -> bool:
        try:
            send()
        except LayerUnavailable as error:
            failures.append(error)
            return False
        return True

    failures: list[LayerUnavailable] = []
    assert not is_sent()
    layer.repair()
    wait_until(is_sent)
    assert all(failure.nothing_done for failure in failures)
    assert [one.content for one in layer.receive_batch([process], 10)] == [{"number": 1}]


def works(layer: RedisChannelLayer) -> bool:
    try:
        layer.channel_statistics("test")
    except LayerUnavailable:
        return False
    return True
