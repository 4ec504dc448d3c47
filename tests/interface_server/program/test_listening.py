"""The socket that an interface server listens on."""

from __future__ import annotations

import socket

import pytest

from interface_server.program.listening import listening_socket


def test_an_address_that_is_not_available_leaves_no_socket_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listening_socket("127.0.0.1", taken.getsockname()[1], None, None)
