"""From an ASGI scope to the content of messages (specification, section 4)."""

from __future__ import annotations

from typing import Any

from interface_server.asgi_types import Scope


def http_request(scope: Scope, reply_channel: str, body: bytes, body_channel: str | None) -> dict[str, Any]:
    """The content of ``http.request``."""
    content = _common(scope, reply_channel)
    content["http_version"] = scope.get("http_version", "1.1")
    content["method"] = scope["method"].upper()
    content["body"] = body
    if body_channel is not None:
        content["body_channel"] = body_channel
    return content


def websocket_connect(scope: Scope, reply_channel: str) -> dict[str, Any]:
    """The content of ``websocket.connect``."""
    content = _common(scope, reply_channel)
    content["order"] = 0
    return content


def _common(scope: Scope, reply_channel: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "reply_channel": reply_channel,
        "scheme": scope.get("scheme") or ("http" if scope["type"] == "http" else "ws"),
        "path": scope["path"],
        "query_string": scope.get("query_string", b""),
        "root_path": scope.get("root_path", ""),
        # X_Forwarded_For and X-Forwarded-For become one name in META: no client may say the first.
        "headers": [header for header in scope["headers"] if b"_" not in header[0]],
    }
    # A socket in the file system has no host and port to tell.
    for side in ("client", "server"):
        address = scope.get(side)
        if address and address[1] is not None:
            content[side] = list(address)
    return content


def body_length(scope: Scope) -> int | None:
    """How many bytes of body the headers announce; ``None`` if they only say that there is one."""
    length: int | None = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value) if value.isdigit() and len(value) <= 18 else None
    return length
