"""``http.request`` messages that have passed through a real channel layer."""

from __future__ import annotations

from typing import Any

from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer
from channels_classic.message import Message

REPLY_CHANNEL = "interface.test!1"
REPLY_QUEUE = "interface.test!"

REQUEST = {
    "reply_channel": REPLY_CHANNEL,
    "http_version": "1.1",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "headers": [[b"host", b"example.com"]],
    "client": ["10.0.0.1", 50123],
    "server": ["10.0.0.2", 8080],
}


def http_request(
    path: str = "/",
    *,
    layer: BaseChannelLayer | None = None,
    headers: dict[str, str] | list[tuple[bytes, bytes]] | None = None,
    without: tuple[str, ...] = (),
    **content: Any,
) -> Message:
    """A message as a worker gets it; ``without`` names keys to leave out."""
    layer = InMemoryChannelLayer() if layer is None else layer
    content = {**REQUEST, "path": path, **content}
    if isinstance(headers, dict):
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    if headers is not None:
        content["headers"] = [*REQUEST["headers"], *headers]
    for key in without:
        del content[key]
    layer.send("http.request", content)
    channel, received = layer.receive(["http.request"])
    assert channel is not None
    assert received is not None
    return Message(received, channel, layer)


def form(body: bytes, content_type: str = "application/x-www-form-urlencoded") -> dict[str, Any]:
    """The keys in the message of a POST of ``body``."""
    headers = {"content-type": content_type, "content-length": str(len(body))}
    return {"method": "POST", "headers": headers, "body": body}


def replies(layer: BaseChannelLayer) -> list[dict[str, Any]]:
    """The messages on the reply channel so far."""
    contents = []
    while True:
        channel, content = layer.receive([REPLY_QUEUE])
        if content is None:
            return contents
        assert channel == REPLY_CHANNEL
        contents.append(content)
