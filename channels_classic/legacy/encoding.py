"""Requests and responses as messages, and back (specification, sections 4 and 13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from channels_classic import DEFAULT_CHANNEL_LAYER


def encode_request(request: HttpRequest) -> dict[str, Any]:
    """The ``http.request`` message of a request, from our server or any other."""
    meta = request.META
    message: dict[str, Any] = {
        "http_version": meta.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2],
        "method": request.method or "GET",
        "scheme": request.scheme,
        "path": request.path,
        "query_string": (meta.get("QUERY_STRING") or request.GET.urlencode()).encode("latin-1"),
        "root_path": meta.get("SCRIPT_NAME", ""),
        "headers": _headers(meta),
        "body": getattr(request, "body", b""),  # a request that was made by hand has none
    }
    for key, host, port in (("client", "REMOTE_ADDR", "REMOTE_PORT"), ("server", "SERVER_NAME", "SERVER_PORT")):
        if meta.get(host):
            message[key] = [meta[host], int(meta.get(port) or 0)]
    reply_channel = getattr(request, "reply_channel", None)
    if reply_channel is not None:
        message["reply_channel"] = str(reply_channel)
    return message


def decode_request(content: Mapping[str, Any]) -> HttpRequest:
    """The request that an ``http.request`` message describes.

    Arguments:
        content: the message, or the keyword arguments that a consumer got from one.

    Raises:
        BadRequest: it does not describe a request.
    """
    from channels_classic.asgi import channel_layers
    from channels_classic.http.request import AsgiRequest
    from channels_classic.message import Message

    content = dict(content)
    reply_channel = content.pop("response_channel", None)
    if reply_channel is not None:
        content["reply_channel"] = reply_channel
    request = AsgiRequest(Message(content, "http.request", channel_layers[DEFAULT_CHANNEL_LAYER]))
    request.response_channel = content.get("reply_channel")  # type: ignore[attr-defined]
    return request


def encode_response(response: HttpResponseBase) -> dict[str, Any]:
    """The single message that answers a request with ``response``. The content has to fit into it."""
    from channels_classic.handler import AsgiHandler

    first, *others = AsgiHandler.encode_response(response)
    content = b"".join(chunk["content"] for chunk in (first, *others))
    return {"status": first["status"], "headers": first["headers"], "content": content}


def decode_response(content: Mapping[str, Any]) -> HttpResponse:
    """The response that a message describes: the first message of an answer."""
    response = HttpResponse(content.get("content", b""), status=content["status"])
    del response.headers["content-type"]
    for name, value in content.get("headers", ()):
        if name.lower() == b"set-cookie":
            response.cookies.load(value.decode())
        else:
            response.headers[name.decode("ascii")] = value.decode("latin-1")
    return response


def _headers(meta: Mapping[str, Any]) -> list[list[bytes]]:
    headers = []
    for key, value in meta.items():
        if key.startswith("HTTP_"):
            key = key.removeprefix("HTTP_")
        elif key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            continue
        if value:
            headers.append([key.lower().replace("_", "-").encode("latin-1"), str(value).encode("latin-1")])
    return headers
