"""Consumers that are not done when they return: ``async def``, and others that return an awaitable.

A worker calls every consumer in its own thread. The awaitable of an asynchronous consumer is awaited later, in an
event loop. So code around a consumer, such as a decorator, must not do its second half when the call returns.
``around`` and ``one_after_another`` do it when the consumer is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from inspect import isawaitable
from typing import Any

from asgiref.sync import sync_to_async

Work = Callable[[], Any]
After = Callable[[BaseException | None], Work | None]
"""Called with the exception of a consumer, or ``None``. It must not wait for anything. It can return a function,
which is called next and may wait for a database or a channel layer."""

REST = "_rest"
"""The attribute of a class-based consumer with its awaitable."""


def is_in_event_loop() -> bool:
    """Whether an event loop runs in this thread, so that nothing here may wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def rest_of(result: Any) -> Awaitable[Any] | None:
    """The awaitable of a consumer that returned ``result``; ``None`` if the consumer is done."""
    if result is None:
        return None
    if isawaitable(result):
        return result
    rest: Awaitable[Any] | None = getattr(result, REST, None)
    return rest


def close(rest: Awaitable[Any]) -> None:
    """Close an awaitable that has not begun. Otherwise Python warns that nobody awaited it."""
    if hasattr(rest, "close"):
        rest.close()


def around(consume: Callable[[], Any], after: After, prepare: Work | None = None) -> Any:
    """Call a consumer, and ``after`` when it is done, whether it raised or not.

    Arguments:
        consume: calls the consumer.
        after: called as soon as the consumer is done.
        prepare: for an asynchronous consumer: called at once, before it begins, and may wait. It loads data that
            would block an event loop.

    Returns:
        The result of ``consume``, or an awaitable that also calls ``after``.
    """
    try:
        result = consume()
        if (rest := rest_of(result)) is not None:
            return _begun(rest, after, prepare)
    except BaseException as error:
        _do(after(error))
        raise
    _do(after(None))
    return result


def _begun(rest: Awaitable[Any], after: After, prepare: Work | None) -> Awaitable[Any]:
    if prepare is not None:
        try:
            prepare()
        except BaseException:
            close(rest)
            raise
    return _Around(rest, after)


class _Around:
    """An awaitable that calls ``after`` at its end. It can be closed before it has begun, like a coroutine."""

    def __init__(self, rest: Awaitable[Any], after: After) -> None:
        self._rest = rest
        self._after = after

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._run().__await__()

    async def _run(self) -> Any:
        try:
            result = await self._rest
        except GeneratorExit:  # nothing can be awaited any more
            raise
        except BaseException as error:
            await _do_in_thread(self._after(error))
            raise
        await _do_in_thread(self._after(None))
        return result

    def close(self) -> None:
        close(self._rest)


def one_after_another(calls: Iterable[Callable[[], Any]]) -> Any:
    """Call consumers and other functions, each when the one before it is done.

    Returns:
        ``None``, or an awaitable if one of them is asynchronous.
    """
    left = iter(calls)
    for call in left:
        if (rest := rest_of(call())) is not None:
            return _Rest(rest, left)
    return None


class _Rest:
    """An awaitable for the rest of one consumer, and then the others."""

    def __init__(self, rest: Awaitable[Any], left: Iterator[Callable[[], Any]]) -> None:
        self._rest = rest
        self._left = left

    def __await__(self) -> Generator[Any, Any, None]:
        return self._run().__await__()

    async def _run(self) -> None:
        await self._rest
        for call in self._left:
            # A synchronous consumer may wait for anything.
            if (rest := rest_of(await sync_to_async(call)())) is not None:
                await rest

    def close(self) -> None:
        close(self._rest)


def _do(work: Work | None) -> None:
    if work is not None:
        work()


async def _do_in_thread(work: Work | None) -> None:
    if work is not None:
        await sync_to_async(work)()
