"""New servers take over from old ones under load: nobody is refused, and no frame is lost."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually
from tests.interface_server.program.served import Serve, is_refused
from tests.programs import is_alive
from tests.project import DEADLINE
from tests.redis_server import free_port

SOCKETS = 20

UNANSWERED = 10
"""Frames that a client sends before the first of them is answered. Without a bound, a busy machine would take
longer to work them off than a server has to stop."""


class Load:
    """Clients that send frames, and others that make requests on a new connection each, until ``stop``."""

    def __init__(self, url: str) -> None:
        self.sent: set[str] = set()
        """Frames that were sent before the client had seen its socket close."""
        self.closes: list[tuple[int, int]] = []
        """The client and the code of each socket that the server closed."""
        self.answers = 0
        self.failures: list[str] = []
        self.has_sent_all = False
        self._url = url
        self._stopping = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(SOCKETS):
                group.create_task(self._chat(number))
            group.create_task(self._browse())

    async def _chat(self, client: int) -> None:
        number = 0
        while not self._stopping:
            try:
                async with connect(
                    self._url.replace("http", "ws", 1) + "/socket/", proxy=None, open_timeout=DEADLINE
                ) as socket:
                    unanswered = 0
                    while not self._stopping:
                        if unanswered < UNANSWERED and not self.has_sent_all:
                            await socket.send(f"{client}:{number}")
                            self.sent.add(f"{client}:{number}")
                            number += 1
                            unanswered += 1
                        with suppress(TimeoutError):
                            await asyncio.wait_for(socket.recv(), 0.02)
                            unanswered -= 1
            except ConnectionClosed as error:
                self.closes.append((client, error.rcvd.code if error.rcvd else 0))
            except Exception as error:
                self.failures.append(repr(error))

    async def _browse(self) -> None:
        host, port = self._url.removeprefix("http://").split(":")
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /page/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = await reader.read(-1)
                writer.close()
            except OSError as error:
                self.failures.append(repr(error))
            else:
                self.answers += 1
                if not answer.startswith(b"HTTP/1.1 200 "):
                    self.failures.append(repr(answer))
            await asyncio.sleep(0.002)


@contextmanager
def load(url: str, backend: Backend) -> Iterator[Load]:
    """Run the load during the block. Afterwards each sent frame must have come once."""
    clients = Load(url)
    try:
        eventually(lambda: len(clients.sent) > 10 * SOCKETS and clients.answers)
        yield clients
        # Of a client that leaves while its channel is full the last frames may be dropped: these wait.
        clients.has_sent_all = True
        eventually(lambda: clients.sent <= set(frames(backend)))
    finally:
        clients.stop()
    assert len(frames(backend)) == len(set(frames(backend)))
    assert clients.failures == []
    # Of each socket all frames came, in order, and one disconnect that says which frame was the last.
    eventually(lambda: len(of(backend, "websocket.disconnect")) == len(of(backend, "websocket.connect")))
    orders: dict[object, list[object]] = {}
    for channel in ("websocket.receive", "websocket.disconnect"):
        for content in of(backend, channel):
            orders.setdefault(content["reply_channel"], []).append(content["order"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in orders.values())


def close_code(client: ClientConnection) -> int | None:
    """The code with which the server closes the socket, behind its last frames."""
    try:
        while True:
            client.recv(DEADLINE)
    except ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else None


def of(backend: Backend, channel: str) -> list[dict[str, object]]:
    return [content for name, content in list(backend.received) if name == channel]


def frames(backend: Backend) -> list[object]:
    return [content["text"] for content in of(backend, "websocket.receive")]


def test_a_second_server_takes_the_port_over(serve: Serve, backend: Backend) -> None:
    port = ("--port", str(free_port()))
    served = serve("--reuse-port", "--drain", "0.5", port=port, log="0.txt")
    with load(served.url, backend) as clients:
        for number in (1, 2):
            successor = serve("--reuse-port", "--drain", "0.5", port=port, log=f"{number}.txt")
            assert served.stop() == 0
            assert "Traceback" not in served.program.log
            eventually(lambda number=number: len(clients.closes) == number * SOCKETS)
            before = clients.answers
            eventually(lambda before=before: clients.answers > before)
            served = successor
    assert {code for _, code in clients.closes} == {1012}


def test_a_supervisor_renews_its_processes_under_load(serve: Serve, backend: Backend) -> None:
    served = serve("--processes", 2, processes=2)
    with load(served.url, backend) as clients:
        former = served.pids
        served.program.process.send_signal(signal.SIGHUP)
        eventually(lambda: not any(is_alive(pid) for pid in former))
        # A client may come back to the other one of the old processes, and have to leave again.
        eventually(lambda: len({client for client, _ in clients.closes}) == SOCKETS)
        assert {code for _, code in clients.closes} == {1012}
    assert served.stop() == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_frames_that_wait_for_a_full_channel_are_run(serve: Serve, redis_url: str, processes: int) -> None:
    """Frames of a client wait in the server, because nobody takes them, when the server stops."""
    served = serve("--processes", processes, processes=processes)
    with ExitStack() as clients:
        with Backend(redis_url):
            client = clients.enter_context(served.connect())
        for number in range(400):
            client.send(str(number))
        served.program.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(served))
        with Backend(redis_url) as backend:
            assert close_code(client) == 1012
            assert served.program.process.wait(DEADLINE) == 0
            goodbye = backend.wait_for("websocket.disconnect")
            # It is on another channel, and may be received before the last frames.
            eventually(lambda: len(frames(backend)) >= 400)
    assert frames(backend) == [str(number) for number in range(400)]
    assert (goodbye["order"], goodbye["code"]) == (401, 1012)


def test_a_socket_that_the_parent_opened(serve: Serve, backend: Backend, tmp_path: Path, redis_url: str) -> None:
    """systemd does this. A client that comes while no server is there waits for the next one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        handed_over = {"pass_fds": [listening.fileno()], "port": ("--fd", listening.fileno())}
        first = serve(**handed_over)
        with load(first.url, backend) as clients:
            assert first.stop() == 0
            answers = clients.answers
            second = serve(log="second.txt", **handed_over)
            eventually(lambda: clients.answers > answers)
            eventually(lambda: len(clients.closes) == SOCKETS)
        assert second.stop() == 0


def test_the_drain_time_is_part_of_the_time_to_stop(serve: Serve, backend: Backend) -> None:
    served = serve("--drain", "1.5", "--shutdown-timeout", "0.3")
    with ExitStack() as clients:
        sockets = [clients.enter_context(served.connect()) for _ in range(4)]
        served.program.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(served))
        assert [close_code(client) for client in sockets] == [1012] * 4
    assert served.program.process.wait(DEADLINE) == 0
