"""Time limits that are moved often."""

from __future__ import annotations

import asyncio

from interface_server.deadline import Deadline
from tests.interface_server.loops import until


def test_a_deadline_that_is_moved() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        calls: list[float] = []
        deadline = Deadline(loop, lambda: calls.append(loop.time()))
        began = loop.time()
        deadline.set(1000)
        deadline.set(0.01)  # earlier
        await until(lambda: calls)
        deadline.set(0.01)
        deadline.set(0.1)  # later
        again = loop.time()
        await until(lambda: len(calls) == 2)
        assert calls[0] - began >= 0.01
        assert calls[1] - again >= 0.09
        deadline.set(0.01)
        deadline.clear()
        other = Deadline(loop, lambda: calls.append(-1))
        other.set(0.05)
        await until(lambda: len(calls) == 3)
        assert calls[2] == -1
        deadline.set(0.01)
        deadline.cancel_timer()
        deadline.set(0.02)
        await until(lambda: len(calls) == 4)

    asyncio.run(main())


def test_short_runs_one_after_the_other_do_not_add_up() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        calls: list[str] = []
        deadline = Deadline(loop, lambda: calls.append("late"))
        end = loop.time() + 1.5
        while loop.time() < end:
            deadline.set(1.0)
            await asyncio.sleep(0)
            deadline.clear()
        assert calls == []

    asyncio.run(scenario())
