"""Parsing requests without a connection: accepted in any segmentation, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.transport import http_parser
from interface_server.transport.http_parser import BadRequest, Head, RequestReader

Request = tuple[str, bytes, bytes, list[tuple[bytes, bytes]], bytes]
"""Method, path, query, headers and body."""


def read_all(pieces: list[bytes]) -> list[Request]:
    """All complete requests in the pieces."""
    reader = RequestReader()
    requests: list[Request] = []
    head: Head | None = None
    body = b""
    for piece in pieces:
        reader.receive(piece)
        while True:
            if head is None:
                head, body = reader.read_head(), b""
                if head is None:
                    break
                more = head.has_body
            if more:
                part = reader.read_body()
                if part is None:
                    break
                body += part[0]
                more = part[1]
            if not more:
                requests.append((head.method, head.path, head.query, head.headers, body))
                head = None
    return requests


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """``data`` in pieces, cut at these places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


bodies = st.binary(max_size=40) | st.sampled_from(
    [b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"0\r\n\r\n"]
)
offers = st.sampled_from(
    [
        [],
        [b"Connection: Upgrade", b"Upgrade: foo"],
        [b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAAQ"],
        [b"Connection: keep-alive, upgrade", b"Upgrade: websocket, foo/2"],
        [b"Upgrade: websocket"],
        [b"Connection: Upgrade"],
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[bytes], list[bytes], bytes, list[bytes]]:
    """The lines of a head, those of an offer to upgrade, the body as it is sent, and its parts."""
    framing = draw(st.sampled_from(["none", "length", "chunks"]))
    method = draw(st.sampled_from([b"POST", b"PUT", b"DELETE"]))
    lines = [method + b" /a%20b/?q=" + draw(st.sampled_from([b"", b"1"])) + b" HTTP/1.1", b"Host: example.com"]
    lines += draw(st.sampled_from([[], [b"X-Blank:  a b \t "], [b"x:"]]))
    if framing == "none":
        return lines, draw(offers), b"", []
    if framing == "length":
        body = draw(bodies)
        return [*lines, b"Content-Length: %d" % len(body)], draw(offers), body, [body]
    parts = [part for part in draw(st.lists(bodies, max_size=4)) if part]
    extension = draw(st.sampled_from([b"", b";a=b", b';a="b c"']))
    sent = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
    trailers = draw(st.sampled_from([b"", b"X-Trailer: a\r\n", b"a:\r\nb: c\r\n"]))
    return [*lines, b"Transfer-Encoding: chunked"], draw(offers), sent + b"0\r\n" + trailers + b"\r\n", parts


@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 10_000), max_size=8), st.booleans())
def test_an_offer_to_upgrade_changes_nothing(
    sent: list[tuple[list[bytes], list[bytes], bytes, list[bytes]]], cuts: list[int], byte_by_byte: bool
) -> None:
    """RFC 9110, section 7.8: an offer that is not accepted is ignored, with any bytes behind it."""
    data = b"".join(b"\r\n".join([*lines, *offer, b"", b""]) + body for lines, offer, body, _ in sent)
    pieces = [data[place : place + 1] for place in range(len(data))] if byte_by_byte else split(data, cuts)
    received = read_all(pieces)
    assert [body for *_, body in received] == [b"".join(parts) for *_, parts in sent]
    for (method, path, _, headers, _), (lines, offer, *_) in zip(received, sent, strict=True):
        assert lines[0].startswith(method.encode() + b" " + path)
        assert [name + b":" for name, _ in headers] == [
            line.split(b":")[0].lower() + b":" for line in [*lines[1:], *offer]
        ]
        assert all(value == value.strip() for _, value in headers)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"GET / HTTP/1.1\r\n", b"Host: a\r\n\r\n"])))
def test_any_bytes_are_a_request_or_are_refused(pieces: list[bytes]) -> None:
    try:
        requests = read_all(pieces)
    except BadRequest:
        return
    for method, path, *_ in requests:
        assert method.isalpha()
        assert path.startswith(b"/")


HANDSHAKE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


def head_of(data: bytes) -> Head:
    reader = RequestReader()
    reader.receive(data)
    head = reader.read_head()
    assert head is not None
    return head


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        # Where the request ends would be a matter of opinion (RFC 9112, section 6.3).
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 30, 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked", 400),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked", 400),
        # Where a line or a header ends (sections 2.2 and 5).
        (b"GET / HTTP/1.1\nHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\nX: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\rX: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c", 400),
        (b"GET / HTTP/1.1\r\n Host: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\t: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon", 400),
        # What the request is for (section 3).
        (b"GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b", 400),
        (b"GET / HTTP/1.1\r\nHost: a b", 400),
        (b"GET  / HTTP/1.1\r\nHost: a", 400),
        (b"GET /\tHTTP/1.1\r\nHost: a", 400),
        (b"GET / HTTP/1.1 \r\nHost: a", 400),
        (b"GET /a#b HTTP/1.1\r\nHost: a", 400),
        (b"GET /caf\xe9 HTTP/1.1\r\nHost: a", 400),
        (b"GET a HTTP/1.1\r\nHost: a", 400),
        (b"GET * HTTP/1.1\r\nHost: a", 400),
        (b"GET http:///a HTTP/1.1\r\nHost: a", 400),
        (b"GET http://b@c/ HTTP/1.1\r\nHost: a", 400),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a", 400),
        (b"get / HTTP/1.1\r\nHost: a", 400),
        (b"GET / http/1.1\r\nHost: a", 400),
        (b"GET / RTSP/1.0\r\nHost: a", 400),
        (b"GET /", 400),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/2.0\r\nHost: a", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80", 501),
        # A WebSocket with a body.
        (HANDSHAKE + b"Content-Length: 1", 400),
        (HANDSHAKE + b"Transfer-Encoding: chunked", 400),
    ],
)
def test_ambiguous_and_invalid_requests_are_refused(lines: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        head_of(lines + b"\r\n\r\n")
    assert refused.value.status in (status, 400)


@pytest.mark.parametrize("cut", range(12))
def test_a_line_that_ends_otherwise_is_refused_at_once(cut: int) -> None:
    """This also holds if the client waits for an answer and sends nothing more."""
    with pytest.raises(BadRequest):
        read_all(split(b"GET / HTTP/1.1\nHost: a\n\n", [cut, 14, 15]))
    with pytest.raises(BadRequest):
        read_all(split(b"GET / HTTP/1.1\r\nHost: a\r\n\n", [cut, 14, 15, 16, 25, 26]))


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "chunks",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"1" * 17 + b"\r\n",
        b"3;a\x00\r\nabc\r\n0\r\n\r\n",
        b"3;a\rb\r\nabc\r\n0\r\n\r\n",
        b"3;" + b"a" * 5000,
        b"3;" + b"a" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n\n",
        b"0\r\na: b\n\r\n",
        b"0\r\n a: b\r\n\r\n",
        b"0\r\na : b\r\n\r\n",
        b"0\r\n" + b"a: b\r\n" * 30_000,
        b"0\r\na: " + b"b" * 200_000,
    ],
)
@pytest.mark.parametrize("byte_by_byte", [False, True])
def test_invalid_chunks(chunks: bytes, byte_by_byte: bool) -> None:
    pieces = [CHUNKED, *(chunks[place : place + 1] for place in range(min(len(chunks), 6000)))]
    with pytest.raises(BadRequest):
        read_all([*pieces, chunks[6000:]] if byte_by_byte else [CHUNKED + chunks])


@pytest.mark.parametrize("chunks", [b"3\r\nabc\r\n00\r\n\r\n", b"003;x\r\nabc\r\n0;y=z\r\nA: b\r\n\r\n"])
def test_chunks_with_all_that_they_may_have(chunks: bytes) -> None:
    received = read_all([CHUNKED + chunks + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"])
    assert [(path, body) for _, path, _, _, body in received] == [(b"/", b"abc"), (b"/next", b"")]


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"/", b"/", b"", b"a"),
        (b"//b/c?d?e", b"//b/c", b"d?e", b"a"),
        (b"/?", b"/", b"", b"a"),
        (b"http://b:80/c?d", b"/c", b"d", b"b:80"),
        (b"HTTPS://[::1]", b"/", b"", b"[::1]"),
        (b"http://b?c", b"/", b"c", b"b"),
    ],
)
def test_the_target(target: bytes, path: bytes, query: bytes, host: bytes) -> None:
    """RFC 9112, section 3.2: the host of an absolute target counts."""
    head = head_of(b"GET " + target + b" HTTP/1.1\r\nX: 1\r\nHost: a \r\n\r\n")
    assert (head.path, head.query) == (path, query)
    assert [value for name, value in head.headers if name == b"host"] == [host]


def test_the_target_of_options() -> None:
    assert head_of(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path == b"*"


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        (b"1.1", None, True),
        (b"1.1", b"keep-alive", True),
        (b"1.1", b"Close", False),
        (b"1.1", b"foo, close", False),
        (b"1.0", None, False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"keep-alive, close", False),
    ],
)
def test_whether_the_connection_is_kept(version: bytes, connection: bytes | None, keep_alive: bool) -> None:
    line = b"" if connection is None else b"Connection: " + connection + b"\r\n"
    for reader in [RequestReader()]:
        for _ in range(2):  # what one request says is not remembered for the next
            reader.receive(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + line + b"\r\n")
            head = reader.read_head()
            assert head is not None
            assert (head.version, head.keep_alive) == (version.decode(), keep_alive)


@pytest.mark.parametrize(
    ("head", "is_websocket"),
    [
        (HANDSHAKE, True),
        (HANDSHAKE + b"Content-Length: 0\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n", False),
        (HANDSHAKE.replace(b"websocket", b"websocket2"), False),
        (HANDSHAKE.replace(b"GET", b"POST"), False),
        (HANDSHAKE.replace(b"1.1", b"1.0"), False),
    ],
)
def test_what_opens_a_websocket(head: bytes, is_websocket: bool) -> None:
    assert head_of(head + b"\r\n").is_websocket is is_websocket


def test_the_bytes_behind_a_handshake_are_left_alone() -> None:
    reader = RequestReader()
    handshake = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader.receive(handshake + b"\x81\x80frames")
    head = reader.read_head()
    assert head is not None
    assert head.is_websocket
    assert reader.take_rest() == b"\x81\x80frames"


@pytest.mark.parametrize(
    "line",
    [
        b"Proxy-Connection: close",
        b"Proxy-Connection: upgrade, close\r\nUpgrade: foo",
        b"Connection: closed",
    ],
)
def test_only_the_header_connection_ends_a_connection(line: bytes) -> None:
    """RFC 9110, section 7.6.1. So a second request may follow on the connection."""
    first = b"GET /1 HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n"
    received = read_all([first + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"])
    assert [path for _, path, *_ in received] == [b"/1", b"/2"]
    assert head_of(first).keep_alive


@pytest.mark.parametrize("lines", [1, 3])
def test_empty_lines_before_a_request_are_skipped(lines: int) -> None:
    [request] = read_all([b"\r\n" * lines + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
    assert request[1] == b"/"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * http_parser.MAX_HEAD,
        b"GET / HTTP/1.1\r\nX: " + b"x" * http_parser.MAX_HEAD + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x:\r\n" * http_parser.MAX_FIELDS + b"\r\n",
    ],
    ids=["endless", "long", "many fields"],
)
def test_a_head_that_is_too_large(head: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_all([head])
    assert refused.value.status == 431


@given(st.lists(st.sampled_from([b"Expect: 100-continue", b"expect: 100-Continue", b"Expect: foo"]), max_size=1))
def test_what_waits_for_100_continue(lines: list[bytes]) -> None:
    head = head_of(b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", *lines, b"", b""]))
    assert head.expects_continue is any(b"100-" in line for line in lines)


def test_nothing_is_parsed_before_it_is_asked_for() -> None:
    reader = RequestReader()
    sent: Any = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    reader.receive(sent + b"nonsense\r\n\r\n")
    assert reader.read_head() is not None
    assert reader.waiting == len(b"nonsense\r\n\r\n")
