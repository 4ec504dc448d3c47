"""Pings: a client that does not answer is closed, and one timer serves all."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from websockets.sync.client import connect

from interface_server.transport import keepalive
from interface_server.transport.keepalive import PING_PAYLOAD, Keepalive, Pings
from tests.conftest import LayerOn
from tests.ports import free_port
from tests.programs import running
from tests.project import DEADLINE


class Recorder:
    def __init__(self, next_look: Callable[[float], float | None] = lambda now: now) -> None:
        self.looks: list[float] = []
        self.looked = asyncio.Event()
        self._next_look = next_look

    def keep_alive(self, now: float) -> float | None:
        self.looks.append(now)
        self.looked.set()
        return self._next_look(now)


def test_one_timer_serves_all_and_none_runs_without_connections(monkeypatch) -> None:
    monkeypatch.setattr(keepalive, "TICK", 0.01)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        alive = Keepalive.of_loop(loop)
        assert Keepalive.of_loop(loop) is alive
        first, second = Recorder(), Recorder()
        alive.add(first)
        alive.add(second)
        await asyncio.wait_for(second.looked.wait(), 60)
        await asyncio.wait_for(first.looked.wait(), 60)
        assert first.looks[0] == second.looks[0]
        alive.discard(first)
        alive.discard(second)
        while alive._timer is not None:
            await asyncio.sleep(0.01)
        looks = len(first.looks)
        third = Recorder()
        alive.add(third)
        await asyncio.wait_for(third.looked.wait(), 60)
        assert len(first.looks) == looks
        alive.discard(third)

    asyncio.run(main())


def test_a_round_looks_only_at_what_may_be_due(monkeypatch) -> None:
    monkeypatch.setattr(keepalive, "TICK", 0.01)

    async def main() -> None:
        alive = Keepalive.of_loop(asyncio.get_running_loop())
        each_time, later = Recorder(), Recorder(lambda now: now + 0.1)
        never, gone = Recorder(lambda now: None), Recorder(lambda now: now + 0.1)
        for one in (each_time, later, never, gone):
            alive.add(one)
        await asyncio.wait_for(gone.looked.wait(), 60)
        alive.discard(gone)
        alive.discard(never)
        while len(later.looks) < 4:
            await asyncio.sleep(0.01)
        alive.discard(each_time)
        alive.discard(later)
        assert all(after - before >= 0.09 for before, after in pairwise(later.looks))
        assert len(each_time.looks) >= len(later.looks)
        assert len(never.looks) == len(gone.looks) == 1
        assert not alive._round_of
        assert not any(alive._rounds.values())

    asyncio.run(main())


def test_a_client_that_is_not_read_from_need_not_answer_pings(
    redis_url: str, tmp_path: Path, layer_on: LayerOn
) -> None:
    """While the layer has no room, nothing is read from a client, so its answers may be missing."""
    port = free_port()
    command = [sys.executable, "-m", "interface_server", "--redis", redis_url, "--port", port]
    command += ["--ping-interval", "0.1", "--ping-timeout", "1"]
    layer = layer_on(hosts=[redis_url])
    frames = 10_000
    orders: list[int] = []

    def take(limit: int) -> None:
        orders.extend(one.content["order"] for one in layer.receive_batch(["websocket.receive"], limit, 0.1))

    with running(command, tmp_path) as server, ThreadPoolExecutor() as client:
        server.wait("listens")

        def send() -> None:
            with connect(
                f"ws://127.0.0.1:{port}",
                compression=None,
                proxy=None,
                open_timeout=DEADLINE,
                close_timeout=DEADLINE,
            ) as socket:
                for _ in range(frames):
                    socket.send(b"x" * 4096)

        sending = client.submit(send)
        while not (batch := layer.receive_batch(["websocket.connect"], 1, 1)):
            pass
        layer.send(batch[0].content["reply_channel"], {"accept": True})
        # A worker that has far less time than the client has frames.
        until = time.monotonic() + 4
        while time.monotonic() < until:
            take(1)
            time.sleep(0.05)
        assert not sending.done()
        while len(orders) < frames and not sending.done():
            take(100)
        sending.result(DEADLINE)
        while len(orders) < frames and server.process.poll() is None:
            take(100)
        assert orders == list(range(1, frames + 1))


def test_pings_and_their_answers() -> None:
    pings = Pings(interval=30, timeout=10, now=100)
    assert not pings.begin(129)
    assert pings.next_look == 130
    assert pings.begin(130)
    assert not pings.begin(131)
    assert pings.next_look == 0  # in each round
    assert not pings.is_overdue(139)
    pings.hear(135)
    assert not pings.is_overdue(144)
    assert pings.is_overdue(145)
    pings.answer(b"made up")
    assert pings.is_overdue(145)
    pings.answer(PING_PAYLOAD)
    assert not pings.is_overdue(145)
    assert not pings.begin(159)
    assert pings.next_look == 160
    pings.answer(PING_PAYLOAD)  # once more, unasked
    assert pings.begin(160)
