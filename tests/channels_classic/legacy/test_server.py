"""The interface server for code that made that of Channels 1."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels_classic.layers import InMemoryChannelLayer
from channels_classic.legacy.server import Server, bound
from tests.ports import free_port


def answer_one(layer: InMemoryChannelLayer) -> None:
    """What a worker would do."""
    content = None
    while content is None:
        _, content = layer.receive(["http.request"], block=True)
    layer.send(content["reply_channel"], {"status": 200, "content": content["path"].encode()})


@pytest.mark.parametrize("where", ["address", "endpoint", "unix_socket", "unix", "file_descriptor"])
def test_where_it_listens(where: str, tmp_path: Path) -> None:
    layer = InMemoryChannelLayer()
    actions: list[Any] = []
    path, port = str(tmp_path / "socket"), free_port()
    listening = socket.create_server(("127.0.0.1", port)) if where == "file_descriptor" else None
    arguments: dict[str, Any] = {
        "address": {"host": "127.0.0.1", "port": port},
        "endpoint": {"endpoints": [f"tcp:{port}:interface=127.0.0.1"]},
        "unix_socket": {"unix_socket": path},
        "unix": {"endpoints": [f"unix:{path}"]},
        "file_descriptor": {"file_descriptor": listening and listening.detach()},
    }[where]
    server = Server(layer, signal_handlers=False, action_logger=lambda *event: actions.append(event), **arguments)
    is_started = threading.Event()
    serving = threading.Thread(target=server.run, args=[is_started.set])
    serving.start()
    assert is_started.wait(60)
    worker = threading.Thread(target=answer_one, args=[layer])
    worker.start()
    transport = httpx.HTTPTransport(uds=path) if where.startswith("unix") else None
    with httpx.Client(
        transport=transport, base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60
    ) as client:
        assert client.get("/where").text == "/where"
    worker.join(60)
    server.stop()
    serving.join(60)
    assert not serving.is_alive()
    [(protocol, action, details)] = actions
    assert (protocol, action, details["path"], details["status"]) == ("http", "complete", "/where", 200)
    assert details["time_taken"] >= 0


def test_an_address_of_ipv6() -> None:
    with bound(r"tcp:port=0:interface=\:\:1") as listening:
        assert listening.getsockname()[0] == "::1"


@pytest.mark.parametrize("endpoint", ["ssl:port=443:privateKey=a", "tcp:port=http", "tcp:", "fd:3", "", "tcp"])
def test_an_endpoint_that_cannot_be(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be served: 'tcp:port=8000.*--ssl-keyfile"):
        bound(endpoint)


def test_no_place_to_listen_on() -> None:
    with pytest.raises(ValueError, match="host and port, or endpoints"):
        Server(InMemoryChannelLayer(), force_sync=True, verbosity=2).run()
    with pytest.raises(ValueError, match="needs both host and port"):
        Server(InMemoryChannelLayer(), host="127.0.0.1")
