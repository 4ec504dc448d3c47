"""The handshake of a WebSocket: makes its ASGI scope, and the request and the responses of the package."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import unquote

from websockets.datastructures import Headers as PackageHeaders
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response

from interface_server.asgi_types import Scope
from interface_server.headers import checked_headers
from interface_server.transport.addresses import local_address, remote_address
from interface_server.transport.http_parser import BadRequest, Head
from interface_server.transport.proxy import forwarded
from interface_server.transport.server import ServerSettings

Headers = Iterable[tuple[bytes, bytes]]

OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers about the connection, which the server sets and not the application."""

CHECKED = (b"connection", b"upgrade", b"origin")
"""The headers that the package ``websockets`` checks, besides those whose names begin with ``sec-websocket-``."""

MAX_CHECKED = 8192
"""The most bytes of these headers. The package takes 2 µs for a byte, in which no other client has its turn."""

DEFLATE = ServerPerMessageDeflateFactory(
    server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
)
"""Compression with windows of 4 KiB. Larger ones save little on small messages, and cost memory for each
socket."""

MAX_REFUSAL = 2**20
"""The most bytes of content with which an application can refuse a handshake."""


def to_request(head: Head) -> Request:
    """Make the request that the package ``websockets`` checks. It has only the headers of the handshake.

    Raises:
        BadRequest: these headers are larger than ``MAX_CHECKED``.
    """
    headers = PackageHeaders()
    size = 0
    for name, value in head.headers:
        if name in CHECKED or name.startswith(b"sec-websocket-"):
            size += len(value)
            headers[name.decode()] = value.decode("latin-1")
    if size > MAX_CHECKED:
        raise BadRequest("The headers of the handshake are too large.", 431)
    return Request(head.path.decode(), headers)


def make_scope(head: Head, settings: ServerSettings, transport: asyncio.BaseTransport) -> Scope:
    """Make the ASGI scope of a handshake.

    Arguments:
        head: the head of the handshake.
        settings: the settings of the server.
        transport: the transport of the connection.
    """
    root_path = settings.root_path
    offers = [value.decode("latin-1") for name, value in head.headers if name == b"sec-websocket-protocol"]
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if settings.is_tls else "ws",
        "root_path": root_path,
        "path": root_path + unquote(head.path.decode()),
        "raw_path": root_path.encode() + head.path,
        "query_string": head.query,
        "headers": head.headers,
        "subprotocols": [name.strip() for offer in offers for name in offer.split(",")],
        "extensions": {"websocket.http.response": {}},
        "client": remote_address(transport),
        "server": local_address(transport),
    }
    forwarded(scope, settings.trusted_proxies)
    return scope


def add_to_acceptance(response: Response, subprotocol: str | None, headers: Headers) -> None:
    """Add the application's subprotocol and headers to the response that accepts a handshake.

    Raises:
        ValueError: one of them is not valid.
    """
    for name, value in _decoded(headers):
        if name.startswith("sec-websocket-"):
            continue
        if name == "date":
            del response.headers["Date"]
        response.headers[name] = value
    if subprotocol:
        response.headers["Sec-WebSocket-Protocol"] = subprotocol


def refusal(status: int, headers: Headers = (), body: bytes = b"") -> bytes:
    """Make the response that refuses a handshake. The connection ends after it.

    Raises:
        ValueError: ``status`` is not a final HTTP status, or a header is not valid.
    """
    if not 200 <= status < 600:
        raise ValueError(f"A handshake is refused with a status from 200 to 599, not {status!r}.")
    fields = list(_decoded(headers))
    names = {name for name, _ in fields}
    if "date" not in names:
        fields.append(("date", formatdate(usegmt=True)))
    if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        if "content-type" not in names:
            fields.append(("content-type", "text/plain; charset=utf-8"))
        fields.append(("content-length", str(len(body))))
    fields.append(("connection", "close"))
    head = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def bad_request(text: str, status: int = HTTPStatus.BAD_REQUEST) -> bytes:
    """Make the response to an invalid handshake."""
    return refusal(status, (), text.encode())


def _decoded(headers: Headers) -> Sequence[tuple[str, str]]:
    decoded = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in checked_headers(headers))
    return [(name, value) for name, value in decoded if name not in OF_THE_CONNECTION]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
