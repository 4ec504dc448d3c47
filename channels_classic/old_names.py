"""What the names of Channels 1 are called now (specification, section 13)."""

from __future__ import annotations

import sys

PACKAGES = {
    "channels": "channels_classic",
    "asgi_redis": "channels_classic.layers",
    "asgiref.base_layer": "channels_classic.legacy.base_layer",
    "asgiref.inmemory": "channels_classic.legacy.inmemory",
}
"""Old packages and modules, and what they stand for with all that is below them."""

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
"""Modules that are not where their old name, with its package put right, would have them."""

ADDED = {
    "channels_classic.apps": {"ChannelsConfig": "channels_classic.legacy.names"},
    "channels_classic.layers": {"RedisLocalChannelLayer": "channels_classic.legacy.asgi_redis"},
    "channels_classic.management.commands.runserver": {"WorkerThread": "channels_classic.legacy.names"},
    "channels_classic.message": {
        "PendingMessageStore": "channels_classic.legacy.names",
        "pending_message_store": "channels_classic.legacy.names",
    },
    "channels_classic.sessions": {"wait_channel_name": "channels_classic.legacy.names"},
    "worker": {"StopWorkerGroupLoop": "channels_classic.legacy.names"},
}
"""What modules have under their old name that nobody needs but old code, and where it is."""


def legacy_is_active() -> bool:
    """Whether ``channels_classic.legacy`` was imported, so that the old names are in use."""
    return "channels_classic.legacy" in sys.modules


def current_name(name: str) -> str | None:
    """What the module that was called ``name`` is called now; ``None`` if it is not ours to say."""
    for old, new in PACKAGES.items():
        if name == old or name.startswith(f"{old}."):
            name = new + name[len(old) :]
            return MOVED.get(name, name)
    return MOVED.get(name)
