"""From a message to its consumer (specification, section 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Protocol

from channels_classic import old_forms
from channels_classic.consumer_checks import check_call, resolve_consumer
from channels_classic.dotted import import_dotted
from channels_classic.http.consumer import ViewConsumer
from channels_classic.layers.names import check_receivable, is_normal
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.old_forms import name_of, pattern_of

Consumer = Callable[..., Any]
Match = tuple[Consumer, dict[str, Any]]
PATH_HINT = " To route by path, write a list with route('websocket.receive', consumer, path=r'^/chat/$')."

Routing = Mapping[str, Consumer | str] | Sequence["RouteLike"] | str


class RouteLike(Protocol):
    """A part of a routing."""

    def match(self, message: Message) -> Match | None:
        """The consumer for ``message`` and its keyword arguments, or ``None``."""

    def channel_names(self) -> set[str]:
        """The channels whose messages this may match."""


def _checked_channels(channels: str | Sequence[str]) -> set[str]:
    """The names as a set, after a check that a worker can receive on each of them."""
    channels = name_of(channels)
    if not isinstance(channels, (str, list, tuple, set, frozenset)):
        raise ValueError(f"The channels of a route must be a name or a list of names, not {channels!r}.")
    names = [channels] if isinstance(channels, str) else [name_of(name) for name in channels]
    for name in names:
        try:
            check_receivable(name)
        except TypeError as error:
            hint = PATH_HINT if str(name).startswith(("/", "^")) else f" {error}"
            raise ValueError(f"A route cannot receive on {name!r}.{hint}") from None
    return set(names)


def _check_at_least_once(channels: set[str]) -> None:
    """Check that messages of these channels can be run again.

    Raises:
        ValueError: one of them cannot.
    """
    for channel in sorted(channels):
        if not is_normal(channel):
            raise ValueError(
                f"at_least_once is for channels that any worker can receive on, not for {channel!r}: leave it out."
            )


class _Filters:
    """Regular expressions for keys of a message. All of them have to match."""

    def __init__(self, patterns: Mapping[str, str | re.Pattern[str]]) -> None:
        self.patterns: dict[str, re.Pattern[str]] = {}
        for key, pattern in patterns.items():
            try:
                compiled: re.Pattern[Any] = re.compile(pattern_of(pattern))
                if isinstance(compiled.pattern, bytes):
                    raise TypeError("it has to be a str, which matches bytes too")
                self.patterns[key] = compiled
            except (re.error, TypeError) as error:
                raise ValueError(
                    f"The filter {key}={pattern!r} of a route must be a regular expression: {error}"
                ) from error
        self.has_groups = any(pattern.groups for pattern in self.patterns.values())

    @property
    def group_names(self) -> set[str]:
        """The names of all groups."""
        return set().union(*(pattern.groupindex for pattern in self.patterns.values()))

    def check_groups(self) -> None:
        """Check that all groups are named. A consumer would never see the match of a group without a name.

        Raises:
            ValueError: a group has no name; the text tells what to write.
        """
        for key, pattern in self.patterns.items():
            if pattern.groups > len(pattern.groupindex):
                raise ValueError(
                    f"The filter {key}={pattern.pattern!r} of a route has a group without a name, which the "
                    f"consumer would not see. Name it, as in (?P<name>...), or write (?:...)."
                )

    def match(self, content: Mapping[str, Any]) -> list[re.Match[str]] | None:
        """The match of each pattern, in their order; ``None`` if one of them does not match."""
        matches = []
        for key, pattern in self.patterns.items():
            if key not in content:
                return None
            value = content[key]
            if not isinstance(value, str):
                try:
                    value = value.decode("ascii") if isinstance(value, bytes) else str(value)
                except UnicodeDecodeError:
                    return None
            match = pattern.match(value)
            if match is None:
                return None
            matches.append(match)
        return matches


def _groups(matches: Iterable[re.Match[str]]) -> dict[str, str]:
    """The named groups of all matches."""
    groups: dict[str, str] = {}
    for match in matches:
        if match.re.groups:
            groups.update(match.groupdict())
    return groups


class Route:
    """Sends the messages of some channels that pass the filters to one consumer.

    Arguments:
        channels: a channel name, or a list of them.
        consumer: a callable, or the dotted path of one.
        at_least_once: whether messages of these channels run again if their worker died while they ran. This
            applies to the whole channel: one route of a channel is enough for all its routes.
        filters: regular expressions for keys of the message. They have to match from the start, and their named
            groups become keyword arguments of the consumer.

    Raises:
        ImportError, ValueError: the consumer or a filter is not valid, or a channel cannot be at-least-once.
    """

    def __init__(
        self,
        channels: str | Sequence[str],
        consumer: Consumer | str,
        *,
        at_least_once: bool = False,
        **filters: str | re.Pattern[str],
    ) -> None:
        self.channels = _checked_channels(channels)
        self.at_least_once = self.channels if at_least_once else set[str]()
        """The channels whose messages run again if their worker died."""
        _check_at_least_once(self.at_least_once)
        self.consumer = resolve_consumer(consumer)
        self._filters = _Filters(filters)
        self._filters.check_groups()
        self.filters = self._filters.patterns
        """The filters, compiled."""

    def match(self, message: Message) -> Match | None:
        """The consumer for ``message`` and its keyword arguments, or ``None``."""
        if message.channel_name not in self.channels:
            return None
        if not self.filters:
            return self.consumer, {}
        matches = self._filters.match(message.content)
        if matches is None:
            return None
        return self.consumer, _groups(matches) if self._filters.has_groups else {}

    def channel_names(self) -> set[str]:
        """The channels whose messages this may match."""
        return self.channels

    def check_calls(self, groups: Set[str]) -> None:
        """Check that the consumer takes the message, ``groups`` and the named groups of the filters.

        Raises:
            ValueError: it does not.
        """
        check_call(self.consumer, groups | self._filters.group_names, self)

    def __repr__(self) -> str:
        name = getattr(self.consumer, "__qualname__", repr(self.consumer))
        return f"<{type(self).__name__} {', '.join(sorted(self.channels))} -> {name}>"


class RouteClass(Route):
    """Sends the messages of all channels that a consumer class handles to it.

    Arguments:
        consumer: a class with ``channel_names()``, or the dotted path of one.
        at_least_once, filters: as for ``Route``.
    """

    def __init__(
        self, consumer: Consumer | str, *, at_least_once: bool = False, **filters: str | re.Pattern[str]
    ) -> None:
        consumer = resolve_consumer(consumer)
        channel_names = getattr(consumer, "channel_names", None)
        if channel_names is None:
            raise ValueError(f"route_class takes a consumer class with channel_names(), not {consumer!r}.")
        super().__init__(sorted(channel_names()), consumer, at_least_once=at_least_once, **filters)


class Include:
    """Another routing, for messages that pass the prefixes.

    Arguments:
        routing: a list, a dict, or the dotted path of one.
        prefixes: regular expressions for keys of the message. They have to match from the start, and the part that
            matched is removed before the included routing sees the key.
    """

    def __init__(self, routing: Routing, **prefixes: str | re.Pattern[str]) -> None:
        self.routing = list(resolve_routing(routing))
        self._prefixes = _Filters(prefixes)
        self.prefixes = self._prefixes.patterns
        """The prefixes, compiled."""

    def match(self, message: Message) -> Match | None:
        """The consumer for ``message`` and its keyword arguments, or ``None``."""
        groups: dict[str, str] = {}
        if self._prefixes.patterns:
            matches = self._prefixes.match(message.content)
            if matches is None:
                return None
            groups = _groups(matches)
            rests = {key: match.string[match.end() :] for key, match in zip(self.prefixes, matches, strict=True)}
            message = Message({**message.content, **rests}, message.channel_name, message.channel_layer)
        for route in self.routing:
            if match := route.match(message):
                consumer, kwargs = match
                return consumer, {**groups, **kwargs}
        return None

    def channel_names(self) -> set[str]:
        """The channels whose messages this may match."""
        return set().union(*(route.channel_names() for route in self.routing))

    def check_calls(self, groups: Set[str]) -> None:
        """As for ``Route``, for each route."""
        for route in self.routing:
            if isinstance(route, (Route, Include)):
                route.check_calls(groups | self._prefixes.group_names)

    @property
    def at_least_once(self) -> set[str]:
        """The channels whose messages run again if their worker died."""
        return set().union(*(getattr(route, "at_least_once", ()) for route in self.routing))

    def __repr__(self) -> str:
        return f"<Include {self.routing!r}>"


class Router:
    """All routes of a channel layer. The first one that matches a message gets it.

    Arguments:
        routing: a dict, a list of routes, or the dotted path of one.

    Raises:
        ImportError, ValueError: something in the routing is not valid.
    """

    def __init__(self, routing: Routing) -> None:
        self.root = Include([])
        """All routes, in the order in which they are tried. Add others with ``add_route``."""
        self._by_channel: dict[str, list[RouteLike]] = {}
        self.defaults: list[RouteLike] = []
        """The routes that are tried last, because the user did not write them: see ``check_default``."""
        for route in resolve_routing(routing):
            self.add_route(route)

    @property
    def channels(self) -> set[str]:
        """The names of all channels that have a route."""
        return set(self._by_channel)

    @property
    def at_least_once(self) -> set[str]:
        """The channels whose messages run again if their worker died."""
        return self.root.at_least_once

    def add_route(self, route: RouteLike, first: bool = False) -> None:
        """Add a route. It is tried after the present ones, or before them with ``first``.

        Raises:
            ValueError: one of its consumers cannot be called as the route would call it.
        """
        if isinstance(route, (Route, Include)) and not old_forms.accepted:
            route.check_calls(frozenset())
        for routes in (
            self.root.routing,
            *(self._by_channel.setdefault(channel, []) for channel in route.channel_names()),
        ):
            routes.insert(0 if first else len(routes), route)

    def match(self, message: Message) -> Match | None:
        """The consumer for ``message`` and its keyword arguments, or ``None``."""
        for route in self._by_channel.get(message.channel_name, ()):
            if match := route.match(message):
                return match
        return None

    def check_default(self, http_consumer: Consumer | None = None) -> None:
        """Add the default routes behind all others: Django's views, and sockets that just open.

        Arguments:
            http_consumer: takes ``http.request`` instead of Django's views.
        """
        if http_consumer is None:
            http_consumer = ViewConsumer()
        self.add_defaults(
            [
                Route("http.request", http_consumer),
                Route("websocket.connect", connect_consumer),
                Route(["websocket.receive", "websocket.disconnect"], null_consumer),
            ]
        )

    def add_defaults(self, routes: Iterable[RouteLike]) -> None:
        """Add default routes for the channels that the user did not route."""
        for route in routes:
            self.add_route(route)
            self.defaults.append(route)


def connect_consumer(message: Message) -> None:
    """Open the socket: the consumer of a ``websocket.connect`` without a route."""
    if message.reply_channel is not None:
        message.reply_channel.send({"accept": True})


def null_consumer(message: Message) -> None:
    """Do nothing: the consumer of frames and disconnects without a route.

    The first frame is logged, because somebody may wonder why nothing happens.
    """
    global _told_of_frames
    if message.channel_name == "websocket.receive" and not _told_of_frames:
        _told_of_frames = True
        logger.info(
            "A WebSocket on %r sent a message that nothing handles: the routing has no 'websocket.receive'. "
            "Others like this are not logged.",
            message.get("path"),
        )


_told_of_frames = False


def resolve_routing(routing: Routing) -> Iterator[RouteLike]:
    """The routes of a setting or an ``include``.

    Raises:
        ImportError, ValueError: it is not a routing.
    """
    if isinstance(routing, str):
        routing = import_dotted(routing, "the routing", "mysite.routing.channel_routing")
    if isinstance(routing, Mapping):
        for channel, consumer in routing.items():
            try:
                yield Route(channel, consumer)
            except ValueError as error:
                raise ValueError(f"In the routing, {channel!r}: {error}") from error
            except ImportError as error:
                raise ImportError(f"In the routing, {channel!r}: {error}") from error
    elif isinstance(routing, (list, tuple)):
        for route in routing:
            if not hasattr(route, "match") or not hasattr(route, "channel_names"):
                around = "include" if isinstance(route, str) else "route"
                hint = f" Write {around}(...) around it." if isinstance(route, (str, tuple)) else ""
                raise ValueError(
                    "A routing list holds route(), route_class() and include() of channels_classic, "
                    f"not {route!r}.{hint}"
                )
            yield route
    else:
        raise ValueError(
            "A routing must be a dict of channels and consumers, a list of routes, or the dotted path of one, "
            f"not {routing!r}."
        )


# The names that projects use in their routing.
route = Route
route_class = RouteClass
include = Include
