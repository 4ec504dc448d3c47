from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from channels_classic.http.streaming import iterate

context = contextvars.ContextVar("context", default="outside")


def test_each_part_comes_as_soon_as_it_is_there() -> None:
    log = []

    async def parts() -> AsyncIterator[int]:
        for number in range(3):
            log.append(f"made {number}")
            yield number

    for number in iterate(parts()):
        log.append(f"taken {number}")

    assert log == ["made 0", "taken 0", "made 1", "taken 1", "made 2", "taken 2"]


def test_a_stream_without_parts() -> None:
    async def parts() -> AsyncIterator[int]:
        return
        yield

    assert list(iterate(parts())) == []


def test_one_task_makes_all_parts() -> None:
    async def parts() -> AsyncIterator[Any]:
        async with asyncio.timeout(60) if hasattr(asyncio, "timeout") else nothing():
            for _ in range(3):
                await asyncio.sleep(0)
                yield asyncio.current_task()

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    assert len(set(iterate(parts()))) == 1


def test_what_runs_beside_the_stream_goes_on() -> None:
    async def parts() -> AsyncIterator[int]:
        queue: asyncio.Queue[int] = asyncio.Queue()

        async def count() -> None:
            for number in range(5):
                await queue.put(number)

        counting = asyncio.create_task(count())
        for _ in range(5):
            yield await queue.get()
        await counting

    assert list(iterate(parts())) == [0, 1, 2, 3, 4]


def test_the_context_is_that_of_the_caller() -> None:
    async def parts() -> AsyncIterator[str]:
        yield context.get()

    token = context.set("inside")
    try:
        assert list(iterate(parts())) == ["inside"]
    finally:
        context.reset(token)


def test_an_error_comes_through_after_the_parts_before_it() -> None:
    async def parts() -> AsyncIterator[int]:
        yield 1
        raise ZeroDivisionError("on purpose")

    stream = iterate(parts())
    assert next(stream) == 1
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        next(stream)


def test_a_stream_that_is_given_up_is_closed() -> None:
    log = []

    async def background() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            log.append("task cancelled")

    async def parts() -> AsyncIterator[int]:
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            log.append("stream closed")
            del task

    stream = iterate(parts())
    assert next(stream) == 1
    stream.close()
    assert sorted(log) == ["stream closed", "task cancelled"]


def test_tasks_that_a_stream_leaves_behind_end_with_it() -> None:
    log = []

    async def background() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            log.append("cancelled")

    async def parts() -> AsyncIterator[int]:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)
        yield 1

    tasks: list[asyncio.Task[None]] = []
    assert list(iterate(parts())) == [1]
    assert log == ["cancelled"]


def test_synchronous_code_of_a_stream_has_one_thread_whose_connections_are_closed() -> None:
    closed = []

    class Connection:
        def close(self) -> None:
            closed.append(threading.get_ident())

    def open_connection() -> int:
        connections["default"] = Connection()
        return threading.get_ident()

    async def parts() -> AsyncIterator[int]:
        yield await sync_to_async(open_connection)()
        yield await sync_to_async(threading.get_ident)()

    first, second = iterate(parts())
    assert first == second != threading.get_ident()
    assert closed == [first]
