"""Consumers as classes: the classic module ``channels.generic`` (specification, section 10)."""

from channels_classic.generic.base import BaseConsumer

__all__ = ["BaseConsumer"]
