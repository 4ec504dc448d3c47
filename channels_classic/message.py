"""``Message``, the argument of a consumer (specification, section 5)."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any

from django.utils.functional import cached_property

from channels_classic import old_forms
from channels_classic.channel import Channel
from channels_classic.layers import BaseChannelLayer


class Message:
    """A message that came over a channel.

    Arguments:
        content: the message as the layer delivered it.
        channel_name: the channel it came over.
        channel_layer: the layer it came from.
    """

    # The attributes that the decorators of sessions, ordering and auth set.
    channel_session: Any
    http_session: Any
    user: Any
    has_http_session = False
    """Whether a decorator around the consumer will save ``http_session``."""
    deliveries = 1
    """How many times the message was delivered, this time included. It is more than 1 only on an at-least-once
    channel, after a worker died with the message."""
    has_turn = False
    """Whether a decorator around the consumer will end the turn of this message."""

    def __init__(self, content: dict[str, Any], channel_name: str, channel_layer: BaseChannelLayer) -> None:
        if old_forms.accepted:
            content = old_forms.content_of(content, channel_name)
        self.content = content
        self.channel_name = channel_name
        self.channel_layer = channel_layer
        reply_channel = content.get("reply_channel")
        self.reply_channel = Channel(reply_channel, channel_layer=channel_layer) if reply_channel else None

    @cached_property
    def channel(self) -> Channel:
        """The channel that it came over. It is made when it is first used, because few consumers use it."""
        return Channel.of_message(self.channel_name, self.channel_layer)

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self.content

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key`` in the content, or ``default``."""
        return self.content.get(key, default)

    def keys(self) -> KeysView[str]:
        """The keys of the content."""
        return self.content.keys()

    def values(self) -> ValuesView[Any]:
        """The values of the content."""
        return self.content.values()

    def items(self) -> ItemsView[str, Any]:
        """The keys of the content with their values."""
        return self.content.items()

    def copy(self) -> Message:
        """A deep copy."""
        return type(self)(copy.deepcopy(self.content), self.channel_name, self.channel_layer)

    def __repr__(self) -> str:
        return f"Message(channel={self.channel_name!r}, content={self.content!r})"
