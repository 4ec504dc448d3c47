"""The server by itself, with an echo of lines, and how it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from interface_server.asgi_types import Application
from interface_server.transport.lifespan import StartupFailed
from interface_server.transport.server import Server, ServerFailed, ServerSettings
from tests.interface_server.hosted import eventually
from tests.interface_server.transport.served import Served


class Echo(asyncio.Protocol):
    """Answers each line. Between ``hold`` and ``release`` it is busy."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.is_busy = False
        self.told = False

    def __str__(self) -> str:
        return "ECHO"

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.is_busy = data == b"hold\n" or (self.is_busy and data != b"release\n")
        self.transport.write(data)
        if self.told and not self.is_busy:
            self.transport.close()

    def shutdown(self) -> None:
        self.told = True
        if not self.is_busy:
            self.transport.close()

    def abort(self) -> None:
        self.transport.abort()


class Life:
    """An application that records its lifespan, and can die on demand."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.death: Callable[[], None] = lambda: None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.events.append((await receive())["type"])
        await send({"type": "lifespan.startup.complete"})
        loop, dying = asyncio.get_running_loop(), asyncio.Event()
        self.death = lambda: loop.call_soon_threadsafe(dying.set)
        waits = [asyncio.ensure_future(dying.wait()), asyncio.ensure_future(receive())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if dying.is_set():
            raise RuntimeError("out of luck")
        self.events.append(waits[1].result()["type"])
        await send({"type": "lifespan.shutdown.complete"})


def run(application: Application, **settings: Any) -> Served:
    return Served(application, Echo, **settings)


def greeted(running: Served) -> socket.socket:
    client = running.connect()
    client.sendall(b"hello\n")
    assert client.recv(100) == b"hello\n"
    return client


def refuses(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) != 0


def test_it_serves_and_stops_in_order() -> None:
    life = Life()
    running = run(life)
    with greeted(running) as idle, greeted(running) as busy:
        busy.sendall(b"hold\n")
        assert busy.recv(100) == b"hold\n"
        running.server.stop()
        running.server.stop()
        assert idle.recv(100) == b""
        eventually(lambda: refuses(running.address))
        assert life.events == ["lifespan.startup"]
        assert running.server.describe_running() == "ECHO"
        busy.sendall(b"release\n")
        assert busy.recv(100) == b"release\n"
        assert busy.recv(100) == b""
    assert running.join() is None
    assert life.events == ["lifespan.startup", "lifespan.shutdown"]


def test_what_does_not_finish_is_cut_off_and_named() -> None:
    life = Life()
    running = run(life, shutdown_timeout=0.1)
    with greeted(running) as busy:
        busy.sendall(b"hold\n")
        assert busy.recv(100) == b"hold\n"
        running.server.stop()
        with pytest.raises((ConnectionResetError, AssertionError)):
            assert busy.recv(100) != b""
    error = running.join()
    assert isinstance(error, ServerFailed)
    assert str(error) == "Cut off after 0.1 s: ECHO."
    assert life.events == ["lifespan.startup", "lifespan.shutdown"]


def test_it_stops_when_the_application_dies() -> None:
    life = Life()
    running = run(life)
    with greeted(running) as client:
        life.death()
        assert client.recv(100) == b""
    error = running.join()
    assert isinstance(error, ServerFailed)
    assert str(error) == "The application died: RuntimeError('out of luck')"


def test_a_stop_before_the_start() -> None:
    server = Server(Life(), ServerSettings(), Echo)
    server.stop()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server.run([sock])


async def no_lifespan(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError(f"{scope['type']} is not served")


async def no_answer(scope: Any, receive: Any, send: Any) -> None:
    await receive()


@pytest.mark.parametrize("application", [no_lifespan, no_answer])
def test_an_application_without_lifespan(application: Application) -> None:
    running = run(application)
    greeted(running).close()
    running.server.stop()
    assert running.join() is None


async def says_no(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def raises(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    raise RuntimeError("no database")


@pytest.mark.parametrize("application", [says_no, raises])
def test_an_application_that_cannot_start(application: Application) -> None:
    running = run(application)
    error = running.join()
    assert isinstance(error, StartupFailed)
    assert "no database" in str(error)


def test_another_server_that_listens_first() -> None:
    """Both could bind the port, because none listened yet."""
    application = Life()
    server = Server(application, ServerSettings(), Echo)
    with socket.socket() as first, socket.socket() as second:
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(first.getsockname() if sock is second else ("127.0.0.1", 0))
        first.listen()
        with pytest.raises(ServerFailed, match="Cannot listen: Address already in use"):
            server.run([second], server.stop)
    assert application.events == ["lifespan.startup", "lifespan.shutdown"]
