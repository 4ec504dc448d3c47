"""While no process serves, clients get 503 at once."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from interface_server.program.tls import tls_context
from interface_server.program.vacancy import Vacancy
from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually, read_response
from tests.interface_server.program.served import Serve, is_refused
from tests.project import DEADLINE


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def ask(address: tuple[str, int], data: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") -> socket.socket:
    client = socket.create_connection(address, DEADLINE)
    try:
        client.sendall(data)
    except OSError:
        client.close()
        raise
    return client


def received(client: socket.socket) -> bytes:
    """The bytes that the client gets; none if its connection is reset."""
    try:
        return client.recv(100)
    except ConnectionResetError:
        return b""


def test_it_answers_only_while_nobody_serves(listening: socket.socket) -> None:
    address = listening.getsockname()
    vacancy = Vacancy(listening)
    for _ in range(2):
        vacancy.ready(1)
        with ask(address):
            taken, _ = listening.accept()  # by the one who serves
            assert taken.recv(1) == b"G"
            taken.close()
        vacancy.ready(0)
        vacancy.ready(0)
        for _ in range(3):
            with ask(address) as client:
                response, body = read_response(client)
                assert (response.status, response.getheader("connection")) == (503, "close")
                assert b"No process" in body
    vacancy.close()
    with pytest.raises(ConnectionRefusedError):
        ask(address)


def test_before_the_first_process_is_ready_it_does_nothing(listening: socket.socket) -> None:
    vacancy = Vacancy(listening)
    vacancy.ready(0)
    with ask(listening.getsockname()):
        taken, _ = listening.accept()
        taken.close()
    vacancy.close()


def test_it_leaves_no_file_open(listening: socket.socket) -> None:
    before = os.listdir("/proc/self/fd")
    vacancy = Vacancy(listening.dup())
    vacancy.ready(1)
    vacancy.ready(0)
    vacancy.close()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("is_tls", [False, True])
def test_clients_that_say_nothing_or_are_not_understood(
    listening: socket.socket, is_tls: bool, certificate: tuple[Path, Path]
) -> None:
    address = listening.getsockname()
    vacancy = Vacancy(listening, tls_context(*map(str, certificate), "secret", None, None) if is_tls else None)
    vacancy.ready(1)
    vacancy.ready(0)
    silent = socket.create_connection(address, DEADLINE)
    ask(address).close()
    with ask(address) as client:
        answer = received(client)
        assert b"HTTP" not in answer if is_tls else answer.startswith(b"HTTP/1.1 503 ")
    if is_tls:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        url = f"https://127.0.0.1:{address[1]}/"
        assert httpx.get(url, verify=trusting, trust_env=False, timeout=DEADLINE).status_code == 503
    assert silent.recv(1) == b""
    silent.close()
    vacancy.close()


def test_processes_that_cannot_be_replaced(serve: Serve, backend: Backend, tmp_path: Path, redis_url: str) -> None:
    good = f"from channels_classic.layers import RedisChannelLayer as L\nlayer = L(hosts=[{redis_url!r}])\n"
    (tmp_path / "site_layer.py").write_text(good)
    served = serve("--processes", 2, layer=("site_layer:layer",), processes=2)
    assert served.get("/").status_code == 200
    (tmp_path / "site_layer.py").write_text("raise RuntimeError('broken by a deploy')\n")
    for pid in served.pids:
        os.kill(pid, signal.SIGKILL)

    host, port = served.url.removeprefix("http://").split(":")

    def status() -> int | None:
        try:
            with ask((host, int(port))) as client:
                return read_response(client)[0].status
        except (OSError, http.client.HTTPException):
            return None

    eventually(lambda: status() == 503)
    assert [status() for _ in range(3)] == [503, 503, 503]
    (tmp_path / "site_layer.py").write_text(good)
    eventually(lambda: status() == 200)
    served.program.process.send_signal(signal.SIGTERM)
    eventually(lambda: is_refused(served))
    served.program.process.wait(DEADLINE)
