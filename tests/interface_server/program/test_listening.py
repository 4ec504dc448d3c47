"""The socket that an interface server listens on."""

from __future__ import annotations

import socket

import pytest

from interface_server.program.listening import listening_socket


def test_an_address_that_is_not_available_leaves_no_socket_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listening_socket("127.0.0.1", taken.getsockname()[1], None, None)


@pytest.mark.parametrize("kind", ["datagrams", "a client's"])
def test_an_inherited_socket_that_cannot_listen(kind: str) -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        sock = datagrams if kind == "datagrams" else client
        with pytest.raises(OSError, match="no socket that can listen"):
            listening_socket("", 0, None, sock.fileno())
        sock.getsockname()  # it is still open, because it is not ours


def test_an_inherited_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        inherited = listening_socket("", 0, None, server.fileno())
        assert inherited.getsockname() == server.getsockname()
        inherited.detach()
