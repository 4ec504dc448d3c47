"""A Redis that refuses commands for a while: nothing was done, and the error tells what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.layers.redis.scripts import SCRIPTS
from tests.channels_classic.layers.redis.connections.resp_server import RespServer
from tests.conftest import LayerOn
from tests.redis_server import RedisServer

REFUSALS = {
    "READONLY You can't write against a read only replica.": "replica",
    "READONLY You can't write against a read only replica. script: abc, on @user_script:9.": "replica",
    "ERR Error running script (call to f_abc): @user_script:9: -READONLY You can't write": "replica",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "lost its master",
    "LOADING Redis is loading the dataset in memory": "loading",
    "MISCONF Redis is configured to save RDB snapshots, but is unable to persist on disk.": "cannot save",
    "MISCONF Errors writing to the AOF file: No space left. script: abc, on @user_script:9.": "cannot save",
    "NOREPLICAS Not enough good replicas to write.": "min-replicas-to-write",
    "CLUSTERDOWN Hash slot not served": "cluster that is down",
    "TRYAGAIN Multiple keys request during rehashing of slot": "moving these keys",
    "CROSSSLOT Keys in request don't hash to the same slot": "hash tag",
    "MOVED 3999 127.0.0.1:6381": "another server of it",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": "SCRIPT KILL",
    "OOM command not allowed when used memory > 'maxmemory'.": "is full",
    "NOAUTH Authentication required.": "password",
}

UNSURE = {
    "WRONGTYPE Operation against a key holding the wrong kind of value script: abc, on @user_script:9.": "prefix",
    "NOPERM this user has no permissions to run the 'rpush' command script: abc, on @user_script:9.": "ACL",
    "ERR something that nobody has heard of": "nobody has heard of",
}


def answering(refusal: str) -> Any:
    """A server that works until a message is sent."""

    def answer(command: list[bytes]) -> bytes:
        name = command[0].upper()
        if name == b"EVALSHA":
            return f"-{refusal}\r\n".encode()
        if name == b"SCRIPT":
            number = list(SCRIPTS.values()).index(command[2])
            return b"$40\r\n%040d\r\n" % number
        if name == b"INFO":
            return b"$0\r\n\r\n"
        return b"+OK\r\n"

    return RespServer(answer)


def send(layer: RedisChannelLayer, asynchronous: bool) -> None:
    deliveries = [layer.prepare("test", {})]
    if not asynchronous:
        layer.send_batch(deliveries)
        return

    async def main() -> None:
        try:
            await layer.asend_batch(deliveries)
        finally:
            await layer.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "event loop"])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_nothing_was_done(refusal: str, asynchronous: bool) -> None:
    with answering(refusal) as server:
        layer = RedisChannelLayer([server.url], connection_kwargs={"protocol": 2})
        for _ in range(2):
            with pytest.raises(LayerUnavailable, match=REFUSALS[refusal]) as error:
                send(layer, asynchronous)
            assert error.value.nothing_done
        layer.close()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "event loop"])
@pytest.mark.parametrize("refusal", UNSURE)
def test_a_script_may_have_done_a_part(refusal: str, asynchronous: bool) -> None:
    with answering(refusal) as server:
        layer = RedisChannelLayer([server.url], connection_kwargs={"protocol": 2})
        with pytest.raises(LayerUnavailable, match=UNSURE[refusal]) as error:
            send(layer, asynchronous)
        assert not error.value.nothing_done
        layer.close()


@pytest.fixture
def replica(server: RedisServer) -> Iterator[RedisServer]:
    with RedisServer() as replica:
        yield replica


@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "event loop"])
def test_a_master_that_was_demoted_is_left(
    server: RedisServer, replica: RedisServer, asynchronous: bool, layer_on: LayerOn
) -> None:
    """Its connections still work, but are closed, so that the address is looked up again."""
    layer = layer_on([server.url])
    layer.send("test", {})
    deliveries = [layer.prepare("test", {})]

    async def main() -> None:
        await layer.asend_batch(deliveries)
        with server.client() as client:
            client.replicaof(replica.host, replica.port)
        with pytest.raises(LayerUnavailable, match="replica") as error:
            await layer.asend_batch(deliveries)
        assert error.value.nothing_done
        assert layer._transport._of_loops.get()[0]._idle == []
        with server.client() as client:
            client.replicaof("NO", "ONE")
        assert await layer.asend_batch(deliveries) == []
        await layer.aclose()

    if asynchronous:
        asyncio.run(main())
    else:
        with server.client() as client:
            client.replicaof(replica.host, replica.port)
        with pytest.raises(LayerUnavailable, match="replica") as error:
            layer.send_batch(deliveries)
        assert error.value.nothing_done
        assert layer._transport.servers[0]._idle == []
        with server.client() as client:
            client.replicaof("NO", "ONE")
        assert layer.send_batch(deliveries) == []


def test_a_master_without_replicas(server: RedisServer, layer: RedisChannelLayer) -> None:
    """A real master refuses writes. Nothing was done, and the layer goes on afterwards."""
    with server.client() as client:
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(LayerUnavailable, match="min-replicas-to-write") as error:
            layer.set_value("name", b"value", 60, replace=False)
        assert error.value.nothing_done
        client.config_set("min-replicas-to-write", 0)
    assert layer.set_value("name", b"value", 60, replace=False)
