"""The interface server: sockets on one side, messages on the other. It never imports Django.

``InterfaceServer(channel_layer)`` is an ASGI 3 application for any server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interface_server.server import InterfaceServer as InterfaceServer

__all__ = ["InterfaceServer"]


def __getattr__(name: str) -> Any:
    if name == "InterfaceServer":
        from interface_server.server import InterfaceServer

        return InterfaceServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
