"""Asynchronous streaming responses, read by a thread that knows no event loop (specification, section 9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterator
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

Part = TypeVar("Part")


def iterate(parts: AsyncIterable[Part]) -> Iterator[Part]:
    """The parts one by one, each as soon as it is there.

    They are all made by one task, in an event loop of its own: so a stream can hold a timeout, a task group or
    a connection open from one part to the next. The loop stands still while the caller has a part in hand.
    """
    loop = asyncio.new_event_loop()
    ready: asyncio.Queue[Any] = asyncio.Queue()
    end = object()

    async def produce() -> None:
        async with ThreadSensitiveContext():
            try:
                async for part in parts:
                    ready.put_nowait(part)
                    await ready.join()
            finally:
                # The thread that ran its synchronous code ends here; connections it opened would stay open.
                await sync_to_async(connections.close_all)()

    producer = loop.create_task(produce())
    producer.add_done_callback(lambda task: ready.put_nowait(end))
    try:
        while (part := loop.run_until_complete(ready.get())) is not end:
            yield part
            ready.task_done()
        producer.result()
    finally:
        loop.run_until_complete(_wind_up())
        loop.close()


async def _wind_up() -> None:
    """Leave nothing of the stream behind, whether it has come to its end or not."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
