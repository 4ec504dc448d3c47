"""Checks that what a routing names is a consumer, and that it can be called as its routes call it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from channels_classic import old_forms
from channels_classic.dotted import import_dotted
from channels_classic.unfinished import check_runs


def resolve_consumer(consumer: Callable[..., Any] | str) -> Callable[..., Any]:
    """The consumer at a dotted path, or the consumer itself, after a check that a message can be given to it.

    Raises:
        ImportError, ValueError: there is none, or it is not a consumer. The text tells what to write instead.
    """
    if isinstance(consumer, str):
        consumer = import_dotted(consumer, "the consumer", "mysite.consumers.echo")
    if not callable(consumer):
        shown = _shown(consumer)
        raise ValueError(
            f"A consumer must be a callable or the dotted path of one, not {shown}.{_remedy(consumer)}"
        )
    check_runs(consumer)
    # A project of Channels 1 starts as it always did, and a wrong consumer fails when it is called.
    if not old_forms.accepted:
        _check_takes_message(consumer)
    return consumer


def check_call(consumer: Callable[..., Any], groups: Collection[str], route: object) -> None:
    """Check that a consumer can be called with a message and the named groups of its filters.

    A decorator counts with its own arguments, because it is what is called.

    Arguments:
        groups: the names of the groups, also of an ``include`` around the route.
        route: the route, for the error.

    Raises:
        ValueError: it cannot. The text names the arguments that are too many or too few.
    """
    try:
        signature = inspect.signature(consumer, follow_wrapped=False)
    except (TypeError, ValueError):  # the signature is not known, as for some callables written in C
        return
    try:
        signature.bind(object(), **dict.fromkeys(groups))
    except TypeError as error:
        given = " and ".join(["the message", *(f"{name!r}" for name in sorted(groups))])
        raise ValueError(
            f"The consumer of {route!r} cannot be called with {given}, which is what it gets: {error}. It takes "
            f"the message, and one argument for each named group in the filters of its route."
        ) from None


def _check_takes_message(consumer: Callable[..., Any]) -> None:
    """Check that ``consumer`` can be called with a message.

    Raises:
        ValueError: it cannot. For a class of the project the text tells what to write instead.
    """
    try:
        signature = inspect.signature(consumer)
    except (TypeError, ValueError):  # the signature is not known, as for some callables written in C
        return
    try:
        signature.bind_partial(object())
    except TypeError:
        name = getattr(consumer, "__qualname__", None)
        full = f"{consumer.__module__}.{name}" if name else repr(consumer)
        if isinstance(consumer, type):
            raise ValueError(
                f"The class {full} is no consumer, because it cannot be made with a message. Write a function "
                "that takes the message, or derive the class from one in channels_classic.generic.websockets."
            ) from None
        shown = signature.replace(return_annotation=signature.empty)
        remedy = f"write {consumer.__name__}(message)" if name else "one argument has to be left for it"
        raise ValueError(f"The consumer {full}{shown} does not take the message: {remedy}.") from None


def _shown(value: object) -> str:
    """A text about something that is not a consumer."""
    if inspect.iscoroutine(value):
        value.close()  # Python would warn that nobody awaits it
        return f"the coroutine of {value.__qualname__}()"
    return repr(value)


def _remedy(value: object) -> str:
    """A sentence about what was probably meant by something that is not a consumer."""
    if value is None or inspect.iscoroutine(value) or inspect.isgenerator(value) or inspect.isasyncgen(value):
        return " Write its name without parentheses: with them it is called, and this is what it returned."
    if isinstance(value, ModuleType):
        return " Add the name of the function in it."
    if isinstance(value, (list, tuple, set, frozenset)):
        return " A message has one consumer: to do several things, write a function that calls the others."
    if isinstance(value, dict):
        return " To route by path, write a list with route('websocket.receive', consumer, path=r'^/chat/$')."
    return ""
