"""The Redis layer whose servers are found through Redis Sentinel: real sentinels and real masters."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from channels_classic.layers import LayerUnavailable, RedisSentinelChannelLayer
from tests.ports import free_port
from tests.redis_sentinel import PATIENCE, Sentinel, wait_until
from tests.redis_server import RedisServer


@pytest.fixture
def masters() -> Iterator[dict[str, RedisServer]]:
    with RedisServer() as first, RedisServer() as second:
        yield {"first": first, "second": second}


@pytest.fixture
def sentinel(tmp_path: Path, masters: dict[str, RedisServer]) -> Iterator[Sentinel]:
    with Sentinel(tmp_path, masters) as sentinel:
        yield sentinel


def exchange(layer: RedisSentinelChannelLayer) -> None:
    """Send all kinds of messages through all servers."""
    for number in range(20):
        layer.send("test", {"number": number})
        layer.send(f"test?{number}", {"number": number})
        layer.group_add(f"group{number}", f"test.process!{number}")
        layer.send_group(f"group{number}", {"number": number})
    batch = []
    while more := layer.receive_batch(["test", "test.process!", *[f"test?{number}" for number in range(20)]], 100):
        batch += more
    assert sorted(received.content["number"] for received in batch) == sorted([*range(20)] * 3)


@pytest.mark.parametrize("as_url", [False, True], ids=["pair", "url"])
def test_all_masters_are_found(as_url: bool, sentinel: Sentinel, masters: dict[str, RedisServer]) -> None:
    host = f"redis://127.0.0.1:{sentinel.port}" if as_url else ("127.0.0.1", sentinel.port)
    layer = RedisSentinelChannelLayer([("127.0.0.1", free_port()), host])
    exchange(layer)
    for server in masters.values():
        with server.client() as client:
            assert client.exists("asgi-meta:totals")
    layer.close()


def test_only_the_services_named(sentinel: Sentinel, masters: dict[str, RedisServer]) -> None:
    layer = RedisSentinelChannelLayer(
        [("127.0.0.1", sentinel.port)], services=["second"], sentinel_refresh_interval=0.01
    )
    exchange(layer)
    time.sleep(0.02)  # until the sentinels have to be asked again
    exchange(layer)
    with masters["first"].client() as client:
        assert client.dbsize() == 0
    layer.close()


def test_from_an_event_loop(sentinel: Sentinel) -> None:
    layer = RedisSentinelChannelLayer([("127.0.0.1", sentinel.port)])

    async def main() -> None:
        assert await layer.asend_batch([layer.prepare("test.process!one", {"number": 1})]) == []
        (received,) = await layer.areceive_batch(["test.process!"], 10, PATIENCE)
        assert received.content == {"number": 1}
        await layer.aclose()

    asyncio.run(main())
    layer.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_thread_listens_for_a_loop_that_was_closed_without_being_shut_down(sentinel: Sentinel) -> None:
    layer = RedisSentinelChannelLayer([("127.0.0.1", sentinel.port)])
    loop = asyncio.new_event_loop()
    loop.run_until_complete(layer.asend_batch([layer.prepare("test", {})]))
    loop.close()
    layer.close()
    del loop
    gc.collect()  # of what the loop has left open, while that is expected
    wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("sentinel ")], "the end")


def test_a_service_that_nobody_knows(sentinel: Sentinel) -> None:
    layer = RedisSentinelChannelLayer([("127.0.0.1", sentinel.port)], services=["third"])
    with pytest.raises(LayerUnavailable, match="'third'") as error:
        layer.send("test", {})
    assert error.value.nothing_done
    layer.close()  # or its thread would go on to listen, and to log


def test_no_sentinel_answers() -> None:
    port = free_port()
    with pytest.raises(LayerUnavailable, match=rf"No sentinel knows a master \(127.0.0.1:{port}: ") as error:
        RedisSentinelChannelLayer([("127.0.0.1", port)]).send("test", {})
    assert error.value.nothing_done


def test_a_sentinel_without_masters(tmp_path: Path) -> None:
    with Sentinel(tmp_path, {}) as sentinel, pytest.raises(LayerUnavailable, match="knows of no master"):
        RedisSentinelChannelLayer([("127.0.0.1", sentinel.port)]).send("test", {})


@pytest.mark.parametrize("hosts", ["redis://localhost:26379", {"host": "localhost"}])
def test_a_bare_sentinel_is_refused(hosts: Any) -> None:
    with pytest.raises(ValueError, match="hosts must be a list"):
        RedisSentinelChannelLayer(hosts)


def test_a_bare_service_is_refused() -> None:
    with pytest.raises(ValueError, match="services must be a list"):
        RedisSentinelChannelLayer([("localhost", 26379)], services="first")


@pytest.mark.parametrize("host", [6379, ("localhost",), ("localhost", "port")])
def test_an_invalid_sentinel(host: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a \(host, port\) pair or a redis:// URL"):
        RedisSentinelChannelLayer([host])


@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "event loop"])
@pytest.mark.parametrize("hangs", [False, True], ids=["ends", "hangs"])
def test_another_server_becomes_the_master(tmp_path: Path, hangs: bool, asynchronous: bool) -> None:
    """The old one may keep its connections open, and answer nothing."""
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer())
        replica = stack.enter_context(RedisServer())
        with replica.client() as client:
            client.replicaof(master.host, master.port)
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica")
        sentinel = stack.enter_context(Sentinel(tmp_path, {"service": master}))
        with sentinel.client() as client:
            # Watched from the first second on: a sentinel learns of replicas by asking the master now and then.
            wait_until(
                lambda: client.sentinel_masters()["service"]["num-slaves"] == 1, "the sentinel to know the replica"
            )
            layer = RedisSentinelChannelLayer(
                [("127.0.0.1", sentinel.port)],
                connection_kwargs={"socket_timeout": 1, "socket_connect_timeout": 1},
            )
            stack.callback(layer.close)
            exchange(layer)
            if hangs:
                assert master.pid is not None
                os.kill(master.pid, signal.SIGSTOP)
                stack.callback(os.kill, master.pid, signal.SIGCONT)
            else:
                master.kill()
            wait_until(
                lambda: client.sentinel_masters()["service"]["port"] == replica.port,
                "the failover",
            )

        def sent() -> bool:
            if not asynchronous:
                layer.send("moved", {"number": 1})
                return True

            async def main() -> None:
                try:
                    await layer.asend_batch([layer.prepare("moved", {"number": 1})])
                finally:
                    await layer.aclose()

            asyncio.run(main())
            return True

        wait_until(sent, "the layer to follow")
        received = []

        def is_received() -> bool:
            received.append(layer.receive(["moved"], block=True))
            return True

        # A thread's connection may still lead to the old master: it is found out by the first call.
        wait_until(is_received, "threads to follow")
        assert received == [("moved", {"number": 1})]
        with replica.client() as client:
            assert client.exists("asgi-meta:queue:moved")
        exchange(layer)


def test_one_thread_listens_to_each_sentinel(sentinel: Sentinel) -> None:
    """The threads run until threads and event loops have closed the layer, and run again when it is used."""

    def listeners() -> int:
        return sum(thread.name == f"sentinel 127.0.0.1:{sentinel.port}" for thread in threading.enumerate())

    layer = RedisSentinelChannelLayer([("127.0.0.1", sentinel.port)])
    assert listeners() == 0

    async def main() -> None:
        await layer.asend_batch([layer.prepare("test", {})])
        assert listeners() == 1
        layer.send("test", {})
        layer.close()
        assert listeners() == 1

    for _ in range(2):
        asyncio.run(main())
        wait_until(lambda: listeners() == 0, "the thread to end")


def test_sentinels_with_a_password(tmp_path: Path, masters: dict[str, RedisServer]) -> None:
    with Sentinel(tmp_path, masters) as sentinel, sentinel.client() as client:
        client.execute_command("ACL", "SETUSER", "listener", "on", ">secret", "allchannels", "+@all")
        layer = RedisSentinelChannelLayer(
            [("127.0.0.1", sentinel.port)],
            connection_kwargs={"sentinel_kwargs": {"username": "listener", "password": "secret"}},
        )
        exchange(layer)
        wait_until(lambda: "user=listener" in str(client.execute_command("CLIENT", "LIST")), "a subscription")
        subscribers = [one for one in str(client.execute_command("CLIENT", "LIST")).splitlines() if "sub=3" in one]
        assert subscribers
        layer.close()
