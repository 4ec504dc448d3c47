"""The routing of a channel layer as rows, for ``manage.py channels``."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from channels_classic.decorators import DECORATES
from channels_classic.dotted import name_of
from channels_classic.http.consumer import ViewConsumer
from channels_classic.routing import Consumer, Include, Route, RouteLike, Router, connect_consumer, null_consumer


@dataclass(frozen=True)
class Row:
    """One channel of one route.

    Arguments:
        filters: the regular expressions that have to match, by keys of the message. Those of an ``include`` around
            the route come first.
        consumer: the dotted name of the consumer, or a text about a default one.
        file, line: where the consumer is defined, if that is known. The file is relative to the current folder.
        default: whether this is a default route, for a channel that the project does not route.
    """

    channel: str
    filters: dict[str, list[str]]
    consumer: str
    file: str | None = None
    line: int | None = None
    default: bool = False


def rows(router: Router) -> list[Row]:
    """All rows, in the order in which routes are tried: the project's own, then the defaults."""
    defaults = set(map(id, router.defaults))
    own = list(_rows([route for route in router.root.routing if id(route) not in defaults], {}))
    taken = {row.channel for row in own if not row.filters}
    rest = [row for row in _rows(router.defaults, {}) if row.channel not in taken]
    return own + [Row(row.channel, row.filters, row.consumer, default=True) for row in rest]


def _rows(routes: Iterable[RouteLike], around: Mapping[str, list[str]]) -> Iterator[Row]:
    for route in routes:
        if isinstance(route, Route):
            filters = _joined(around, route.filters)
            file, line = place_of(route.consumer)
            for channel in sorted(route.channels):
                yield Row(channel, filters, describe(route.consumer), file, line)
        elif isinstance(route, Include):
            yield from _rows(route.routing, _joined(around, route.prefixes))
        else:
            for channel in sorted(route.channel_names()):
                yield Row(channel, dict(around), repr(route))


def _joined(around: Mapping[str, list[str]], patterns: Mapping[str, Any]) -> dict[str, list[str]]:
    joined = {key: list(found) for key, found in around.items()}
    for key, pattern in patterns.items():
        joined.setdefault(key, []).append(pattern.pattern)
    return joined


def describe(consumer: Consumer) -> str:
    """The dotted name of a consumer, or a text about what a default one does."""
    if isinstance(consumer, ViewConsumer):
        return "Django's views"
    if consumer is connect_consumer:
        return "the socket is accepted"
    if consumer is null_consumer:
        return "nothing happens"
    return name_of(_innermost(consumer))


def place_of(consumer: Consumer) -> tuple[str | None, int | None]:
    """The file and the line in which a consumer is defined; ``None`` for both if that is not known."""
    inner = _innermost(consumer)
    try:
        where = inner if inspect.isroutine(inner) or inspect.isclass(inner) else type(inner)
        file, line = inspect.getsourcefile(where), inspect.getsourcelines(where)[1]
    except (OSError, TypeError):
        return None, None
    if file is None:
        return None, None
    relative = os.path.relpath(file)
    return (file if relative.startswith(os.pardir) else relative), line


def _innermost(consumer: Any) -> Any:
    """The consumer itself, without the decorators around it."""
    while True:
        if isinstance(consumer, functools.partial):
            consumer = consumer.func
        elif not isinstance(consumer, type) and DECORATES in getattr(consumer, "__dict__", {}):
            consumer = consumer.__dict__[DECORATES]
        elif hasattr(consumer, "__wrapped__"):
            consumer = consumer.__wrapped__
        else:
            return consumer
