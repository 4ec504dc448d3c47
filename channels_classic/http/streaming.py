"""Asynchronous streaming responses, read by a thread that has no event loop (specification, section 9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterator
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

from channels_classic.pending import stopping_of_worker

Part = TypeVar("Part")


def iterate(parts: AsyncIterable[Part]) -> Iterator[Part]:
    """The parts one by one, each as soon as it has been made.

    One task makes all of them, in an event loop of its own. So a stream can keep a timeout, a task group or a
    connection from one part to the next. The loop does not run while the caller handles a part.

    When the worker stops, an empty part is yielded, so that the caller notices it even if the next part takes
    long.
    """
    loop = asyncio.new_event_loop()
    ready: asyncio.Queue[Any] = asyncio.Queue()
    end = object()
    # This name keeps it alive after its task: the code at the end closes a stream that was not read completely.
    iterator = aiter(parts)

    async def produce() -> None:
        async with ThreadSensitiveContext():
            try:
                async for part in iterator:
                    ready.put_nowait(part)
                    await ready.join()
            finally:
                # The thread for its synchronous code ends here, and must not leave connections behind.
                await sync_to_async(connections.close_all)()

    def wake() -> None:
        loop.call_soon_threadsafe(ready.put_nowait, b"")

    producer = loop.create_task(produce())
    producer.add_done_callback(lambda task: ready.put_nowait(end))
    try:
        with stopping_of_worker().waking(wake):
            while (part := loop.run_until_complete(ready.get())) is not end:
                yield part
                ready.task_done()
        producer.result()
    finally:
        loop.run_until_complete(_wind_up())
        loop.close()


async def _wind_up() -> None:
    """End all tasks and generators that the stream has begun."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
