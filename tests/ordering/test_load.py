"""Many sockets send as fast as they can to many workers: nothing is out of order, lost or handled twice.

A real interface server, a real Redis, and 8 workers in 4 processes. ``ORDERING_SOCKETS=200 ORDERING_FRAMES=200``
makes it the full load, which takes a few minutes on two cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.ordering.served import DEADLINE, OURS, served, wait_for
from tests.postgres import PostgresServer
from tests.redis_server import RedisServer

SOCKETS = int(os.environ.get("ORDERING_SOCKETS", "20"))
FRAMES = int(os.environ.get("ORDERING_FRAMES", "25"))
PROCESSES, THREADS = 4, 2
OPENING_AT_ONCE = 20
pytestmark = pytest.mark.timeout(2 * DEADLINE)

GONE = -2
"""What Redis gives as the life of a key that is not there any more."""

DATABASE = "django.contrib.sessions.backends.db"


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def site(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a site for each place of channel sessions."""
    sqlite = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "db.sqlite3"),
        "OPTIONS": {
            "timeout": 60,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
    }
    site = {"LOAD_REDIS": redis_url, "LOAD_SESSION_ENGINE": OURS if request.param == "redis" else DATABASE}
    if request.param == "postgresql":
        with PostgresServer() as postgres:
            yield {**site, "LOAD_DATABASE": json.dumps(postgres.settings)}
    else:
        yield {**site, "LOAD_DATABASE": json.dumps(sqlite)}


async def flood(address: str, sockets: int, frames: int) -> list[list[str]]:
    """Let each socket send all its frames at once. Returns the replies to each."""
    opening = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one() -> list[str]:
        async with opening:
            socket = await connect(address, compression=None, proxy=None, open_timeout=60, ping_interval=None)
        all_open.append(socket)
        async with socket:
            while len(all_open) < sockets:
                await asyncio.sleep(0.01)

            async def send() -> None:
                for number in range(1, frames + 1):
                    await socket.send(f"frame {number}")

            sending = asyncio.create_task(send())
            replies = [str(await socket.recv()) for _ in range(frames)]
            await sending
            return replies

    all_open: list[Any] = []
    return await asyncio.wait_for(asyncio.gather(*[one() for _ in range(sockets)]), DEADLINE)


def test_nothing_is_out_of_order_lost_or_run_twice(
    site: dict[str, str], redis_server: RedisServer, tmp_path: Path
) -> None:
    with (
        served(site, tmp_path, processes=PROCESSES, threads=THREADS) as (address, workers),
        redis_server.client() as record,
    ):
        started = time.monotonic()
        replies = asyncio.run(flood(address, SOCKETS, FRAMES))
        took = time.monotonic() - started
        wait_for(lambda: record.llen("load:counts") == SOCKETS)
        print(f"{SOCKETS} sockets, {FRAMES} frames each: {SOCKETS * FRAMES / took:.0f} frames a second")

        # Each reply says which frame it is for, its order, and how many the session had counted.
        expected_replies = [f"frame {number} {number} {number}" for number in range(1, FRAMES + 1)]
        assert all(of_socket == expected_replies for of_socket in replies)

        # Connect, the frames, disconnect: one after another, each once.
        wait_for(lambda: all(record.llen(name) == 2 * FRAMES + 4 for name in record.keys("load:interface*")))
        expected = [f"{what} {order}" for order in range(FRAMES + 2) for what in ("begin", "end")]
        ran = {name: record.lrange(name, 0, -1) for name in record.keys("load:interface*")}
        assert len(ran) == SOCKETS
        assert [name for name, of_socket in ran.items() if of_socket != expected] == []
        assert record.lrange("load:counts", 0, -1) == [str(FRAMES)] * SOCKETS

        # What is left in Redis of it is forgotten soon, when the end of the last turn has come.
        wait_for(
            lambda: all(0 < life <= 60 or life == GONE for life in map(record.ttl, record.keys("asgi:turns:*")))
        )
        for word in ("ERROR", "WARNING", "Traceback", "dropped", "waited in vain"):
            assert word not in workers.log
