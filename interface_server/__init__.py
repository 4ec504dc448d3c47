"""The interface server: sockets on one side, messages on the other. It never imports Django.

``InterfaceServer(channel_layer)`` is an ASGI 3 application for any server; ``application`` is one that is made
from environment variables when it is first used.
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
    if name == "application":
        # For hosts like ``uvicorn interface_server:application``, which know environment variables only.
        from interface_server.cli import configuration_from_environment

        globals()["application"] = application = configuration_from_environment().make_application()
        return application
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
