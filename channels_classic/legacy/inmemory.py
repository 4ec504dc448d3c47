"""The former ``asgiref.inmemory``."""

from __future__ import annotations

from channels_classic.layers import InMemoryChannelLayer as ChannelLayer

__all__ = ["ChannelLayer", "channel_layer"]

channel_layer = ChannelLayer()
"""A layer that all code of a process can share."""
