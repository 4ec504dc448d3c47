"""uvicorn's side of an HTTP connection: what is written in one turn goes out at once, and no head has for ever."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from channels_classic.log import logger

FLUSH_AT = 64 * 1024
"""Bytes that are not held back any longer, so that a client that reads slowly is noticed."""

HEAD_SECONDS = 60.0
"""How long a client may take to send the head of a request, from its connection or the first byte on."""

MAX_HEAD = 128 * 1024
"""How many bytes the head of a request may have that has not all come at once, and what comes behind its body."""

MAX_PIPELINED, MAX_PIPELINED_BODY = 1000, 8 * 2**20
"""How many requests may wait until those before them are answered, and how many bytes of the last one's body."""


@lru_cache(maxsize=1)
def date_header(second: int) -> tuple[bytes, bytes]:
    """The header that says when an answer was made."""
    return b"date", formatdate(second, usegmt=True).encode()


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

    def write_at_once(self, data: bytes) -> None:
        """Send ``data`` now, behind what there is."""
        self._parts.append(data)
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
            try:
                self.bare.write(b"".join(parts))
            except RuntimeError:
                pass  # the client is gone, which uvloop takes for a mistake


class Trailers(list[tuple[bytes, bytes]]):
    """Where headers go that come behind a body in chunks: nowhere.

    To the parser they are headers like others, and they would pass for such as a proxy has checked.
    """

    def append(self, header: tuple[bytes, bytes]) -> None:
        """Drop it."""


TRAILERS = Trailers()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's own, on a ``CorkedTransport``, with bounds for clients that stall or flood.

    They are for all but bodies and frames, which ``Exchange`` and ``WebSocket`` bound.
    """

    _in_head = False
    _unsettled = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        corked = CorkedTransport(cast(asyncio.Transport, transport))
        super().connection_made(cast(asyncio.Transport, corked))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._unsettled += len(data)
        super().data_received(data)
        if self._unsettled > MAX_HEAD:
            self._refuse(b"431 Request Header Fields Too Large", b"The headers of the request are too large.")
        elif self._head_timer is None and (
            # Any byte ends uvicorn's patience with an idle connection, also one that begins no request.
            self._in_head or (self.cycle is not None and self.cycle.response_complete)
        ):
            self._await_head()
        if self.pipeline and (len(self.pipeline) > MAX_PIPELINED or len(self.cycle.body) > MAX_PIPELINED_BODY):
            logger.warning("A client was cut off: it sends requests, but does not wait for the answers.")
            self.pipeline.clear()
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        super().handle_websocket_upgrade()
        self.cycle = None  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._unsettled = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._in_head = False
        self._unsettled = 0
        self._stop_waiting()
        self.server_state.default_headers = [date_header(int(time.time())), *self.config.encoded_headers]
        super().on_headers_complete()
        if not self.parser.should_upgrade():  # to which a request with a body has no right
            self.headers = TRAILERS

    def on_body(self, body: bytes) -> None:
        """A piece of the body is there."""
        self._unsettled = 0
        super().on_body(body)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_timed_out)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_timed_out(self) -> None:
        if self._is_answering():
            self._await_head()  # the one before
        elif self._in_head:
            self._refuse(b"408 Request Timeout", b"The request did not arrive in time.")
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: bytes, text: bytes) -> None:
        if not (self._is_answering() or self.transport.is_closing()):
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%s" % (status, len(text), text)
            )
        self.transport.close()
