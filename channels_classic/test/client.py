"""``Client``: sends messages, runs their consumers as a worker would, and receives the replies."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.asgi import channel_layers
from channels_classic.asynchronous import Work, around, rest_of
from channels_classic.channel import Channel, Group
from channels_classic.exceptions import ConsumeLater, DenyConnection
from channels_classic.layers import BaseChannelLayer
from channels_classic.message import Message
from channels_classic.pending import PendingSends
from channels_classic.routing import Consumer, Router
from channels_classic.test.commits import tell_changes
from channels_classic.test.layers import next_received
from worker.consume import consume

RETRIES = 10
"""How many times ``ConsumeLater`` may put a message back, as in a worker."""


class Client:
    """A client with a reply channel (specification, section 11).

    Arguments:
        alias: the alias in ``settings.CHANNEL_LAYERS`` of the client's layer.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        self.reply_channel: str = self.channel_layer.new_channel("test.client?")
        self._ended_by: DenyConnection | ConsumeLater | None = None

    @property
    def channel_layer(self) -> Any:
        """The channel layer of the client."""
        return channel_layers[self.alias]

    def send(self, to: str, content: dict[str, Any] | None = None) -> None:
        """Send a message, with the client's reply channel unless ``content`` has one, to the channel ``to``."""
        content = copy.deepcopy(content or {})
        content.setdefault("reply_channel", self.reply_channel)
        self.channel_layer.send(to, content)

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """Run the consumer of the next message on ``channel``, and send its messages.

        This does what a worker does: ``DenyConnection``, ``ConsumeLater`` and the exceptions that act on a socket
        have their effect, and a socket without an answer is accepted.

        Arguments:
            fail_on_none: whether the test fails if there is no message, or no consumer for it.

        Returns:
            The result of the consumer.

        Raises:
            AssertionError: see ``fail_on_none``.
            ChannelFull: the consumer has sent to a full channel.
            BaseException: the exception of the consumer, if a worker would log it as an error.
        """
        message = self.get_next_message(channel)
        if message is None:
            if fail_on_none:
                raise AssertionError(f"No message for channel {channel}: none was sent, or all have been taken.")
            return None
        match = self.channel_layer.router.match(message)
        if match is None:
            if fail_on_none:
                raise AssertionError(f"Can't find consumer for message {message!r}: no route matches it.")
            return None
        return self._run(message, *match)

    def send_and_consume(
        self, channel: str, content: dict[str, Any] | None = None, fail_on_none: bool = True
    ) -> Any:
        """``send``, then ``consume``."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    def receive(self) -> Any:
        """The content of the next reply, or ``None`` if there is none."""
        message = self.get_next_message(self.reply_channel)
        return None if message is None else message.content

    def join_group(self, group_name: str) -> None:
        """Make the client a member of a group."""
        tell_changes()  # bindings tell the client what happens from now on
        Group(group_name, channel_layer=self.channel_layer).add(self.reply_channel)

    def get_next_message(self, channel: Channel | str) -> Message | None:
        """The next message on ``channel``, or ``None`` if there is none."""
        received = next_received(self.channel_layer, str(channel))
        return None if received is None else Message(received.content, received.channel, self.channel_layer)

    def get_consumer_by_channel(self, channel: str) -> Consumer | None:
        """The consumer for a message on ``channel`` with nothing but an empty text."""
        match = self.channel_layer.router.match(Message({"text": ""}, channel, self.channel_layer))
        return match[0] if match else None

    def _run(self, message: Message, consumer: Consumer, kwargs: dict[str, Any]) -> Any:
        result: Any = None
        errors: list[BaseException] = []
        self._ended_by = None

        async def noted(rest: Awaitable[Any]) -> Any:
            nonlocal result
            awaited = await rest
            if result is rest:  # the result of a class-based consumer is the object
                result = awaited
            return awaited

        def called() -> Any:
            nonlocal result
            result = consumer(message, **kwargs)
            rest = rest_of(result)
            return result if rest is None else noted(rest)

        def ended(error: BaseException | None) -> Work:
            if isinstance(error, (DenyConnection, ConsumeLater)):
                self._ended_by = error
            return tell_changes

        @wraps(consumer)
        def observed(message: Message) -> Any:
            return around(called, ended)

        with connections_left_alone():
            pending = consume(
                message,
                Router({message.channel.name: observed}),
                RETRIES,
                sender=type(self),
                on_error=lambda error, *_: errors.append(error),
            )
        full = deliver(pending)
        if errors:
            raise errors[0]
        if full is not None:
            raise full
        return result


@contextmanager
def connections_left_alone() -> Iterator[None]:
    """While the block runs, do not close database connections around views: a test may be in a transaction."""
    connected = [
        signal for signal in (request_started, request_finished) if signal.disconnect(close_old_connections)
    ]
    try:
        yield
    finally:
        for signal in connected:
            signal.connect(close_old_connections)


def deliver(pending: PendingSends) -> Exception | None:
    """Send the messages of a consumer in order.

    Returns:
        A text about the first message that found its channel full, if there was one. The others were sent.
    """
    error = None
    for layer, delivery in pending.deliveries:
        bare: BaseChannelLayer = getattr(layer, "channel_layer", layer)
        if bare.send_batch([delivery]):
            error = error or bare.ChannelFull(bare.full_text(delivery.name))
    return error
