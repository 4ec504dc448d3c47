"""``Channel`` and ``Group``, to which application code sends messages (specification, section 5)."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from channels_classic import old_forms, pending
from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layer_settings.layers import bare_layers
from channels_classic.layers import BaseChannelLayer
from channels_classic.layers.codec import check_message
from channels_classic.layers.names import check_channel, check_group
from channels_classic.own_sends import bare_layer
from channels_classic.patience import through_outages


class _Named:
    """A name on a channel layer.

    Arguments:
        name: a ``str``; the class decides which names are allowed.
        alias: which of ``settings.CHANNEL_LAYERS`` it is on.
        channel_layer: the layer itself, instead of its alias.

    Raises:
        TypeError: a bad name.
    """

    def __init__(
        self, name: str, alias: str = DEFAULT_CHANNEL_LAYER, channel_layer: BaseChannelLayer | None = None
    ) -> None:
        if old_forms.accepted:
            name = old_forms.name_of(name)
        self._check(name)
        self.name = name
        self.channel_layer: Any = bare_layers[alias] if channel_layer is None else channel_layer

    @staticmethod
    def _check(name: str) -> None:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Channel(_Named):
    """A channel that messages can be sent to.

    Arguments:
        name: the channel's name, a ``str``.
        alias: which of ``settings.CHANNEL_LAYERS`` it is on.
        channel_layer: the layer itself, instead of its alias.

    Raises:
        TypeError: a bad name.
    """

    _check = staticmethod(check_channel)

    @classmethod
    def of_message(cls, name: str, channel_layer: BaseChannelLayer) -> Channel:
        """The channel of a received message, whose name the layer has already checked."""
        channel = cls.__new__(cls)
        channel.name = name
        channel.channel_layer = channel_layer
        return channel

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Send ``content`` to the channel.

        Inside a consumer, the message is sent after the consumer has ended, in order with its other messages.

        Arguments:
            immediately: send it now, even inside a consumer.

        Raises:
            ChannelFull: it is sent now, and the channel is full.
            MessageTooLarge: it takes more than 1 MiB as JSON.
            TypeError: it is not a dict, or has a value that channel layers do not accept.
        """
        check_message(content)
        self.send_checked(content, immediately)

    def send_checked(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Do as ``send``, for content that is known to be valid."""
        layer = bare_layer(self.channel_layer, "send")
        if layer is None:
            pending.call(self.channel_layer.send, self.name, content, immediately)
            return
        delivery = layer.prepare(self.name, content, checked=True)
        if not pending.collect(layer, delivery, immediately):
            pending.send(layer, delivery)

    async def asend(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Do as ``send``, without blocking the event loop."""
        check_message(content)
        layer = bare_layer(self.channel_layer, "send")
        if layer is None:
            await sync_to_async(pending.call)(self.channel_layer.send, self.name, content, immediately)
            return
        delivery = layer.prepare(self.name, content, checked=True)
        if not pending.collect(layer, delivery, immediately):
            await pending.asend(layer, delivery)


class Group(_Named):
    """A set of channels that a message can be sent to at once.

    Arguments:
        name: the group's name, a ``str``.
        alias: which of ``settings.CHANNEL_LAYERS`` it is on.
        channel_layer: the layer itself, instead of its alias.

    Raises:
        TypeError: a bad name.
    """

    _check = staticmethod(check_group)

    def add(self, channel: Channel | str) -> None:
        """Make ``channel`` a member, until it is discarded or the layer's ``group_expiry`` has passed.

        In a worker it waits for a layer that does not answer. In an ``async def`` use the asynchronous form.
        """
        pending.warn_of_blocking("Group.add", "aadd")
        through_outages(
            lambda: self.channel_layer.group_add(self.name, _channel_name(channel)), self.channel_layer
        )

    def discard(self, channel: Channel | str) -> None:
        """End the membership of ``channel``; nothing happens if it is not a member.

        In a worker it waits for a layer that does not answer. In an ``async def`` use the asynchronous form.
        """
        pending.warn_of_blocking("Group.discard", "adiscard")
        through_outages(
            lambda: self.channel_layer.group_discard(self.name, _channel_name(channel)), self.channel_layer
        )

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Send ``content`` to every member; members that are full are skipped.

        Arguments:
            immediately: send it now, even inside a consumer.

        Raises:
            MessageTooLarge: it takes more than 1 MiB as JSON.
            TypeError: it has a value that channel layers do not accept.
            ValueError: it is not a dict.
        """
        _check_content(content)
        layer = bare_layer(self.channel_layer, "send_group")
        if layer is None:
            pending.call(self.channel_layer.send_group, self.name, content, immediately)
            return
        delivery = layer.prepare_group(self.name, content)
        if not pending.collect(layer, delivery, immediately):
            pending.send(layer, delivery)

    async def aadd(self, channel: Channel | str) -> None:
        """Do as ``add``, without blocking the event loop."""
        await sync_to_async(self.add)(channel)

    async def adiscard(self, channel: Channel | str) -> None:
        """Do as ``discard``, without blocking the event loop."""
        await sync_to_async(self.discard)(channel)

    async def asend(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Do as ``send``, without blocking the event loop."""
        _check_content(content)
        layer = bare_layer(self.channel_layer, "send_group")
        if layer is None:
            await sync_to_async(pending.call)(self.channel_layer.send_group, self.name, content, immediately)
            return
        delivery = layer.prepare_group(self.name, content)
        if not pending.collect(layer, delivery, immediately):
            await pending.asend(layer, delivery)


def _check_content(content: Any) -> None:
    if not isinstance(content, dict):
        raise ValueError(f"The message to a group must be a dict, not {content!r}.")


def _channel_name(channel: Channel | str) -> str:
    name: str = channel.name if isinstance(channel, Channel) else old_forms.name_of(channel)
    return name
