"""The layer classes that ``BACKEND`` can name for Channels 4."""

from __future__ import annotations

from typing import Any

from channels_classic import layers
from channels_classic.channels4.adapter import AdaptedLayer
from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layer_settings.layers import bare_layers


class ClassicChannelLayer(AdaptedLayer):
    """The channel layer of classic consumers, for consumers of Channels 4.

    Arguments:
        alias: an alias in ``settings.CHANNELS_CLASSIC_LAYERS``.
        classic_type: as in ``AdaptedLayer``.

    Raises:
        InvalidChannelLayerError: the setting does not describe a layer that can be made.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER, classic_type: str | None = None) -> None:
        # It looks the layer up each time, because a test may replace it.
        super().__init__(lambda: bare_layers[alias], classic_type)


class RedisChannelLayer(AdaptedLayer):
    """A channel layer over Redis, to use instead of that of channels_redis.

    Arguments:
        hosts, config: the keywords of ``channels_classic.layers.RedisChannelLayer``.
        classic_type: as in ``AdaptedLayer``.
    """

    def __init__(self, hosts: Any = None, *, classic_type: str | None = None, **config: Any) -> None:
        layer = layers.RedisChannelLayer(hosts, **config)
        super().__init__(lambda: layer, classic_type)


class RedisSentinelChannelLayer(AdaptedLayer):
    """The same, with servers found through Redis Sentinel.

    Arguments:
        hosts, config: the keywords of ``channels_classic.layers.RedisSentinelChannelLayer``.
        classic_type: as in ``AdaptedLayer``.
    """

    def __init__(self, hosts: Any, *, classic_type: str | None = None, **config: Any) -> None:
        layer = layers.RedisSentinelChannelLayer(hosts, **config)
        super().__init__(lambda: layer, classic_type)
