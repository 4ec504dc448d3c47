"""The interface server that environment variables describe, for hosts that can be told nothing else."""

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
    """Serve by the one server of this process; ``interface_server.application`` calls this.

    Raises:
        BadConfiguration: the variables do not fit. A host with lifespan events is told before, and does not start.
    """
    try:
        # A project may do things in its import that an event loop forbids.
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
