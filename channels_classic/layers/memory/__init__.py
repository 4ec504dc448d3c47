"""The channel layer of one process."""

from __future__ import annotations

from channels_classic.layers.memory.layer import InMemoryChannelLayer

__all__ = ["InMemoryChannelLayer"]
