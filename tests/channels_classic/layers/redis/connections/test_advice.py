"""A server that cannot be connected to: one short line with the cause and what to do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.layers.redis.connections.advice import why
from tests.interface_server.program.conftest import certificate  # noqa: F401
from tests.redis_server import RedisServer


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port on which each client is served so."""
    with socket.create_server(("127.0.0.1", 0)) as sock:

        def accept() -> None:
            while True:
                try:
                    client = sock.accept()[0]
                except OSError:
                    return
                with client:
                    try:
                        serve(client)
                    except OSError:
                        pass  # also of TLS: the other side does not understand this one

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            thread.join()


def error_at(url: str) -> str:
    """The error of a layer that uses this server, after a check that it is short and has no secret."""
    layer = RedisChannelLayer(hosts=[url], connection_kwargs={"socket_connect_timeout": 0.5})
    try:
        with pytest.raises(LayerUnavailable) as raised:
            layer.send("somewhere", {})
    finally:
        layer.close()
    text = str(raised.value)
    assert raised.value.nothing_done
    assert text.startswith("Cannot connect to Redis at ")
    assert text.endswith((".", "?"))
    assert len(text) < 400
    assert "\n" not in text
    assert "secret" not in text
    return text


def web(client: socket.socket) -> None:
    client.recv(1000)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("scheme", "serve", "part"),
    [
        ("redis", web, "what answers there is not Redis"),
        ("rediss", web, "it does not speak TLS. Write redis:// in place of rediss://"),
        ("redis", lambda client: None, "it closes the connection. Is it Redis?"),
        ("rediss", lambda client: None, "it closes the connection. Is it Redis?"),
    ],
)
def test_a_port_of_something_else(scheme: str, serve: Callable[[socket.socket], None], part: str) -> None:
    with listening(serve) as port:
        assert part in error_at(f"{scheme}://:secret@127.0.0.1:{port}/0")


def test_a_port_for_tls(certificate: tuple[Path, Path]) -> None:  # noqa: F811
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate, password="secret")

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as encrypted:
            encrypted.recv(1)

    with listening(serve) as port:
        assert "wants TLS" in error_at(f"redis://:secret@127.0.0.1:{port}/0")
        text = error_at(f"rediss://:secret@127.0.0.1:{port}/0")
        assert "its certificate is not trusted: self-signed certificate." in text
        assert "{'ssl_ca_certs': 'ca.pem'}" in text


def test_no_such_place(tmp_path: Path) -> None:
    assert error_at(f"unix://{tmp_path}/redis").endswith("No such file or directory. Is it running, and there?")
    assert "there is no such host. Check its name in hosts." in error_at("redis://:secret@nowhere.invalid/0")


def test_too_many_clients() -> None:
    with RedisServer() as server, server.client() as administrator:
        administrator.config_set("maxclients", 1)
        assert "Raise that, or find out who needs so many." in error_at(server.url)


PROTECTED = "DENIED Redis is running in protected mode because no password is set. " + "In this mode " * 50


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "it does not answer. Is it Redis, and do both sides use TLS, or neither?"),
        (ConnectionError("Error 111 connecting to a:1. Connection refused."), "Connection refused. Is it running"),
        (ConnectionError(PROTECTED), "it is in protected mode, and so it takes only clients on its own machine."),
        (ConnectionError("unforeseen " + "y" * 1000), "unforeseen yyy"),
        (ConnectionError(), "ConnectionError."),
    ],
)
def test_texts(error: Exception, text: str) -> None:
    assert why(error).startswith(text)
    assert len(why(error)) < 300
