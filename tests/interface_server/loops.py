"""Parts of an interface server on an event loop of the test's own, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.interface_server.hosted import DEADLINE


@asynccontextmanager
async def running(*parts: Any) -> AsyncIterator[None]:
    """Let ``run()`` of each part run; none may end by itself."""
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(wait(), DEADLINE)
