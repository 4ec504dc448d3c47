"""Decorators for consumers: they work on functions and methods alike, and in any nesting."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from channels_classic.message import Message

Consumer = TypeVar("Consumer", bound=Callable[..., Any])
Consume = Callable[[], Any]
"""A call of a consumer, with its message and its other arguments bound."""
Around = Callable[[Message, Consume], Any]
"""Code around a consumer: it calls its second argument and returns the result."""

TURN = "_turn"
"""The attribute of a decorated consumer that takes the turn of its message.

A session must not be read before the message's turn. So each decorator here takes the turn before it does anything
else, if ``enforce_ordering`` decorates the consumer further in. Other decorators in between have to copy the
attribute, as ``functools.wraps`` does.
"""


DECORATES = "_decorates"
"""The attribute of a decorated consumer that is the consumer it calls."""


def consumer_decorator(around: Around) -> Callable[[Consumer], Consumer]:
    """Make a decorator for consumers from the code that runs around one."""

    def decorator(func: Consumer) -> Consumer:
        return decorated(func, around, turn=getattr(func, TURN, None))

    decorator.__name__ = around.__name__
    decorator.__qualname__ = around.__qualname__
    decorator.__module__ = around.__module__
    decorator.__doc__ = around.__doc__
    return decorator


def decorated(consumer: Consumer, around: Around, turn: Around | None) -> Consumer:
    """A consumer with code around it.

    Arguments:
        consumer: a function or a method, decorated or not.
        around: the code that runs around it.
        turn: the code that takes the message's turn, which has to be outermost; ``None`` for none.
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
        TypeError: there is no message among the arguments.
    """
    if "message" in kwargs:
        message: Message = kwargs["message"]
        return message
    if not args:
        raise TypeError("A consumer takes a message as its first argument (a method: after self), but got none.")
    # The message comes after ``self``, or first.
    if len(args) > 1 and not isinstance(args[0], Message):
        return args[1]  # type: ignore[no-any-return]
    return args[0]  # type: ignore[no-any-return]
