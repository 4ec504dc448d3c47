"""An interface server is killed: others send the goodbyes of its sockets, and nothing of it is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from channels_classic.layers.redis.scripts import SCRIPTS
from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually
from tests.interface_server.program.served import Serve, in_a_thread
from tests.programs import running
from tests.project import DEADLINE
from tests.redis_proxy import Cut, RedisProxy

SOCKETS = 100

GOODBYE = hashlib.sha1(SCRIPTS["goodbye"]).hexdigest().encode()
"""Is in each call of the script that sends the wills of sockets."""


def test_a_server_with_a_hundred_sockets_is_killed(serve: Serve, backend: Backend, redis_url: str) -> None:
    served = serve()
    witness = serve(log="witness.txt")

    async def chat(number: int) -> ClientConnection:
        socket = await connect(
            served.url.replace("http", "ws", 1) + f"/{number}", proxy=None, open_timeout=DEADLINE
        )
        for frame in range(number % 5):
            await socket.send(str(frame))
            assert await asyncio.wait_for(socket.recv(), DEADLINE) == str(frame)
        return socket

    async def scenario() -> None:
        sockets = await asyncio.gather(*[chat(number) for number in range(SOCKETS)])
        served.program.process.send_signal(signal.SIGKILL)
        for socket in sockets:
            try:
                await asyncio.wait_for(socket.recv(), DEADLINE)
            except ConnectionClosed:
                pass
            await socket.close()

    asyncio.run(scenario())
    backend.layer.group_add("room", backend.wait_for("websocket.connect")["reply_channel"])
    goodbyes = eventually(lambda: len(got := of(backend, "websocket.disconnect")) == SOCKETS and got)
    assert {content["code"] for content in goodbyes} == {1006}
    # In order behind the last frame, once each.
    frames = Counter(content["path"] for content in of(backend, "websocket.receive"))
    assert {content["path"]: content["order"] for content in goodbyes} == {
        f"/{number}": frames[f"/{number}"] + 1 for number in range(SOCKETS)
    }
    name = goodbyes[0]["reply_channel"].partition("!")[0]
    witness.program.wait(f"{name} (process {served.pids[0]}")
    with redis.Redis.from_url(redis_url) as client:
        eventually(lambda: keys_of(client, name) == [])
        assert name.encode() not in client.hkeys("asgi:processes")
        assert name.encode() not in client.zrange("asgi:beats", 0, -1)
    assert len(of(backend, "websocket.disconnect")) == SOCKETS
    assert witness.stop() == 0
    with redis.Redis.from_url(redis_url) as client:
        assert client.hkeys("asgi:processes") == []


def test_a_sweep_that_is_killed_half_way(serve: Serve, backend: Backend, redis_url: str) -> None:
    """The sweeper is killed while Redis sends the goodbyes, and hears of none. Another process finishes."""
    dying: list[int] = []

    def cut(trip: bytes) -> Cut:
        if GOODBYE not in trip or not dying:
            return None
        os.kill(dying.pop(), signal.SIGKILL)
        return "after"

    served = serve()
    with RedisProxy(redis_url, cut) as proxy, ExitStack() as stack:
        sweeper = serve(layer=("--redis", proxy.url), log="sweeper.txt")
        for number in range(10):
            stack.enter_context(served.connect(f"/{number}"))
        dying += sweeper.pids
        served.program.process.send_signal(signal.SIGKILL)
        assert sweeper.program.process.wait(DEADLINE) == -signal.SIGKILL
        name = backend.wait_for("websocket.disconnect")["reply_channel"].partition("!")[0]
        witness = serve(log="witness.txt")
        witness.program.wait(f"{name} (process {served.pids[0]}")
    with redis.Redis.from_url(redis_url) as client:
        eventually(lambda: keys_of(client, name) == [])
    goodbyes = of(backend, "websocket.disconnect")
    assert sorted(content["path"] for content in goodbyes) == [f"/{number}" for number in range(10)]


def of(backend: Backend, channel: str) -> list[dict[str, str]]:
    return [content for name, content in list(backend.received) if name == channel]


def keys_of(client: redis.Redis, process: str) -> list[bytes]:
    """The keys with the name of a process, without the turns of its clients, which stay for a moment."""
    return [key for key in client.scan_iter(f"*{process}*") if b":value:" not in key]


WORKER = """
import time
from channels_classic.processes.heartbeat import new_process
from channels_classic.layers import RedisChannelLayer

layer = RedisChannelLayer(hosts=[{url!r}])
process = new_process("worker", threads=1)
layer.beat(process)
print("ready", flush=True)
layer.receive_batch(["http.request"], 1, 60, layer.taker(process.name, 0))
print("taken", flush=True)
time.sleep(600)
"""
"""Takes a request, and is killed while it answers it."""


def test_a_client_of_a_worker_that_was_killed_gets_502(serve: Serve, redis_url: str, tmp_path: Path) -> None:
    """The interface server itself sweeps the worker, because there is no other process."""
    served = serve()
    command = [sys.executable, "-c", WORKER.format(url=redis_url)]
    with running(command, tmp_path, "worker.txt") as worker:
        worker.wait("ready")
        with in_a_thread(lambda: served.get("/slow")) as response:
            worker.wait("taken")
            worker.process.kill()
            assert response().status_code == 502
    served.program.wait("lost while they ran: http.request /slow.")
