"""``enforce_ordering``: the messages of one client one after another (specification, section 8).

How that holds with any number of workers is told in ``docs/ordering.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

from channels_classic import pending
from channels_classic.decorators import AROUND_ALL, Consume, consumer_decorator
from channels_classic.exceptions import ConsumeLater
from channels_classic.layers import BaseChannelLayer, ChannelFull, LayerUnavailable
from channels_classic.layers.names import random_part
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.sessions.store import can_keep_channel_sessions, with_channel_session

Consumer = TypeVar("Consumer", bound=Callable[..., Any])
Result = TypeVar("Result")


LAST_CHANNEL = "websocket.disconnect"
"""No message of a client comes after the one on this channel."""

TRY_AGAIN_LATER = 1013
"""The close code for a client that sends more than can wait for its turn."""


@overload
def enforce_ordering(func: Consumer, slight: bool = False) -> Consumer: ...


@overload
def enforce_ordering(func: None = None, slight: bool = False) -> Callable[[Consumer], Consumer]: ...


def enforce_ordering(func: Any = None, slight: bool = False) -> Any:
    """Let this consumer handle a client's messages in the order in which the client sent them.

    A message that comes early waits in the channel layer, where it keeps no worker from other work. All consumers
    of a socket have to be decorated, those of ``websocket.connect`` and ``websocket.disconnect`` too: to wait for
    a message that nobody counts takes more than a minute. The consumer gets ``message.channel_session`` as well,
    unless that would be in a signed cookie.

    Arguments:
        func: the consumer: for ``@enforce_ordering`` without parentheses.
        slight: only the message of order 0 (``websocket.connect``) comes first, all others run as they come.

    Raises:
        ValueError: (when the consumer is called) the message has no reply channel, or no usable ``order``.
    """

    def decorator(consumer: Consumer) -> Consumer:
        around = _slight if slight and consumer.__dict__.get(AROUND_ALL) is not _strict else _strict
        decorated = consumer_decorator(around)(consumer)
        setattr(decorated, AROUND_ALL, around)
        return decorated

    return decorator if func is None else decorator(func)


def _strict(message: Message, consume: Consume) -> Any:
    return _in_order(message, consume, slight=False)


def _slight(message: Message, consume: Consume) -> Any:
    return _in_order(message, consume, slight=True)


def _in_order(message: Message, consume: Consume, slight: bool) -> Any:
    if message.has_turn:  # a decorator further out has seen to it
        return consume()
    order = message.get("order")
    if message.reply_channel is None or order is None:
        lacking = "order" if message.reply_channel else "reply_channel"
        raise ValueError(
            f"enforce_ordering needs messages with reply_channel and order, but this one on "
            f"{message.channel.name!r} has no {lacking}. Only those of WebSockets have both."
        )
    token = random_part()
    if not _enter(message, order, slight, token):
        return None
    # One that others need not wait for has no turn: a strict consumer that this one calls has to take it.
    message.has_turn = order == 0 or not slight
    last = message.channel.name == LAST_CHANNEL
    ends = last or order == 0 or not slight
    try:
        if can_keep_channel_sessions():
            return with_channel_session(message, consume)
        return consume()
    except ConsumeLater:
        if ends and not getattr(message, "__doomed__", False):
            # Before the message is back on its channel, from where another worker may take it at once.
            _suspend(message, order, token)
            ends = False
        raise
    finally:
        message.has_turn = False
        if ends:
            layer = message.channel_layer
            pending.end_turn(layer, layer.end_of_turn(message.reply_channel.name, order, last=last))


def _enter(message: Message, order: Any, slight: bool, token: str) -> bool:
    assert message.reply_channel is not None
    reply_channel = message.reply_channel.name
    layer = message.channel_layer

    def enter() -> bool:
        pending.settle_turn(reply_channel)
        return layer.enter_turn(
            reply_channel, order, message.channel.name, message.content, slight=slight, token=token
        )

    try:
        return _through_outages(enter, layer)
    except ChannelFull as error:
        logger.error("%s", error)
        if message.channel.name.startswith("websocket."):
            message.reply_channel.send({"close": TRY_AGAIN_LATER})
        return False


def _suspend(message: Message, order: Any, token: str) -> None:
    assert message.reply_channel is not None
    reply_channel = message.reply_channel.name
    layer = message.channel_layer
    try:
        _through_outages(lambda: layer.suspend_turn(reply_channel, order, token), layer)
    except (LayerUnavailable, ConsumeLater) as error:
        # The message goes back all the same: whether it is lost is then a question of that, and not of this.
        logger.error(
            "The turn of message %d of %s was not given up. %s", order, reply_channel, error.__cause__ or error
        )


def _through_outages(step: Callable[[], Result], layer: BaseChannelLayer) -> Result:
    """Take a step that may be taken twice, again and again for as long as a message lives in a queue.

    Raises:
        ConsumeLater: the layer does not answer, and the worker stops: it cannot wait.
        LayerUnavailable: it has not answered for as long as a message lives.
    """
    failures = 0
    deadline = 0.0
    while True:
        try:
            return step()
        except LayerUnavailable as error:
            failures += 1
            if failures == 1:  # mostly a connection that broke: a new one will do
                deadline = time.monotonic() + layer.expiry
            elif time.monotonic() > deadline:
                raise
            elif not pending.wait_out(error, failures - 1):
                raise ConsumeLater from error
