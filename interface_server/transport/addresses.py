"""The addresses of a connection, as an ASGI scope has them."""

from __future__ import annotations

import asyncio
from typing import Any


def remote_address(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """The client's host and port; ``None`` for a unix socket."""
    return _host_and_port(transport.get_extra_info("peername"))


def local_address(transport: asyncio.BaseTransport) -> tuple[str, int | None] | None:
    """The host and port that the client has connected to; for a unix socket, its path and ``None``."""
    name = transport.get_extra_info("sockname")
    if isinstance(name, str) and name:
        return name, None
    return _host_and_port(name)


def _host_and_port(name: Any) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None
