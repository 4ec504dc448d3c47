"""WebSockets that reach Django's own ASGI application, which cannot answer them.

The mistake is easily made: ``uvicorn mysite.asgi:application`` serves the views, and every WebSocket ends in a
traceback that shows neither the cause nor the remedy.
"""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import ASGIHandler

from channels_classic.log import logger

_django_call = ASGIHandler.__call__


def explain() -> None:
    """Make Django's ASGI application reject WebSockets with a log line that tells what to start instead."""
    ASGIHandler.__call__ = _call  # type: ignore[method-assign]


async def _call(self: ASGIHandler, scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        await _django_call(self, scope, receive, send)
        return
    logger.error(
        "A WebSocket to %r was rejected, because Django's own ASGI application is served, which has no "
        "channels. Start channels-interface and workers instead, or serve interface_server.application.",
        scope.get("path"),
    )
    await receive()
    await send({"type": "websocket.close"})
