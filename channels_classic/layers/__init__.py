"""Channel layers: the contract between the processes, and the layers that keep it.

This package knows nothing of Django, so that the interface server can use it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels_classic.layers.base import BaseChannelLayer, Delivery, Received
from channels_classic.layers.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.layers.memory import InMemoryChannelLayer

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer as RedisChannelLayer
    from channels_classic.layers.redis import RedisSentinelChannelLayer as RedisSentinelChannelLayer

__all__ = [
    "BaseChannelLayer",
    "ChannelFull",
    "Delivery",
    "InMemoryChannelLayer",
    "LayerUnavailable",
    "MessageTooLarge",
    "Received",
]

# Importing redis-py takes longer than all the rest of this package, and many processes never need it.
_ON_DEMAND = {
    "RedisChannelLayer": "channels_classic.layers.redis",
    "RedisSentinelChannelLayer": "channels_classic.layers.redis",
}


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        from importlib import import_module

        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
