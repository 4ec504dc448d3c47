"""An answer that does not come is noticed, and those that come are not."""

from __future__ import annotations

import asyncio

from interface_server.overdue import Overdue
from tests.interface_server.loops import until


def test_a_run_that_takes_too_long_is_noticed_once() -> None:
    async def scenario() -> None:
        calls: list[str] = []
        overdue = Overdue(0.05, lambda: calls.append("overdue"))
        for number in (1, 2):
            with overdue:
                await until(lambda number=number: len(calls) == number)
                await asyncio.sleep(0.1)
            assert len(calls) == number

    asyncio.run(scenario())


def test_short_runs_one_after_the_other_are_not() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        calls: list[str] = []
        overdue = Overdue(1.0, lambda: calls.append("overdue"))
        end = loop.time() + 1.5
        while loop.time() < end:
            with overdue:
                await asyncio.sleep(0)
        assert calls == []

    asyncio.run(scenario())


def test_a_run_that_fails_has_ended() -> None:
    async def scenario() -> None:
        calls: list[str] = []
        overdue = Overdue(0.05, lambda: calls.append("overdue"))
        try:
            with overdue:
                raise ValueError
        except ValueError:
            pass
        await asyncio.sleep(0.1)
        assert calls == []

    asyncio.run(scenario())
