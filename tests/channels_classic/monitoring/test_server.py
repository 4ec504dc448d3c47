"""``MonitorServer``: its addresses, its answers, and clients that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from channels_classic.monitoring.metrics import FAMILIES, of_this_process
from channels_classic.monitoring.server import MOST_CLIENTS, BadMonitor, MonitorServer
from channels_classic.monitoring.status import Status
from tests.ports import free_port
from tests.project import DEADLINE

GOOD = Status([], [], False, of_this_process(), {("channels_layer_reachable",): 1})


@pytest.fixture
def server() -> Iterator[MonitorServer]:
    server = MonitorServer("0", lambda: GOOD)
    yield server
    server.close()


@pytest.mark.parametrize("where", ["", "0x10", ":", ":9100", "9100:x", "70000", "-1", "٣", "host:", "1 2"])
def test_invalid_addresses(where: str) -> None:
    with pytest.raises(BadMonitor, match="--monitor must be PORT, HOST:PORT or the PATH"):
        MonitorServer(where, lambda: GOOD)


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    port = free_port()
    for where in (str(port), f"127.0.0.1:{port}", str(tmp_path / "monitor")):
        server = MonitorServer(where, lambda: GOOD)
        try:
            with pytest.raises(BadMonitor, match="cannot listen there"):
                MonitorServer(where, lambda: GOOD)
        finally:
            server.close()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(BadMonitor, match="cannot listen there"):
        MonitorServer(str(tmp_path / "gone" / "monitor"), lambda: GOOD)


def test_a_socket_that_a_killed_process_has_left(tmp_path: Path) -> None:
    path = tmp_path / "monitor"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    MonitorServer(str(path), lambda: GOOD).close()
    assert not path.exists()


@pytest.mark.parametrize(
    ("status", "live", "ready"),
    [
        (GOOD, 200, 200),
        (GOOD._replace(dead=["a part"]), 503, 503),
        (GOOD._replace(unready=["no worker is alive"]), 200, 503),
        (GOOD._replace(draining=True), 200, 503),
    ],
)
def test_the_status_of_the_probes(status: Status, live: int, ready: int) -> None:
    server = MonitorServer("0", lambda: status)
    try:
        assert _get(server, "/livez").status_code == live
        assert _get(server, "/readyz").status_code == ready
        assert _get(server, "/metrics").status_code == 200
    finally:
        server.close()


def test_every_metric_is_declared_and_can_be_parsed(server: MonitorServer) -> None:
    answer = _get(server, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families
    for name, family in families.items():
        assert family.type == FAMILIES[name].kind
        assert family.documentation == FAMILIES[name].text


def test_clients_that_say_nothing_are_bounded_and_others_are_answered_again(server: MonitorServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(MOST_CLIENTS)]
    try:
        turned_away = socket.create_connection(("127.0.0.1", server.port))
        turned_away.settimeout(DEADLINE)
        assert turned_away.recv(1) == b""
        turned_away.close()
    finally:
        for client in silent:
            client.close()
    for _ in range(1000):
        try:
            assert _get(server, "/livez").status_code == 200
            break
        except httpx.TransportError:
            threading.Event().wait(0.01)
    else:
        pytest.fail("Nobody is answered any more.")


@pytest.mark.parametrize(
    "request_line", [b"\xff\xfe\r\n\r\n", b"POST /livez HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 70_000]
)
def test_invalid_requests(server: MonitorServer, request_line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(DEADLINE)
        client.sendall(request_line)
        client.shutdown(socket.SHUT_WR)
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass  # it has not read all
    assert _get(server, "/livez").status_code == 200


def _get(server: MonitorServer, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", timeout=DEADLINE, trust_env=False, verify=False)
