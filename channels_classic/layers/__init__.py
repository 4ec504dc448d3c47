"""Channel layers: the contract between the processes, and the layers that keep it.

This package knows nothing of Django, so that the interface server can use it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.exceptions import ChannelFull, Lapsed, LayerUnavailable, MessageTooLarge
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.takers import Taker
from channels_classic.layers.types import (
    Beat,
    Client,
    DeadLetter,
    Delivery,
    Lease,
    Lost,
    Process,
    Received,
    Swept,
    Turn,
)
from channels_classic.lazy import lazy_names

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer as RedisChannelLayer
    from channels_classic.layers.redis import RedisSentinelChannelLayer as RedisSentinelChannelLayer

__all__ = [
    "BaseChannelLayer",
    "Beat",
    "ChannelFull",
    "Client",
    "DeadLetter",
    "Delivery",
    "InMemoryChannelLayer",
    "Lapsed",
    "LayerUnavailable",
    "Lease",
    "Lost",
    "MessageTooLarge",
    "Process",
    "Received",
    "Swept",
    "Taker",
    "Turn",
]

# Importing redis-py takes longer than all the rest of this package, and many processes never need it.
__getattr__ = lazy_names(
    __name__,
    {
        "RedisChannelLayer": "channels_classic.layers.redis",
        "RedisSentinelChannelLayer": "channels_classic.layers.redis",
    },
)
