"""The classic Channels architecture: interface servers, workers, and a channel layer between them.

The names that application code imports most are handed on from here when they are first used, so that
``import channels_classic`` needs no Django settings (specification, section 13).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from channels_classic.version import __version__

if TYPE_CHECKING:
    from channels_classic.asgi import channel_layers as channel_layers
    from channels_classic.channel import Channel as Channel
    from channels_classic.channel import Group as Group
    from channels_classic.routing import include as include
    from channels_classic.routing import route as route
    from channels_classic.routing import route_class as route_class

DEFAULT_CHANNEL_LAYER = "default"

__all__ = [
    "DEFAULT_CHANNEL_LAYER",
    "Channel",
    "Group",
    "__version__",
    "channel_layers",
    "include",
    "route",
    "route_class",
]

_HOMES = {
    "Channel": "channel",
    "Group": "channel",
    "channel_layers": "asgi",
    "include": "routing",
    "route": "routing",
    "route_class": "routing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"channels_classic.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
