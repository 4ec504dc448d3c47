"""The rest of ``asgi_redis``, besides the layers of this project."""

from __future__ import annotations

from channels_classic.layers.redis import RedisChannelLayer

__all__ = ["BaseRedisChannelLayer", "RedisLocalChannelLayer", "UnsupportedRedis"]

BaseRedisChannelLayer = RedisChannelLayer


class UnsupportedRedis(Exception):
    """What was raised for a Redis that is too old. Now the first trip to it fails with a text that says so."""


class RedisLocalChannelLayer(RedisChannelLayer):
    """The Redis layer under another old name.

    The old class kept requests and frames on the machine of their client, so workers had to run there. Here
    everything is in Redis, and a worker on any machine takes it.
    """
