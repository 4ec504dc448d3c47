"""The channel layers over Redis: one server, several, or masters that Redis Sentinel knows."""

from __future__ import annotations

from channels_classic.layers.redis.layer import RedisChannelLayer
from channels_classic.layers.redis.sentinel import RedisSentinelChannelLayer

__all__ = ["RedisChannelLayer", "RedisSentinelChannelLayer"]
