"""Clean-up that a task has to finish although it was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


async def to_the_end(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run ``coroutine`` to its end, even if this task is cancelled again meanwhile.

    Call it in a task that was cancelled and is about to raise ``CancelledError``. The coroutine has to end soon,
    because the event loop cannot end before it.
    """
    task = asyncio.create_task(coroutine)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()
