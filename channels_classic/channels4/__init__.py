"""The channel layers of this project with the asynchronous interface of Channels 4.

Name one of the classes as ``BACKEND`` in ``CHANNEL_LAYERS``. They need the package ``channels``, version 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic.lazy import lazy_names

if TYPE_CHECKING:
    from channels_classic.channels4.exceptions import ChannelFull as ChannelFull
    from channels_classic.channels4.layers import ClassicChannelLayer as ClassicChannelLayer
    from channels_classic.channels4.layers import RedisChannelLayer as RedisChannelLayer
    from channels_classic.channels4.layers import RedisSentinelChannelLayer as RedisSentinelChannelLayer

__all__ = ["ChannelFull", "ClassicChannelLayer", "RedisChannelLayer", "RedisSentinelChannelLayer"]

# The settings and the checks import this package even without Channels 4.
__getattr__ = lazy_names(
    __name__,
    {
        "ChannelFull": "channels_classic.channels4.exceptions",
        "ClassicChannelLayer": "channels_classic.channels4.layers",
        "RedisChannelLayer": "channels_classic.channels4.layers",
        "RedisSentinelChannelLayer": "channels_classic.channels4.layers",
    },
)
