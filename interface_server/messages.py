"""Makes the content of every message that an interface server sends (specification, section 4)."""

from __future__ import annotations

from typing import Any

from interface_server.asgi_types import Scope

ABNORMAL_CLOSURE = 1006

UNDERSCORE = ord("_")
"""To look for a byte by its number takes a sixth of the time of looking for ``bytes``."""

HTTP_1 = ("1.1", "1.0")

MAX_MESSAGE_SIZE = 2**20
"""The default for the most bytes in one WebSocket message."""


def http_request(scope: Scope, reply_channel: str, body: bytes, body_channel: str | None) -> dict[str, Any]:
    """The content of ``http.request``."""
    content = _common(scope, reply_channel)
    content["http_version"] = scope.get("http_version", "1.1")
    content["method"] = scope["method"].upper()
    content["body"] = body
    if body_channel is not None:
        content["body_channel"] = body_channel
    return content


def http_request_body(content: bytes, more_content: bool) -> dict[str, Any]:
    """The content of a message with a part of a body, for the ``body_channel`` of ``http.request``."""
    return {"content": content, "more_content": more_content}


def http_request_body_closed() -> dict[str, Any]:
    """The content of the message which tells that the rest of a body will not come."""
    return {"closed": True}


def http_disconnect(path: str, reply_channel: str) -> dict[str, Any]:
    """The content of ``http.disconnect``."""
    return {"reply_channel": reply_channel, "path": path}


def websocket_connect(scope: Scope, reply_channel: str) -> dict[str, Any]:
    """The content of ``websocket.connect``."""
    content = _common(scope, reply_channel)
    content["order"] = 0
    return content


def websocket_receive(path: str, reply_channel: str, order: int, data: str | bytes) -> dict[str, Any]:
    """The content of ``websocket.receive``."""
    kind = "text" if isinstance(data, str) else "bytes"
    return {"reply_channel": reply_channel, "path": path, "order": order, kind: data}


def websocket_disconnect(path: str, reply_channel: str, order: int, code: int) -> dict[str, Any]:
    """The content of ``websocket.disconnect``."""
    return {"reply_channel": reply_channel, "path": path, "code": code, "order": order}


def websocket_will(path: str, reply_channel: str) -> dict[str, Any]:
    """The ``websocket.disconnect`` that the layer sends if this process dies. The layer adds the order."""
    return {"reply_channel": reply_channel, "path": path, "code": ABNORMAL_CLOSURE}


def _common(scope: Scope, reply_channel: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "reply_channel": reply_channel,
        "scheme": scope.get("scheme") or ("http" if scope["type"] == "http" else "ws"),
        "path": scope["path"],
        "query_string": scope.get("query_string", b""),
        "root_path": scope.get("root_path", ""),
        # X_Forwarded_For and X-Forwarded-For become one name in META, so no client may send the first.
        "headers": [header for header in scope["headers"] if UNDERSCORE not in header[0]],
    }
    # A unix socket has no host and port.
    for side in ("client", "server"):
        address = scope.get(side)
        if address and address[1] is not None:
            content[side] = list(address)
    return content


def body_length(scope: Scope) -> int | None:
    """The number of bytes of body by the headers; ``None`` if there is a body of unknown length."""
    # From HTTP/2 on, a body needs no header.
    length: int | None = 0 if scope.get("http_version", "1.1") in HTTP_1 else None
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value) if value.isdigit() and len(value) <= 18 else None
    return length
