"""Ordering with faults: real workers are killed, and clients vanish."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest
import redis
from websockets.sync.client import ClientConnection, connect

from tests.ordering.served import OURS, served, wait_for
from tests.redis_server import RedisServer

SECONDS = 60


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> dict[str, str]:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    return {"LOAD_REDIS": redis_url, "LOAD_SESSION_ENGINE": OURS, "LOAD_DATABASE": json.dumps(database)}


def open_socket(address: str) -> ClientConnection:
    return connect(address, compression=None, proxy=None, open_timeout=SECONDS)


def ran(record: redis.Redis) -> list[list[str]]:
    """The records of each socket, the longest first."""
    names = record.keys("load:interface*")
    return sorted((record.lrange(name, 0, -1) for name in names), key=len, reverse=True)


def in_order(*orders: int) -> list[str]:
    return [f"{what} {order}" for order in orders for what in ("begin", "end")]


def waiting(record: redis.Redis) -> int:
    """The number of messages that wait for their turn."""
    return sum(int(record.hget(name, "waiting") or 0) for name in record.keys("asgi:turns:?*"))


def test_a_killed_worker_blocks_its_client_for_a_while_only(
    site: dict[str, str], redis_server: RedisServer, tmp_path: Path
) -> None:
    with (
        served({**site, "LOAD_LEASE": "3"}, tmp_path, processes=2) as (address, workers),
        redis_server.client() as record,
        open_socket(address) as unlucky,
        open_socket(address) as other,
    ):
        unlucky.send("hang")
        for number in range(2, 6):
            unlucky.send(f"frame {number}")
        wait_for(lambda: waiting(record) == 4)
        # Nobody else has to wait with it.
        other.send("frame 1")
        assert other.recv(SECONDS) == "frame 1 1 1"
        os.kill(int(record.lindex("load:hangs", 0)), signal.SIGKILL)
        replies: list[str] = []
        sent = 1
        while len(replies) < 4:
            sent += 1
            other.send(f"frame {sent}")
            assert other.recv(SECONDS) == f"frame {sent} {sent} {sent}"
            try:
                while True:
                    replies.append(str(unlucky.recv(0.1)))
            except TimeoutError:
                pass
        # The message whose worker died is not run again.
        assert replies == [f"frame {number} {number} {number - 1}" for number in range(2, 6)]
        assert record.llen("load:hangs") == 1
        assert "lost while they ran: websocket.receive / (tests.ordering.consumers.receive)" in workers.log


def test_a_client_that_vanishes_while_its_messages_wait(
    site: dict[str, str], redis_server: RedisServer, tmp_path: Path
) -> None:
    with (
        served({**site, "LOAD_SECONDS": "0.05"}, tmp_path, processes=2) as (address, _),
        redis_server.client() as record,
        open_socket(address) as client,
    ):
        for number in range(30):
            client.send(f"frame {number}")
        wait_for(lambda: waiting(record) > 3)
        client.socket.shutdown(socket.SHUT_RDWR)
        # What it had sent is handled all the same, in order, and its goodbye after that.
        wait_for(lambda: record.llen("load:counts") == 1)
        frames = int(record.lindex("load:counts", 0))
        wait_for(lambda: ran(record) == [in_order(*range(frames + 2))])
        # And then it is forgotten.
        [name] = record.keys("asgi:turns:*")
        wait_for(lambda: 0 < record.ttl(name) <= 60)
