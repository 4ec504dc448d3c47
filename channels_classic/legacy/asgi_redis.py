"""What ``asgi_redis`` had besides the layers that we have."""

from __future__ import annotations

from channels_classic.layers.redis import RedisChannelLayer

__all__ = ["RedisLocalChannelLayer"]


class RedisLocalChannelLayer(RedisChannelLayer):
    """The Redis layer under another old name.

    It kept requests and frames on the machine of their client, and so its workers as well. Here all of it is in
    Redis, and a worker on any machine takes it.
    """
