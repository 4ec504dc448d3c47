"""The interface server, with sockets on one side and messages on the other. It never imports Django.

``InterfaceServer(channel_layer)`` is an ASGI 3 application for any server. ``application`` is one that environment
variables configure when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic.lazy import lazy_names

if TYPE_CHECKING:
    from interface_server.application import InterfaceServer as InterfaceServer
    from interface_server.asgi_types import Receive, Scope, Send

__all__ = ["InterfaceServer", "application"]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve with the options in the environment variables of ``channels-interface``.

    Use this as ``uvicorn interface_server:application``, or in another host. It is a function, because some hosts
    do not find an object that a module makes only when it is asked for.
    """
    from interface_server.program.environment import serve

    await serve(scope, receive, send)


__getattr__ = lazy_names(__name__, {"InterfaceServer": "interface_server.application"})
