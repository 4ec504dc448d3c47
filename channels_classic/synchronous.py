"""Consumers are synchronous. Others are found when they are routed, or at the latest when they are called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction

from channels_classic.decorators import DECORATES

REASON = (
    "workers call consumers synchronously, so it would never run. Write it as a plain def, and call asynchronous "
    "code from there by async_to_sync of asgiref"
)


class UnfinishedError(TypeError):
    """A consumer returned something that has still to be run, such as a coroutine."""


def check_synchronous(consumer: Callable[..., Any]) -> None:
    """Make sure that calling ``consumer`` runs it.

    Arguments:
        consumer: a function, a method, a partial, any object that can be called, or a class; decorated or not.

    Raises:
        ValueError: it is asynchronous, or a generator.
    """
    inner = _innermost(consumer)
    if isinstance(inner, type):
        for name in _methods_that_run(inner):
            if _kind(inspect.getattr_static(inner, name)):
                raise ValueError(
                    f"The consumer class {_name(inner)} has an async def or a generator as its method {name}: "
                    f"{REASON}."
                )
    elif kind := _kind(inner):
        raise ValueError(f"The consumer {_name(consumer)} is {kind}: {REASON}.")


def wraps_asynchronous(consumer: Callable[..., Any]) -> bool:
    """Whether a foreign decorator is around an ``async def``. Only that decorator knows whether it is run."""
    inner = _innermost(consumer)
    if isinstance(inner, type) or _kind(inner):
        return False
    try:
        return _kind(inspect.unwrap(inner)) is not None
    except ValueError:  # it wraps itself
        return False


def check_finished(result: Any, name: str) -> None:
    """Make sure that a consumer has run, by looking at its result.

    Arguments:
        name: the consumer's name.

    Raises:
        UnfinishedError: it has not run, or not to its end.
    """
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()  # otherwise Python would warn that it was never run
    elif not inspect.isawaitable(result) and not inspect.isasyncgen(result):
        return
    raise UnfinishedError(f"{name} returned {type(result).__name__} {result!r:.100}: {REASON}.")


def _innermost(consumer: Any) -> Any:
    """The function or the class that is finally called, as far as that can be known."""
    while True:
        if isinstance(consumer, functools.partial):
            consumer = consumer.func
        elif inspect.ismethod(consumer):
            consumer = consumer.__func__
        elif not isinstance(consumer, type) and DECORATES in getattr(consumer, "__dict__", {}):
            consumer = consumer.__dict__[DECORATES]
        elif isinstance(consumer, type) or inspect.isroutine(consumer) or iscoroutinefunction(consumer):
            return consumer
        else:
            call = inspect.getattr_static(type(consumer), "__call__", None)
            if not inspect.isfunction(call):
                return consumer
            consumer = call


def _kind(function: Any) -> str | None:
    """The reason why a function or a method cannot be a consumer; ``None`` if it can."""
    if isinstance(function, (staticmethod, classmethod)):
        function = function.__func__
    function = _innermost(function)
    if iscoroutinefunction(function):
        return "an async def"
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return "a generator"
    return None


def _methods_that_run(consumer_class: type) -> set[str]:
    """The methods of a consumer class that are called as consumers, or that override a synchronous one."""
    mapping = getattr(consumer_class, "method_mapping", None)
    names = {"__init__", "__call__", "dispatch"} | set(mapping.values() if isinstance(mapping, dict) else ())
    for base in consumer_class.__mro__[1:-1]:
        names |= {name for name, value in vars(base).items() if inspect.isfunction(value) and not _kind(value)}
    return {name for name in names if inspect.getattr_static(consumer_class, name, None) is not None}


def _name(consumer: Any) -> str:
    while isinstance(consumer, functools.partial):
        consumer = consumer.func
    named = consumer if hasattr(consumer, "__qualname__") else type(consumer)
    return f"{named.__module__}.{named.__qualname__}"
