"""``enforce_ordering``: the messages of one client one after another (specification, section 8).

``docs/ordering.md`` explains how this works with any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from channels_classic import pending
from channels_classic.asynchronous import Work, around
from channels_classic.channel import Channel
from channels_classic.decorators import TURN, Consume, decorated
from channels_classic.exceptions import ConsumeLater
from channels_classic.layers import ChannelFull, LayerUnavailable, Lease, Turn
from channels_classic.layers.names import random_part
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.patience import through_outages
from channels_classic.sessions.store import LAST_CHANNEL, can_keep_channel_sessions, with_channel_session

Consumer = TypeVar("Consumer", bound=Callable[..., Any])

TRY_AGAIN_LATER = 1013
"""The close code for a client that sends more than can wait for its turn."""


@overload
def enforce_ordering(func: Consumer, slight: bool = False) -> Consumer: ...


@overload
def enforce_ordering(func: None = None, slight: bool = False) -> Callable[[Consumer], Consumer]: ...


def enforce_ordering(func: Any = None, slight: bool = False) -> Any:
    """Make a consumer handle a client's messages in the order in which the client sent them.

    A message that comes early waits in the channel layer, so that no worker is busy with it. Decorate all
    consumers of a socket, including those of ``websocket.connect`` and ``websocket.disconnect``. Otherwise the
    decorated ones wait for more than a minute for messages that do not take part. The consumer also gets
    ``message.channel_session``, unless sessions are kept in signed cookies.

    Arguments:
        func: the consumer: for ``@enforce_ordering`` without parentheses.
        slight: only the message of order 0 (``websocket.connect``) comes first. All others run as they come.

    Raises:
        ValueError: (when the consumer is called) the message has no reply channel, or no usable ``order``.
    """

    def decorator(consumer: Consumer) -> Consumer:
        turn = _slight if slight and getattr(consumer, TURN, None) is not _strict else _strict
        return decorated(consumer, turn, turn)

    return decorator if func is None else decorator(func)


def _strict(message: Message, consume: Consume) -> Any:
    return _in_order(message, consume, slight=False)


def _slight(message: Message, consume: Consume) -> Any:
    return _in_order(message, consume, slight=True)


def _in_order(message: Message, consume: Consume, slight: bool) -> Any:
    if message.has_turn:  # an outer decorator has taken the turn
        return consume()
    turn = _Turn(message, slight)
    if not turn.enter():
        return None
    # A message that others need not wait for has no turn: a strict consumer that this one calls has to take it.
    message.has_turn = turn.is_strict

    def end(error: BaseException | None) -> Work | None:
        message.has_turn = False
        if not turn.has_end:
            return None
        if isinstance(error, ConsumeLater) and not getattr(message, "__doomed__", False):
            # Before the message is back on its channel, from where another worker may take it at once.
            return turn.suspend
        turn.end()
        return None

    if can_keep_channel_sessions():
        return around(lambda: with_channel_session(message, consume), end)
    return around(consume, end)


class _Turn:
    """The turn of one message among those of its client. The channel layer keeps it.

    Arguments:
        message: it must have a reply channel and an order.
        slight: only the first message of the client comes before all others.

    Raises:
        ValueError: the message lacks one of the two.
    """

    def __init__(self, message: Message, slight: bool) -> None:
        order = message.get("order")
        if message.reply_channel is None or order is None:
            lacking = "order" if message.reply_channel else "reply_channel"
            raise ValueError(
                f"enforce_ordering needs messages with reply_channel and order, but this one on "
                f"{message.channel.name!r} has no {lacking}. Only those of WebSockets have both."
            )
        self._message = message
        self._layer = message.channel_layer
        self._client: Channel = message.reply_channel
        self._turn = Turn(self._client.name, order, message.channel.name, slight, random_part())
        self._is_last = message.channel.name == LAST_CHANNEL
        self.is_strict = order == 0 or not slight
        """Whether other messages of the client wait for this one."""
        self.has_end = self.is_strict or self._is_last

    def enter(self) -> bool:
        """Ask for the turn.

        Returns:
            Whether it is this message's turn; if not, the layer keeps the message until it is, or has dropped it.

        Raises:
            ConsumeLater, LayerUnavailable: the layer does not answer; see ``through_outages``.
        """
        message = self._message

        def enter() -> bool:
            pending.settle_turn(self._client.name)
            return self._layer.enter_turn(self._turn, message.content)

        try:
            has_turn = through_outages(enter, self._layer, stopping=ConsumeLater)
        except ChannelFull as error:
            logger.error("%s", error)
            if message.channel.name.startswith("websocket."):
                self._client.send({"close": TRY_AGAIN_LATER})
            return False
        if has_turn and self.is_strict:
            pending.turn_began(Lease(self._turn.reply_channel, self._turn.order, self._turn.token))
        return has_turn

    def suspend(self) -> None:
        """Give up the turn for now: the message goes back to its channel, and will ask again."""
        try:
            through_outages(lambda: self._layer.suspend_turn(self._turn), self._layer)
        except LayerUnavailable as error:
            # The message still goes back to its channel. Only if that fails is it lost.
            logger.error(
                "The turn of message %d of %s was not given up. %s",
                self._turn.order,
                self._turn.reply_channel,
                error,
            )

    def end(self) -> None:
        """End the turn, behind all messages that the consumer sent."""
        turn = self._turn
        end = self._layer.end_of_turn(turn.reply_channel, turn.order, last=self._is_last)
        pending.end_turn(self._layer, end)
