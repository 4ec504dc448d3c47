"""``BaseConsumer``: a class that maps channels to its methods (specification, section 10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, ClassVar

from channels_classic.asynchronous import rest_of
from channels_classic.auth import channel_session_user
from channels_classic.message import Message
from channels_classic.routing import RouteClass
from channels_classic.sessions import channel_session
from channels_classic.unfinished import check_finished

__all__ = ["BaseConsumer"]


class BaseConsumer:
    """A consumer with a method for each of its channels. Each message is handled by a new instance.

    The methods that handle messages may be ``async def``, each by itself.

    Route it with ``route_class(TheClass, path=...)`` or ``TheClass.as_route(path=...)``.

    Arguments:
        message: the message to handle. The instance handles it at once, and keeps it as ``self.message``.
        kwargs: the named groups of the route's filters, kept as ``self.kwargs``.

    Raises:
        TypeError: (when a class is defined) a method that has to be synchronous is ``async def``.
    """

    method_mapping: Mapping[str, str] = {}
    """The names of channels, each with the name of the method that handles its messages."""

    channel_session = False
    """Whether the methods get ``message.channel_session``."""

    channel_session_user = False
    """Whether the methods get ``message.user`` from the channel session, and ``message.channel_session`` too."""

    _rest: Awaitable[Any] | None = None

    _synchronous: ClassVar[tuple[str, ...]] = ("get_handler",)
    """Methods whose results are used at once."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls._synchronous:
            method = getattr(cls, name, None)
            if iscoroutinefunction(method):
                raise TypeError(
                    f"{method.__qualname__} must be a plain def, because its result is used at once. Do what has "
                    "to be awaited in the method that handles the message."
                )

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message
        self.kwargs = kwargs
        result = self.dispatch(message, **kwargs)
        self._rest = rest_of(result)
        if self._rest is None:
            check_finished(result, type(self).__qualname__)

    @classmethod
    def channel_names(cls) -> set[str]:
        """The channels whose messages the class handles."""
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: Mapping[str, Any] | None = None, **filters: Any) -> RouteClass:
        """A route to this class.

        Arguments:
            attrs: attributes that the class has for this route only.
            filters: regular expressions for keys of the message, which have to match from the start.
        """
        if not attrs:
            return RouteClass(cls, **filters)
        named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return RouteClass(type(cls.__name__, (cls,), {**named, **attrs}), **filters)

    def get_handler(self, message: Message, **kwargs: Any) -> Callable[..., Any]:
        """The method for ``message``, with its decorators. Override it to add others.

        Raises:
            ValueError: the class has no method for the message's channel.
        """
        method = self.method_mapping.get(message.channel.name)
        if method is None:
            raise ValueError(
                f"{type(self).__name__} handles {sorted(self.method_mapping)}, but this message came over "
                f"{message.channel.name!r}: add that channel to method_mapping, or route it to another consumer."
            )
        handler: Callable[..., Any] = getattr(self, method)
        if self.channel_session_user:
            return channel_session_user(handler)
        if self.channel_session:
            return channel_session(handler)
        return handler

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Handle ``message`` with the method that ``get_handler`` returns."""
        return self.get_handler(message, **kwargs)(message, **kwargs)
