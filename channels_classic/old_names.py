"""The names of Channels 1 and the current names (specification, section 13)."""

from __future__ import annotations

import sys

PACKAGES = {
    "channels.management": "channels_classic.legacy.management",
    "channels": "channels_classic",
    "asgi_redis": "channels_classic.layers",
    "asgiref.base_layer": "channels_classic.legacy.base_layer",
    "asgiref.inmemory": "channels_classic.legacy.inmemory",
}
"""Old packages and modules, and the current ones. The first that fits stands for all modules below it too."""

MOVED = {
    "channels_classic.delay.worker": "worker.delay",
    "channels_classic.layers.core": "channels_classic.layers",
    "channels_classic.layers.local": "channels_classic.legacy.asgi_redis",
    "channels_classic.layers.sentinel": "channels_classic.layers.redis.sentinel",
    "channels_classic.test.base": "channels_classic.test",
    "channels_classic.test.http": "channels_classic.test",
    "channels_classic.tests.base": "channels_classic.test",
    "channels_classic.tests.http": "channels_classic.test",
    "channels_classic.utils": "channels_classic.legacy.names",
    "channels_classic.worker": "worker",
}
"""Modules whose current name does not follow from the current name of their package."""

ADDED = {
    "channels_classic.apps": {"ChannelsConfig": "channels_classic.legacy.names"},
    "channels_classic.generic.websockets": {"WebsocketDemultiplexer": "channels_classic.legacy.streams"},
    "channels_classic.layers": {
        "BaseRedisChannelLayer": "channels_classic.legacy.asgi_redis",
        "RedisLocalChannelLayer": "channels_classic.legacy.asgi_redis",
        "UnsupportedRedis": "channels_classic.legacy.asgi_redis",
    },
    "channels_classic.message": {
        "PendingMessageStore": "channels_classic.legacy.names",
        "pending_message_store": "channels_classic.legacy.names",
    },
    "channels_classic.sessions": {
        "requeue_messages": "channels_classic.legacy.names",
        "wait_channel_name": "channels_classic.legacy.names",
    },
    "worker": {"StopWorkerGroupLoop": "channels_classic.legacy.names"},
}
"""Names that modules have, or that mean something else, for old code only, and where they are defined."""


def legacy_is_active() -> bool:
    """Whether ``channels_classic.legacy`` was imported, so that the old names are in use."""
    return "channels_classic.legacy" in sys.modules


def current_name(name: str) -> str | None:
    """The current name of the module that was called ``name``; ``None`` if it is not one of ours."""
    for old, new in PACKAGES.items():
        if name == old or name.startswith(f"{old}."):
            name = new + name[len(old) :]
            return MOVED.get(name, name)
    return MOVED.get(name)
