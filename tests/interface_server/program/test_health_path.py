"""``--health-path``: the health check of a platform, on the port of the clients."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from channels_classic.layers import InMemoryChannelLayer, RedisChannelLayer
from channels_classic.layers.types import Process
from channels_classic.monitoring import layer_view
from channels_classic.processes.heartbeat import new_process
from interface_server.health_path import HealthPath
from interface_server.program.mounting import BadMount, make_mounts
from tests.interface_server.backend import Backend
from tests.interface_server.program.served import Serve, refused
from tests.project import DEADLINE
from tests.redis_server import RedisServer


def test_it_fails_until_a_worker_is_there_and_not_when_redis_is_away_later(serve: Serve) -> None:
    with RedisServer() as redis, closing(RedisChannelLayer(hosts=[redis.url])) as layer:
        served = serve("--health-path", "/healthz", layer=("--redis", redis.url))
        answer = served.get("/healthz")
        assert (answer.status_code, answer.text) == (503, "not ready\n")
        layer.beat(new_process("worker"))
        served.program.wait(lambda: served.get("/healthz").status_code == 200)
        redis.stop()
        answer = served.get("/healthz")
        assert (answer.status_code, answer.text) == (200, "ok\n")
        assert answer.headers["cache-control"] == "no-store"


def test_without_redis_it_gives_no_reasons(serve: Serve) -> None:
    served = serve("--health-path", "/healthz", layer=("--redis", "redis://:secret@127.0.0.1:1/0"))
    assert served.get("/healthz").text == "not ready\n"


def test_all_other_paths_belong_to_the_workers(serve: Serve, backend: Backend, redis_url: str) -> None:
    served = serve("--health-path", "/healthz/", "--processes", "2", processes=2)
    worker = new_process("worker")

    def is_healthy() -> bool:
        backend.layer.beat(worker)  # it counts as dead after a few seconds without
        return served.get("/healthz?from=here").status_code == 200

    served.program.wait(is_healthy)
    for path in ("/", "/health", "/healthzz"):
        assert served.get(path).json()["path"] == path
    with pytest.raises(InvalidStatus) as caught:
        served.connect("/healthz")
    assert caught.value.response.status_code == 403


class HangingLayer(InMemoryChannelLayer):
    """A layer that does not answer before the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def processes(self) -> list[Process]:
        self.go.wait(DEADLINE)
        return super().processes()


def test_clients_that_ask_while_the_layer_hangs_leave_threads_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_view, "LOOK_SECONDS", DEADLINE)

    async def ask(layer: HangingLayer) -> None:
        health = HealthPath(layer)
        statuses: list[int] = []

        async def send(event: Any) -> None:
            if event["type"] == "http.response.start":
                statuses.append(event["status"])

        scope = {"type": "http", "method": "GET", "path": "/healthz"}
        asking = [asyncio.create_task(health(scope, asyncio.Event().wait, send)) for _ in range(100)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "there is room"), 10) == "there is room"
        asking.pop().cancel()
        layer.go.set()
        await asyncio.gather(*asking)
        assert statuses == [503] * 99

    layer = HangingLayer()
    try:
        asyncio.run(ask(layer))
    finally:
        layer.go.set()


@pytest.mark.parametrize("path", ["healthz", "/", "//", ""])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(BadMount, match="--health-path must be a path such as /healthz, not "):
        make_mounts([], path, InMemoryChannelLayer())


def test_a_path_that_is_mounted_too_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mounted.py").write_text("async def application(scope, receive, send): ...")
    options = ("--health-path", "/up/", "--mount", "/up=mounted:application")
    code, output = refused(tmp_path, "--redis", "redis://127.0.0.1", *options)
    assert code == 1
    assert output == "Error: --mount /up is given twice, or is the --health-path.\n"
