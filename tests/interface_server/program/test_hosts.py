"""``interface_server:application`` under other ASGI servers, configured by environment variables."""

from __future__ import annotations

import hashlib
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually
from tests.ports import free_port
from tests.programs import completed, running
from tests.project import DEADLINE, REPOSITORY, Running

APPLICATION = "interface_server:application"

COMMANDS = {
    "uvicorn": ["-m", "uvicorn", "--port", "{port}", "--ws-per-message-deflate", "false", APPLICATION],
    "hypercorn": ["-m", "hypercorn", "--bind", "127.0.0.1:{port}", APPLICATION],
    "daphne": ["-m", "daphne", "--port", "{port}", APPLICATION],
}


class Host:
    """A host in a process of its own, and clients for it."""

    def __init__(self, name: str, port: int, program: Running) -> None:
        self.name = name
        self.port = port
        self.program = program

    def listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, timeout=DEADLINE, trust_env=False, **options)

    def connect(self, path: str = "/", **options: Any) -> ClientConnection:
        options = {"compression": None, "proxy": None, "open_timeout": DEADLINE, **options}
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)


@pytest.fixture(scope="module", params=list(COMMANDS))
def host(
    request: pytest.FixtureRequest, redis_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Each of the hosts in turn."""
    name: str = request.param
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed.")
    port = free_port()
    command = [sys.executable, *(part.format(port=port) for part in COMMANDS[name])]
    variables = {
        "CHANNELS_INTERFACE_REDIS": redis_server.url,
        "CHANNELS_INTERFACE_PREFIX": f"{name}:",
        "CHANNELS_INTERFACE_HTTP_TIMEOUT": "1.5",
        "CHANNELS_INTERFACE_WEBSOCKET_HANDSHAKE_TIMEOUT": "1",
        "CHANNELS_INTERFACE_WS_PROTOCOL": "chat",
        "CHANNELS_INTERFACE_MAX_MESSAGE_SIZE": "1000",
    }
    with running(command, tmp_path_factory.mktemp(name), variables=variables) as program:
        host = Host(name, port, program)
        program.wait(host.listens)
        yield host
        # Tracebacks of a host's own are its own affair.
        assert str(REPOSITORY / "interface_server") not in program.log, program.log


@pytest.fixture
def backend(host: Host, redis_server: Any) -> Iterator[Backend]:
    with Backend(redis_server.url, prefix=f"{host.name}:") as backend:
        yield backend


def close_code(client: ClientConnection) -> int:
    """The code with which the server closes, when it does."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(DEADLINE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_requests(host: Host, backend: Backend) -> None:
    answer = host.request("GET", "/a%20b/?c=%20d", headers={"X-One": "1"}).json()
    assert (answer["method"], answer["path"], answer["query_string"]) == ("GET", "/a b/", "c=%20d")
    assert ["x-one", "1"] in answer["headers"]
    assert answer["client"][0] == "127.0.0.1"
    head = host.request("HEAD", "/")
    assert (head.status_code, head.content) == (200, b"")
    answer = host.request("GET", "/big/")
    assert (answer.status_code, len(answer.content)) == (200, 6 * 2**19)
    # One http.disconnect for each exchange.
    eventually(lambda: [channel for channel, _ in backend.received].count("http.disconnect") == 3)


@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_bodies(host: Host, backend: Backend, size: int) -> None:
    body = bytes(range(250)) * (size // 250)
    digest = hashlib.sha256(body).hexdigest()
    assert host.request("POST", "/body/", content=body).text == f"{size} {digest}"
    chunks = (body[start : start + 100_000] for start in range(0, size, 100_000))
    assert host.request("POST", "/body/", content=chunks).text == f"{size} {digest}"


@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_bodies_by_http_2(host: Host, backend: Backend, size: int) -> None:
    """There, a body needs no header that announces it."""
    if host.name != "hypercorn":
        pytest.skip(f"{host.name} speaks no HTTP/2 without TLS.")
    body = bytes(range(250)) * (size // 250)
    parts = (body[start : start + 100_000] for start in range(0, size, 100_000))
    with httpx.Client(http1=False, http2=True, timeout=DEADLINE, trust_env=False) as client:
        answer = client.post(f"http://127.0.0.1:{host.port}/body/", content=parts)
    assert (answer.http_version, answer.text) == ("HTTP/2", f"{size} {hashlib.sha256(body).hexdigest()}")


def test_a_request_that_nobody_answers(host: Host, backend: Backend) -> None:
    assert host.request("GET", "/silent/").status_code == 503


def test_a_client_that_leaves(host: Host, backend: Backend) -> None:
    with socket.create_connection(("127.0.0.1", host.port)) as client:
        client.sendall(b"GET /silent/?leaves HTTP/1.1\r\nHost: a\r\n\r\n")
        request = backend.wait_for("http.request")
    backend.wait_for("http.disconnect", lambda content: content["reply_channel"] == request["reply_channel"])


def test_sockets(host: Host, backend: Backend) -> None:
    with host.connect("/a%20b/?c=d", subprotocols=["other", "chat"]) as client:
        assert client.subprotocol == "chat"
        frames = ["hello", "ü", b"\x00\xff"]
        if host.name != "daphne":  # which sends no empty frames
            frames += ["", b""]
        for frame in frames:
            client.send(frame)
            assert client.recv(DEADLINE) == frame
        connect = backend.wait_for("websocket.connect")
        assert (connect["path"], connect["query_string"], connect["scheme"]) == ("/a b/", b"c=d", "ws")
    disconnect = backend.wait_for("websocket.disconnect")
    assert disconnect["order"] == len(frames) + 1
    assert disconnect["code"] == client_code(host, 1000)


def test_many_frames_in_order(host: Host, backend: Backend) -> None:
    with host.connect() as client:
        for number in range(50):
            client.send(str(number))
        assert [client.recv(DEADLINE) for _ in range(50)] == [str(number) for number in range(50)]


def test_close_codes(host: Host, backend: Backend) -> None:
    with host.connect("/theirs/") as client:
        client.send("close 4001")
        assert close_code(client) == 4001
    assert backend.wait_for("websocket.disconnect", of("/theirs/"))["code"] == 4001
    with host.connect("/ours/") as client:
        client.close(4002)
    assert backend.wait_for("websocket.disconnect", of("/ours/"))["code"] == client_code(host, 4002)
    with host.connect("/large/") as client:
        client.send("x" * 1001)
        # autobahn, and so daphne, sends no code of the protocol's own for an application.
        assert close_code(client) == (1000 if host.name == "daphne" else 1009)
    assert backend.wait_for("websocket.disconnect", of("/large/"))["code"] == 1009
    with host.connect("/gone/") as client:
        client.socket.shutdown(socket.SHUT_RDWR)
    assert backend.wait_for("websocket.disconnect", of("/gone/"))["code"] in (1005, 1006)


def client_code(host: Host, code: int) -> int:
    """The code of a client's close that a host passes on. hypercorn passes none on."""
    return 1006 if host.name == "hypercorn" else code


def of(path: str) -> Callable[[dict[str, Any]], bool]:
    return lambda content: bool(content["path"] == path)


@pytest.mark.parametrize("path", ["/reject/", "/silent/"])
def test_handshakes_that_are_refused(host: Host, backend: Backend, path: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        host.connect(path)
    assert refusal.value.response.status_code == 403
    backend.wait_for("websocket.disconnect", of(path))


def test_the_end_of_the_host(host: Host, backend: Backend) -> None:
    """The last test of each host ends it. Workers learn that the socket is gone."""
    if host.name == "hypercorn" and sys.version_info >= (3, 12):
        pytest.skip("From Python 3.12 on, hypercorn waits for its open sockets without end.")
    with host.connect("/end/") as client:
        client.send("hello")
        assert client.recv(DEADLINE) == "hello"
        host.program.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            client.recv(DEADLINE)
    host.program.process.wait(DEADLINE)
    if host.name != "daphne":  # which waits for nobody when it ends
        backend.wait_for("websocket.disconnect", of("/end/"))


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn"])
def test_invalid_variables(name: str, tmp_path: Path) -> None:
    """Hosts with lifespan events do not start, and log the reason."""
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed.")
    command = [sys.executable, *(part.format(port=free_port()) for part in COMMANDS[name])]
    ended = completed(
        command, tmp_path, {"CHANNELS_INTERFACE_PORT": "many", "CHANNELS_INTERFACE_REDIS": "redis://x"}
    )
    assert "'many' is not a valid integer" in ended.stderr
