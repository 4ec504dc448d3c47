"""The first of many equal warnings comes at once; the others are one line."""

from __future__ import annotations

import asyncio

import pytest

from interface_server import repeated as repeated_module
from interface_server.repeated import Repeated
from tests.interface_server.loops import until


def test_many_warnings_are_two_lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(repeated_module, "COUNT_SECONDS", 0.05)

    async def scenario() -> None:
        repeated = Repeated()
        repeated.warn("requests", "Nobody answered.")
        for number in range(1920):
            repeated.warn("sockets that nobody accepted", "Nobody accepted %d.", number)
        await until(lambda: len(caplog.records) == 3)
        repeated.warn("requests", "Nobody answered, again.")
        await asyncio.sleep(0.1)

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        "Nobody answered.",
        "Nobody accepted 0.",
        "1919 more sockets that nobody accepted in 0.05 s.",
        "Nobody answered, again.",
    ]
