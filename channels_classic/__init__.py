"""The classic Channels architecture: interface servers, workers, and a channel layer between them.

The names that application code imports most often are resolved when they are first used, so that ``import
channels_classic`` needs no Django settings (specification, section 13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.lazy import lazy_names
from channels_classic.version import __version__

if TYPE_CHECKING:
    from channels_classic.asgi import channel_layers as channel_layers
    from channels_classic.channel import Channel as Channel
    from channels_classic.channel import Group as Group
    from channels_classic.routing import include as include
    from channels_classic.routing import route as route
    from channels_classic.routing import route_class as route_class

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

__getattr__ = lazy_names(
    __name__,
    {
        "Channel": "channels_classic.channel",
        "Group": "channels_classic.channel",
        "channel_layers": "channels_classic.asgi",
        "include": "channels_classic.routing",
        "route": "channels_classic.routing",
        "route_class": "channels_classic.routing",
    },
)
