"""The former ``asgiref.inmemory``."""

from __future__ import annotations

from channels_classic.layers import InMemoryChannelLayer as ChannelLayer

__all__ = ["ChannelLayer"]
