"""What a task has to do yet after it was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


async def to_the_end(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Carry out what must not be interrupted, although this task is cancelled once more.

    It is for a task that was cancelled, and is about to raise that. Whatever is done here has to end soon: until
    then the event loop cannot end either.
    """
    task = asyncio.create_task(coroutine)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()
