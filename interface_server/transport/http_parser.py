"""Parses requests (RFC 9112) without I/O: httptools parses the heads, and this module the framing of bodies.

A proxy in front may read ambiguous bytes in another way than this parser. Then the two disagree on where a request
ends, and one client can smuggle a request into the connection of another. So ambiguous bytes are a ``BadRequest``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import httptools

MAX_HEAD = 128 * 1024
"""The most bytes in the head of a request, and in all trailers behind a body."""

MAX_FIELDS = 1000
"""The most header fields in a request. Many short ones take much more memory than their bytes."""

MAX_CHUNK_LINE = 4096
"""The most bytes in the line before a chunk, with its extensions."""

HASH = ord("#")

_FRAMING = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"expect"})
"""Header fields about the connection or the whole message."""

_is_host = re.compile(rb"[^\x00-\x20\"#,/<>?@\\^`{|}\x7f-\xff]*").fullmatch
_is_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n").fullmatch
_is_trailer = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n").fullmatch
_is_absolute = re.compile(rb"https?://([^/?#]+)(/[^?#]*)?(\?[^#]*)?", re.IGNORECASE).fullmatch


class BadRequest(Exception):
    """The client sent something that is not a valid request. The connection has to be closed.

    Arguments:
        text: the text for the client.
        status: the status of the answer.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


@dataclass(slots=True)
class Head:
    """The head of a request: the request line and the header fields."""

    method: str
    path: bytes
    """The path as it was sent, percent-encoded, without the query."""

    query: bytes
    version: str
    """``1.0`` or ``1.1``."""

    headers: list[tuple[bytes, bytes]]
    """The header fields, with names in lower case, and values without the white space around them."""

    keep_alive: bool
    """Whether the client may use the connection for more requests (RFC 9112, section 9.3)."""

    has_body: bool
    expects_continue: bool
    """Whether the client waits for ``100 Continue`` before it sends the body (RFC 9110, section 10.1.1)."""

    is_websocket: bool
    """Whether the request opens a WebSocket (RFC 6455, section 4.1)."""


class RequestReader:
    """Reads one request after another: its head, its body, then the next head.

    Nothing is parsed before it is asked for, so requests that a client sends ahead wait as bytes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._heads = _HeadParser()
        self._left = 0  # bytes left of the body, or of the chunk
        self._chunks: _Chunks | None = None

    @property
    def waiting(self) -> int:
        """The number of bytes that were received and not read."""
        return len(self._buffer)

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._buffer += data

    def read_head(self) -> Head | None:
        """Read the next head; ``None`` before it is complete.

        Raises:
            BadRequest: the bytes are not a valid head.
        """
        buffer = self._buffer
        if buffer.startswith((b"\r", b"\n")):
            self._skip_empty_lines()
        searched = self._searched
        end = buffer.find(b"\r\n\r\n", searched - 3 if searched > 3 else 0) + 4
        if end < 4:
            if buffer.count(b"\n", searched) != buffer.count(b"\r\n", searched - 1 if searched else 0):
                raise BadRequest("A line has to end with CR LF.")
            self._searched = len(buffer)
            if len(buffer) > MAX_HEAD:
                raise BadRequest("The headers of the request are too large.", 431)
            return None
        if end > MAX_HEAD:
            raise BadRequest("The headers of the request are too large.", 431)
        raw = bytes(buffer[:end])
        del buffer[:end]
        self._searched = 0
        head, length = self._heads.parse(raw)
        if length is None:
            self._chunks = _Chunks()
        else:
            self._left = length
        return head

    def read_body(self) -> tuple[bytes, bool] | None:
        """Read the next part of the body, and whether more follows; ``None`` if nothing has been received.

        Raises:
            BadRequest: the chunks of the body are not valid.
        """
        buffer = self._buffer
        if not buffer:
            return None
        if self._chunks is not None:
            data = self._chunks.read(buffer)
            if self._chunks.is_complete:
                self._chunks = None
                return data, False
            return (data, True) if data else None
        data = bytes(buffer[: self._left])
        del buffer[: self._left]
        self._left -= len(data)
        return data, self._left > 0

    def take_rest(self) -> bytes:
        """Take the bytes that were received and not read, for another protocol."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _skip_empty_lines(self) -> None:
        # RFC 9112, section 2.2: some clients send an empty line behind a body.
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):
            del buffer[:2]
        if buffer[:1] == b"\n" or (buffer[:1] == b"\r" and len(buffer) > 1):
            raise BadRequest("A line has to end with CR LF.")


class _HeadParser:
    """Parses complete heads. httptools calls the ``on_`` methods."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._parser: httptools.HttpRequestParser | None = None
        self._can_go_on = False
        """Whether the parser takes another head."""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" \t")))  # RFC 9112, section 5.1

    def on_message_complete(self) -> None:
        # Without a body, httptools waits for another head, unless it believes that the connection has to end. It
        # believes that of more requests than we do: also of one with ``Proxy-Connection: close``.
        self._can_go_on = self._parser is not None and self._parser.should_keep_alive()

    def parse(self, raw: bytes) -> tuple[Head, int | None]:
        """Parse a head. Returns it with the length of the body, or ``None`` for a body in chunks."""
        lines = raw.count(b"\r\n")
        if raw.count(b"\n") != lines or raw.count(b"\r") != lines:
            raise BadRequest("A line has to end with CR LF.")
        if raw.find(b"\r\n ") >= 0 or raw.find(b"\r\n\t") >= 0:
            raise BadRequest("A header must not be folded into several lines.")  # RFC 9112, section 5.2
        if lines > MAX_FIELDS:
            raise BadRequest("The request has too many headers.", 431)
        target, version = _request_line(raw[: raw.index(b"\r\n")])
        parser = self._parser = self._parser or httptools.HttpRequestParser(self)
        headers: list[tuple[bytes, bytes]] = []
        self._headers = headers
        self._can_go_on = False
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            self._can_go_on = False  # the server may ignore this offer (RFC 9110, section 7.8)
        except httptools.HttpParserError:
            raise BadRequest("This is not an HTTP request.") from None
        if not self._can_go_on:
            self._parser = None
        return _make_head(parser.get_method().decode(), target, version, headers)


def _make_head(
    method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> tuple[Head, int | None]:
    if method == "CONNECT":
        raise BadRequest("This is not a proxy.", 501)  # so CONNECT gets no tunnel (RFC 9110, section 9.3.6)
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _FRAMING:
            fields.setdefault(name, []).append(value)
    hosts = fields.pop(b"host", None)
    # RFC 9112, section 3.2
    if version == "1.1" if hosts is None else len(hosts) > 1 or not _is_host(hosts[0]):
        raise BadRequest("A request needs one header Host, with a host.")
    length: int | None = 0
    keep_alive = version == "1.1"
    is_websocket = expects_continue = False
    if fields:
        length = _body_length(fields, version)
        connection = _tokens(fields.get(b"connection"))
        keep_alive = b"close" not in connection and (keep_alive or b"keep-alive" in connection)
        expects_continue = version == "1.1" and b"100-continue" in _tokens(fields.get(b"expect"))
        is_websocket = (
            b"upgrade" in connection
            and b"websocket" in _tokens(fields.get(b"upgrade"))
            and (method, version) == ("GET", "1.1")
        )
        if is_websocket and length != 0:
            raise BadRequest("The handshake of a WebSocket must not have a body.")
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
    else:
        path, query = _split_target(target, method, headers)
    if HASH in target or not target.isascii():
        raise BadRequest("The target of the request is not a path.")
    head = Head(method, path, query, version, headers, keep_alive, length != 0, expects_continue, is_websocket)
    return head, length


def _body_length(fields: dict[bytes, list[bytes]], version: str) -> int | None:
    """The length of a body (RFC 9112, sections 6.1 to 6.3). Refuses framing that a proxy may read differently."""
    lengths = fields.get(b"content-length")
    codings = fields.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None or version == "1.0" or len(codings) > 1:
            raise BadRequest("The request states the length of its body in two ways.")
        if codings[0].lower() != b"chunked":
            raise BadRequest("The only transfer coding that this server knows is chunked.", 501)
        return None
    if lengths is None:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
        raise BadRequest("Content-Length has to be one number.")
    return int(lengths[0])


def _split_target(target: bytes, method: str, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """The path and the query of a target that is not a plain path (RFC 9112, section 3.2)."""
    if target == b"*" and method == "OPTIONS":
        return target, b""
    absolute = _is_absolute(target)
    if absolute is None or not _is_host(absolute[1]):
        raise BadRequest("The target of the request is not a path.")
    # Section 3.2.2: the host of the target overrides the header.
    headers[:] = [(b"host", absolute[1]), *(header for header in headers if header[0] != b"host")]
    return absolute[2] or b"/", (absolute[3] or b"?")[1:]


class _Chunks:
    """Reads the body of one request in chunks (RFC 9112, section 7.1). Trailers are dropped.

    A proxy checks headers, but may let trailers pass, so workers must not see trailers as headers.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._left = 0
        self._at_end_of_chunk = False
        self._in_trailers = False
        self._trailers = 0

    def read(self, buffer: bytearray) -> bytes:
        """Take the received bytes from ``buffer``, and return the content of the chunks."""
        content = bytearray()
        position = 0
        while position < len(buffer) and not self.is_complete:
            if self._left:
                part = buffer[position : position + self._left]
                content += part
                position += len(part)
                self._left -= len(part)
                self._at_end_of_chunk = not self._left
                continue
            line_end = buffer.find(b"\n", position) + 1
            if not line_end:
                self._check_incomplete(len(buffer) - position)
                break
            self._take_line(bytes(buffer[position:line_end]))
            position = line_end
        del buffer[:position]
        return bytes(content)

    def _take_line(self, line: bytes) -> None:
        if self._at_end_of_chunk:
            if line != b"\r\n":
                raise BadRequest("A chunk of the body is longer than it says.")
            self._at_end_of_chunk = False
        elif self._in_trailers:
            self._trailers += len(line)
            self._check_incomplete(0)
            if line == b"\r\n":
                self.is_complete = True
            elif not _is_trailer(line):
                raise BadRequest("A trailer behind the body is not a header.")
        else:
            match = _is_chunk_line(line)
            if match is None or len(line) > MAX_CHUNK_LINE:
                raise BadRequest("A chunk of the body has no size.")
            self._left = int(match[1], 16)
            self._in_trailers = not self._left

    def _check_incomplete(self, size: int) -> None:
        """Check that a line of which ``size`` bytes have been received can still become valid."""
        if self._in_trailers:
            if self._trailers + size > MAX_HEAD:
                raise BadRequest("The trailers of the request are too large.", 431)
        elif size > (1 if self._at_end_of_chunk else MAX_CHUNK_LINE):
            raise BadRequest("A chunk of the body has no size, or is longer than it says.")


def _request_line(line: bytes) -> tuple[bytes, str]:
    """The target and the version of a request (RFC 9112, section 3). httptools checks the method."""
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[2].startswith(b"HTTP/"):
        raise BadRequest("This is not an HTTP request.")
    if parts[2] == b"HTTP/1.1":
        return parts[1], "1.1"
    if parts[2] == b"HTTP/1.0":
        return parts[1], "1.0"
    raise BadRequest("This server speaks HTTP/1.0 and HTTP/1.1 only.", 505)


def _tokens(values: list[bytes] | None) -> frozenset[bytes]:
    """The tokens of a list, in lower case (RFC 9110, section 5.6.1)."""
    return _tokens_of(b",".join(values)) if values else frozenset()


@lru_cache(maxsize=16)
def _tokens_of(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip(b" \t").lower() for token in value.split(b","))
