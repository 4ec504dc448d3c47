"""How this package decorates consumers: functions and methods alike, in any nesting."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from channels_classic.message import Message

Consumer = TypeVar("Consumer", bound=Callable[..., Any])
Consume = Callable[[], Any]
"""A consumer with its message and all else it is called with."""
Around = Callable[[Message, Consume], Any]
"""Code around a consumer: it calls ``Consume`` and returns the result."""

TURN = "_turn"
"""The attribute of a decorated consumer that takes the turn of its message.

A session must not be read before the message's turn. So each decorator here takes the turn before it does
anything else, if ``enforce_ordering`` decorates the consumer further in. A decorator of somebody else's in between
hands the attribute on, as ``functools.wraps`` does.
"""


DECORATES = "_decorates"
"""The attribute of a decorated consumer that is the consumer it calls."""


def consumer_decorator(around: Around) -> Callable[[Consumer], Consumer]:
    """Make a decorator for consumers of what is to happen around one."""

    def decorator(consumer: Consumer) -> Consumer:
        return decorated(consumer, around, turn=getattr(consumer, TURN, None))

    decorator.__name__ = around.__name__
    decorator.__qualname__ = around.__qualname__
    decorator.__module__ = around.__module__
    decorator.__doc__ = around.__doc__
    return decorator


def decorated(consumer: Consumer, around: Around, turn: Around | None) -> Consumer:
    """A consumer with something around it.

    Arguments:
        consumer: a function or a method, decorated or not.
        around: what is to happen around it.
        turn: what has to be around all of it, because it takes the message's turn; ``None`` for nothing.
    """

    @functools.wraps(consumer)
    def run(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args, kwargs)
        consume = functools.partial(around, message, functools.partial(consumer, *args, **kwargs))
        return consume() if turn is None else turn(message, consume)

    setattr(run, TURN, turn)
    setattr(run, DECORATES, consumer)
    return run  # type: ignore[return-value]


def message_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Message:
    """The message that a consumer, a function or a method, is called with.

    Raises:
        TypeError: there is none.
    """
    if "message" in kwargs:
        message: Message = kwargs["message"]
        return message
    if not args:
        raise TypeError("A consumer takes a message as its first argument (a method: after self), but got none.")
    # Behind ``self``, unless it comes first.
    if len(args) > 1 and not isinstance(args[0], Message):
        return args[1]  # type: ignore[no-any-return]
    return args[0]  # type: ignore[no-any-return]
