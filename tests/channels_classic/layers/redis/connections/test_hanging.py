"""A Redis that hangs, and connections that break in unusual ways."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
import uvloop

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.layers.redis.connections.lines import DirectLine
from channels_classic.layers.redis.connections.thread_lines import SocketLine
from tests.conftest import LayerOn
from tests.redis_server import RedisServer

SECONDS = 0.5
"""How long a server may take for an answer here."""

LONG = 60.0
"""Nothing takes so long that is given up."""


@pytest.fixture
def quick(server: RedisServer) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer(
        [server.url], connection_kwargs={"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    )
    yield layer
    layer.close()


@contextmanager
def hanging(server: RedisServer) -> Iterator[None]:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def in_loop(layer: RedisChannelLayer, main: Callable[[], Any]) -> None:
    async def run() -> None:
        try:
            await asyncio.wait_for(main(), LONG)
        finally:
            await layer.aclose()

    uvloop.run(run())


def test_an_event_loop_gives_up(server: RedisServer, quick: RedisChannelLayer) -> None:
    """This also holds for a wait for messages, and if the connection has to be made first."""

    async def main() -> None:
        deliveries = [quick.prepare("interface.test!one", {"number": 1})]
        await quick.asend_batch(deliveries)
        await quick.areceive_batch(["interface.test!"], 10, 0)
        with hanging(server):
            for _ in range(2):
                with pytest.raises(LayerUnavailable, match="answer"):
                    await quick.asend_batch(deliveries)
                with pytest.raises(LayerUnavailable, match="answer"):
                    await quick.areceive_batch(["interface.test!"], 10, 0.2)
                with pytest.raises(LayerUnavailable, match="answer"):
                    await quick.arelease(["interface.test!one"])

    in_loop(quick, main)


def test_a_thread_gives_up(server: RedisServer, quick: RedisChannelLayer) -> None:
    quick.send("test", {})
    with hanging(server):
        for _ in range(2):
            with pytest.raises(LayerUnavailable, match="answer|[Tt]imeout"):
                quick.send("test", {})
            with pytest.raises(LayerUnavailable, match="answer|[Tt]imeout"):
                quick.receive_batch(["test"], 10, 0.2)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "event loop"])
def test_a_command_that_was_given_up_is_not_carried_out(
    server: RedisServer, quick: RedisChannelLayer, asynchronous: bool
) -> None:
    """It is still in the connection, and the server reads it when it goes on."""
    quick.send("test", {"number": 0})
    assert len(quick.receive_batch(["test"], 10)) == 1

    async def main() -> None:
        assert await quick.asend_batch([quick.prepare("test", {"number": 1})]) == []
        with hanging(server):
            with pytest.raises(LayerUnavailable):
                await quick.asend_batch([quick.prepare("test", {"number": 2})])
            await asyncio.sleep(2 * SECONDS)
        assert await quick.asend_batch([quick.prepare("test", {"number": 3})]) == []

    if asynchronous:
        in_loop(quick, main)
    else:
        quick.send("test", {"number": 1})
        with hanging(server):
            with pytest.raises(LayerUnavailable):
                quick.send("test", {"number": 2})
            time.sleep(2 * SECONDS)
        quick.send("test", {"number": 3})
    with server.client() as client:
        # The given-up command was read: the server has no other client with something to say.
        deadline = time.monotonic() + LONG
        while client.info("commandstats")["cmdstat_evalsha"]["calls"] < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
    numbers = [received.content["number"] for received in quick.receive_batch(["test"], 10)]
    assert numbers == [1, 3]


def test_a_wait_is_longer_than_an_answer_may_take(quick: RedisChannelLayer) -> None:
    assert quick.receive_batch(["test"], 10, 3 * SECONDS) == []

    async def main() -> None:
        assert await quick.areceive_batch(["interface.test!"], 10, 3 * SECONDS) == []

    in_loop(quick, main)


class ResettingProxy:
    """Passes everything on, and can end its connections by a reset (RST), as a firewall does."""

    def __init__(self, target: RedisServer) -> None:
        self._target = (target.host, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(2**16):
                sink.sendall(data)
        except OSError:
            pass

    def reset(self) -> None:
        for one in self._open:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                one.shutdown(socket.SHUT_RD)
            except OSError:
                pass
            one.close()
        self._open.clear()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # to close it alone would not end the wait for a client
        self._accepting.join()
        self._listener.close()
        self.reset()


def test_an_idle_connection_that_is_reset(server: RedisServer, layer_on: LayerOn) -> None:
    """uvloop raises a RuntimeError when such a connection is written to."""
    proxy = ResettingProxy(server)
    layer = layer_on([proxy.url])

    async def main() -> None:
        for number in range(20):
            deliveries = [layer.prepare("test", {"number": number})]
            for attempt in range(3):
                try:
                    assert await layer.asend_batch(deliveries) == []
                    break
                except LayerUnavailable:
                    assert attempt < 2
            proxy.reset()
            await asyncio.sleep(0.01 * (number % 3))

    in_loop(layer, main)
    for number in range(5):
        for attempt in range(3):
            try:
                layer.send("test", {"number": number})
                break
            except LayerUnavailable:
                assert attempt < 2
        proxy.reset()
    proxy.close()


class Unforeseen(Exception):
    """An error that nobody has thought of."""


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        (SocketLine, "send"),
        (SocketLine, "read"),
        (redis.connection.Connection, "connect"),
        (DirectLine, "send"),
        (DirectLine, "read"),
        (redis.asyncio.connection.Connection, "connect"),
    ],
)
def test_an_unexpected_error(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, kind: type, where: str, layer_on: LayerOn
) -> None:
    """It becomes a ``LayerUnavailable`` with its text, and the connection is not used again."""
    layer = layer_on([server.url])
    asynchronous = kind in (DirectLine, redis.asyncio.connection.Connection)
    deliveries = [layer.prepare("test", {})]

    def fail(*_: Any, **__: Any) -> Any:
        raise Unforeseen("the sky fell down")

    async def main() -> None:
        if where != "connect":
            await layer.asend_batch(deliveries)
        with monkeypatch.context() as patch:
            patch.setattr(kind, where, fail)
            with pytest.raises(LayerUnavailable, match="the sky fell down") as error:
                await layer.asend_batch(deliveries)
            assert error.value.nothing_done is (where == "connect")
        assert await layer.asend_batch(deliveries) == []

    if asynchronous:
        in_loop(layer, main)
    else:
        if where != "connect":
            layer.send_batch(deliveries)
        with monkeypatch.context() as patch:
            patch.setattr(kind, where, fail)
            with pytest.raises(LayerUnavailable, match="the sky fell down") as error:
                layer.send_batch(deliveries)
            assert error.value.nothing_done is (where == "connect")
        assert layer.send_batch(deliveries) == []
