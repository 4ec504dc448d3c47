"""How this package decorates consumers: functions and methods alike, in any nesting."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from channels_classic.message import Message

Consumer = TypeVar("Consumer", bound=Callable[..., Any])
Consume = Callable[[], Any]
"""A consumer with its message and all else it is called with."""

AROUND_ALL = "_around_all"
"""The attribute of a decorated consumer that says what goes around all its decorators.

A session must not be read before the message's turn: so the turn is taken first, wherever its decorator stands.
What decorates the consumer further inherits the attribute.
"""


def consumer_decorator(around: Callable[[Message, Consume], Any]) -> Callable[[Consumer], Consumer]:
    """Make a decorator for consumers of what is to happen around one.

    Arguments:
        around: called with the message and the consumer; gives what the consumer returned.
    """

    def decorator(consumer: Consumer) -> Consumer:
        @functools.wraps(consumer)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            message = message_of(args, kwargs)
            run = functools.partial(around, message, functools.partial(consumer, *args, **kwargs))
            first = decorated.__dict__.get(AROUND_ALL)
            return run() if first is None else first(message, run)

        return decorated  # type: ignore[return-value]

    decorator.__name__ = around.__name__
    decorator.__qualname__ = around.__qualname__
    decorator.__module__ = around.__module__
    decorator.__doc__ = around.__doc__
    return decorator


def message_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Message:
    """The message that a consumer, a function or a method, is called with.

    Raises:
        TypeError: there is none.
    """
    if "message" in kwargs:
        message: Message = kwargs["message"]
        return message
    if not args:
        raise TypeError("A consumer is called with its message first (a method: after self), but there is none.")
    # Behind ``self``, unless it comes first.
    if len(args) > 1 and not isinstance(args[0], Message):
        return args[1]  # type: ignore[no-any-return]
    return args[0]  # type: ignore[no-any-return]
