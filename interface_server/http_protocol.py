"""uvicorn's side of an HTTP connection: what is written in one turn of the event loop goes out at once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FLUSH_AT = 64 * 1024
"""Bytes that are not held back any longer, so that a client that reads slowly is noticed."""


class CorkedTransport:
    """A transport that sends the head and the content of an answer together.

    To send them one by one takes two system calls and wakes the other side twice.

    Arguments:
        bare: the transport that it writes to.
    """

    def __init__(self, bare: asyncio.Transport) -> None:
        self.bare = bare
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Send ``data`` at the end of this turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= FLUSH_AT:
            self._flush()

    def close(self) -> None:
        """Close when all is sent."""
        self._flush()
        self.bare.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection over to another protocol."""
        self._flush()
        self.bare.set_protocol(protocol)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        self._size = 0
        if parts:
            self.bare.write(b"".join(parts))


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's own, on a ``CorkedTransport``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        corked = CorkedTransport(cast(asyncio.Transport, transport))
        super().connection_made(cast(asyncio.Transport, corked))
