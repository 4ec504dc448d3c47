"""Makes the bytes of an HTTP response: its head and its framing (RFC 9112, section 6), without I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from interface_server.headers import HOP_BY_HOP, asks_to_close

Headers = Iterable[tuple[bytes, bytes]]


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


ENDLESS = (b"text/event-stream", b"multipart/x-mixed-replace")
"""Media types of endless content, whose clients reconnect when it ends."""

_STATUS_LINES = {status: b"HTTP/1.1 %d %s\r\n" % (status, _reason(status)) for status in range(200, 600)}


class Response:
    """The response to one request.

    Arguments:
        keep_alive: whether the client wants to use the connection for more requests.
        is_http_1_0: whether the client speaks HTTP/1.0, which has no chunks.
        is_head: whether the request was ``HEAD``, whose response has no content.
    """

    __slots__ = (
        "_has_content",
        "_head",
        "_is_chunked",
        "_is_head",
        "_is_http_1_0",
        "_left",
        "has_started",
        "is_complete",
        "keep_alive",
    )

    def __init__(self, keep_alive: bool, is_http_1_0: bool = False, is_head: bool = False) -> None:
        self.keep_alive = keep_alive
        """Whether the connection can be used for the next request. You may set it to false before ``write``."""
        self.has_started = False
        """Whether a part of the response was sent."""
        self.is_complete = False
        self._is_http_1_0 = is_http_1_0
        self._is_head = is_head
        self._head: tuple[int, Headers] | None = None
        self._has_content = True
        self._is_chunked = False
        self._left: int | None = None  # bytes left of the content, if its length is known

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection marks the end of the content."""
        return self.has_started and self._has_content and not self._is_chunked and self._left is None

    @property
    def may_be_endless(self) -> bool:
        """Whether it has begun, and its length is unknown."""
        return self.has_started and not self.is_complete and self._has_content and self._left is None

    @property
    def is_endless(self) -> bool:
        """Whether it has begun, and its media type is endless."""
        if not self.may_be_endless or self._head is None:
            return False
        return any(name == b"content-type" and media_type(value) in ENDLESS for name, value in self._head[1])

    def start(self, status: int, headers: Headers) -> None:
        """Set the head, which is sent with the first content.

        Raises:
            RuntimeError: the head was sent already.
        """
        if self.has_started:
            raise RuntimeError("Expected http.response.body, but got a second http.response.start.")
        self._head = status, headers

    def write(self, content: bytes, more: bool) -> bytes:
        """Make the bytes to send for the next part of the content.

        Arguments:
            content: any number of bytes.
            more: whether more parts follow.

        Raises:
            RuntimeError: there is no head yet, the response is already complete, or its content is longer or
                shorter than its content-length.
        """
        head = b""
        if not self.has_started:
            if self._head is None:
                raise RuntimeError("Expected http.response.start, but got http.response.body.")
            head = self._write_head(*self._head, len(content), more)
        elif self.is_complete:
            raise RuntimeError("Expected nothing more, but got http.response.body.")
        if self._left is not None:
            self._left -= len(content)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("The content is not as long as its content-length says.")
        self.has_started = True
        self.is_complete = not more
        if not self._has_content:
            return head
        if self._is_chunked:
            chunk = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
            return b"".join((head, chunk, b"" if more else b"0\r\n\r\n"))
        return head + content

    def _write_head(self, status: int, headers: Headers, size: int, more: bool) -> bytes:
        lines = [_STATUS_LINES[status]]
        has_date = has_length = False
        # RFC 9112, section 6.3: these responses have no content.
        self._has_content = not (self._is_head or status in (204, 304))
        for name, value in headers:
            if name in HOP_BY_HOP:
                if asks_to_close(name, value):
                    self.keep_alive = False
                continue
            if name == b"content-length":
                if status == 204:  # RFC 9110, section 8.6
                    continue
                has_length = True
                if self._has_content:
                    self._left = int(value)
            elif name == b"date":
                has_date = True
            lines += (name, b": ", value, b"\r\n")
        if not has_date:
            lines.append(_date_line(int(time.time())))
        if self._has_content and not has_length:
            lines.append(self._frame(more, size))
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        elif self._is_http_1_0:
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _frame(self, more: bool, size: int) -> bytes:
        """The header for content of unknown length (RFC 9112, section 6.3)."""
        if not more:
            self._left = size
            return b"content-length: %d\r\n" % size
        if self._is_http_1_0:
            self.keep_alive = False  # the end of the connection marks the end of the content
            return b""
        self._is_chunked = True
        return b"transfer-encoding: chunked\r\n"


def short_response(status: int, text: str) -> bytes:
    """Make a complete response in plain text, after which the connection ends."""
    response = Response(keep_alive=False)
    response.start(status, [(b"content-type", b"text/plain; charset=utf-8")])
    return response.write(text.encode(), False)


def media_type(value: bytes) -> bytes:
    """The media type of a content-type, without its parameters."""
    return value.partition(b";")[0].strip().lower()


@lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    return b"date: %b\r\n" % formatdate(second, usegmt=True).encode()
