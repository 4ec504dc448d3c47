"""Pings: who answers stays, who does not goes, and one timer serves all."""

from __future__ import annotations

import asyncio

from interface_server import keepalive
from interface_server.keepalive import Keepalive


class Recorder:
    def __init__(self) -> None:
        self.looks: list[float] = []
        self.looked = asyncio.Event()

    def keep_alive(self, now: float) -> None:
        self.looks.append(now)
        self.looked.set()


def test_one_look_serves_all_and_none_is_made_for_nobody(monkeypatch) -> None:
    monkeypatch.setattr(keepalive, "TICK", 0.01)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        alive = Keepalive.of_loop(loop)
        assert Keepalive.of_loop(loop) is alive
        first, second = Recorder(), Recorder()
        alive.add(first)
        alive.add(second)
        await asyncio.wait_for(second.looked.wait(), 10)
        await asyncio.wait_for(first.looked.wait(), 10)
        assert first.looks[0] == second.looks[0]
        alive.discard(first)
        alive.discard(second)
        while alive._timer is not None:
            await asyncio.sleep(0.01)
        looks = len(first.looks)
        third = Recorder()
        alive.add(third)
        await asyncio.wait_for(third.looked.wait(), 10)
        assert len(first.looks) == looks
        alive.discard(third)

    asyncio.run(main())
