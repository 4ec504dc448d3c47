"""The interface server that environment variables configure, for hosts without other options."""

from __future__ import annotations

import asyncio
import threading

from interface_server.application import InterfaceServer
from interface_server.asgi_types import Receive, Scope, Send
from interface_server.program.cli import configuration_from_environment
from interface_server.program.configuration import BadConfiguration

_lock = threading.Lock()
_server: InterfaceServer | None = None


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve with the one server of this process. ``interface_server.application`` calls this.

    Raises:
        BadConfiguration: a variable has an invalid value. A host with lifespan events learns it at its start, and
        ends.
    """
    try:
        # The import of a project may do things that are forbidden in an event loop.
        server = await asyncio.to_thread(_make) if _server is None else _server
    except BadConfiguration as error:
        if scope["type"] != "lifespan":
            raise
        await receive()
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await server(scope, receive, send)


def _make() -> InterfaceServer:
    global _server
    with _lock:
        if _server is None:
            _server = configuration_from_environment().make_application()
        return _server
