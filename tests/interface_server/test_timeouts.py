"""One timer for all that wait."""

from __future__ import annotations

import asyncio

from interface_server.timeouts import Timeouts
from tests.interface_server.loops import until


class Waiting:
    def __init__(self) -> None:
        self.timed_out = 0

    def time_out(self) -> None:
        self.timed_out += 1


def test_only_what_makes_no_progress_times_out_and_once() -> None:
    async def main() -> None:
        timeouts = Timeouts(0.1)
        idle, stopped, busy = Waiting(), Waiting(), Waiting()
        for waiting in (idle, stopped, busy):
            timeouts.restart(waiting)
        timeouts.stop(stopped)
        timeouts.stop(stopped)
        while not idle.timed_out:
            timeouts.restart(busy)
            await asyncio.sleep(0.005)
        assert (idle.timed_out, stopped.timed_out, busy.timed_out) == (1, 0, 0)
        assert len(timeouts) == 1
        await until(lambda: busy.timed_out == 1)
        assert len(timeouts) == 0
        timeouts.restart(idle)
        await until(lambda: idle.timed_out == 2)

    asyncio.run(main())
