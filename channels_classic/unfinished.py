"""Finds consumers that would never run to their end: generators, and coroutines that a class does not return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction

from channels_classic.asynchronous import REST
from channels_classic.decorators import DECORATES
from channels_classic.dotted import name_of

REASON = (
    "nothing iterates over it, so it would never run. Return without yield; a consumer may be a plain def or an "
    "async def"
)

NOT_AWAITED = (
    "nothing awaits it, so it would never run. Derive the class from one of channels_classic.generic, or write a "
    "plain def"
)


class UnfinishedError(TypeError):
    """A consumer returned something that would still have to run, such as a generator."""


def check_runs(consumer: Callable[..., Any]) -> None:
    """Check that a call of ``consumer`` runs it, or returns an awaitable.

    Arguments:
        consumer: a function, a method, a partial, any object that can be called, or a class; decorated or not.

    Raises:
        ValueError: it is a generator, or a class with asynchronous methods that would not be awaited.
    """
    inner = _innermost(consumer)
    if isinstance(inner, type):
        for name in _methods_that_run(inner):
            method = inspect.getattr_static(inner, name)
            if not hasattr(inner, REST) and _is(method, iscoroutinefunction):
                raise ValueError(
                    f"The consumer class {_name(inner)} has an async def as its method {name}: {NOT_AWAITED}."
                )
            if _is_generator(method):
                raise ValueError(
                    f"The consumer class {_name(inner)} has a generator as its method {name}: {REASON}."
                )
    elif _is_generator(inner):
        raise ValueError(f"The consumer {_name(consumer)} is a generator: {REASON}.")


def check_finished(result: Any, name: str) -> None:
    """Check by its result that a consumer has run.

    Arguments:
        name: the consumer's name.

    Raises:
        UnfinishedError: the consumer has not run, or not to its end.
    """
    if result is None or not (inspect.isgenerator(result) or inspect.isasyncgen(result)):
        return
    if inspect.isgenerator(result):
        result.close()
    raise UnfinishedError(f"{name} returned {type(result).__name__} {result!r:.100}: {REASON}.")


def _innermost(consumer: Any) -> Any:
    """The function or the class that is finally called, if it can be found."""
    while True:
        if isinstance(consumer, functools.partial):
            consumer = consumer.func
        elif inspect.ismethod(consumer):
            consumer = consumer.__func__
        elif not isinstance(consumer, type) and DECORATES in getattr(consumer, "__dict__", {}):
            consumer = consumer.__dict__[DECORATES]
        elif isinstance(consumer, type) or inspect.isroutine(consumer):
            return consumer
        else:
            call = inspect.getattr_static(type(consumer), "__call__", None)
            if not inspect.isfunction(call):
                return consumer
            consumer = call


def _is_generator(function: Any) -> bool:
    """Whether a function or a method only makes a generator when it is called."""
    return _is(function, inspect.isasyncgenfunction) or _is(function, inspect.isgeneratorfunction)


def _is(function: Any, kind: Callable[[Any], bool]) -> bool:
    if isinstance(function, (staticmethod, classmethod)):
        function = function.__func__
    return kind(_innermost(function))


def _methods_that_run(consumer_class: type) -> set[str]:
    """The methods of a consumer class that are called as consumers, or that override a synchronous one."""
    mapping = getattr(consumer_class, "method_mapping", None)
    names = {"__init__", "__call__", "dispatch"} | set(mapping.values() if isinstance(mapping, dict) else ())
    for base in consumer_class.__mro__[1:-1]:
        names |= {name for name, value in vars(base).items() if inspect.isfunction(value) and _runs(value)}
    return {name for name in names if inspect.getattr_static(consumer_class, name, None) is not None}


def _runs(function: Any) -> bool:
    return not _is_generator(function) and not _is(function, iscoroutinefunction)


def _name(consumer: Any) -> str:
    while isinstance(consumer, functools.partial):
        consumer = consumer.func
    return name_of(consumer)
