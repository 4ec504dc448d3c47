"""The channel layers over Redis: one, several, or those that sentinels know."""

from __future__ import annotations

from channels_classic.layers.redis.layer import RedisChannelLayer
from channels_classic.layers.redis.sentinel import RedisSentinelChannelLayer

__all__ = ["RedisChannelLayer", "RedisSentinelChannelLayer"]
