"""Workers that are killed while asynchronous consumers run keep the promises for synchronous ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from channels_classic.layers import RedisChannelLayer
from tests.programs import running
from tests.project import DEADLINE, Running
from tests.redis_server import RedisServer

SETTINGS = """\
SECRET_KEY = "for tests"
INSTALLED_APPS = ["channels_classic"]
CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"
CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "ROUTING": "mysite.consumers.routing",
        "CONFIG": {{"hosts": ["{url}"]}},
    }}
}}
"""

CONSUMERS = """\
import asyncio
import os
from channels_classic import Channel
from channels_classic.routing import route
from channels_classic.sessions import enforce_ordering

async def hang(message):
    await Channel("begun").asend({"deliveries": message.deliveries, "pid": os.getpid()}, immediately=True)
    if message.deliveries == 1:
        await asyncio.sleep(3600)
    await Channel("ended").asend({"deliveries": message.deliveries})

def quick(message):
    message.reply_channel.send({"accept": True})
    Channel("ended").send({"quick": True})

@enforce_ordering
async def frame(message):
    if message["order"] == 0:
        await Channel("begun").asend({"pid": os.getpid()}, immediately=True)
        await asyncio.sleep(3600)
    message.reply_channel.send({"text": str(message["order"])})

routing = [
    route("http.request", hang),
    route("websocket.receive", frame),
    route("websocket.connect", quick),
    route("sure", hang, at_least_once=True),
]
"""


@pytest.fixture
def layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    with closing(RedisChannelLayer(hosts=[redis_url])) as layer:
        yield layer


@pytest.fixture
def workers(tmp_path: Path, redis_url: str) -> Iterator[Running]:
    """One worker process with one thread, and its supervisor."""
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "__init__.py").touch()
    (tmp_path / "mysite" / "settings.py").write_text(SETTINGS.format(url=redis_url))
    (tmp_path / "mysite" / "consumers.py").write_text(CONSUMERS)
    command = [sys.executable, "-m", "worker", "--settings", "mysite.settings", "--max-messages", "100000"]
    with ExitStack() as stack:
        program = stack.enter_context(running(command, tmp_path, "log.txt"))
        program.wait("channels: ")
        yield program


def next_of(layer: RedisChannelLayer, *channels: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        for received in layer.receive_batch(list(channels), 1, 1):
            return received.content
    raise AssertionError(f"no message on {channels}")


def kill_worker(layer: RedisChannelLayer) -> None:
    """Kill the process in which an asynchronous consumer has begun."""
    os.kill(next_of(layer, "begun")["pid"], signal.SIGKILL)


def test_the_client_of_a_lost_request_is_told(layer: RedisChannelLayer, workers: Running) -> None:
    layer.send("http.request", {"reply_channel": "interface.test!client", "path": "/", "method": "GET"})
    kill_worker(layer)
    assert next_of(layer, "interface.test!")["status"] == 502


def test_a_message_of_an_at_least_once_channel_runs_again_after_a_kill(
    layer: RedisChannelLayer, workers: Running
) -> None:
    layer.send("sure", {})
    kill_worker(layer)
    assert next_of(layer, "begun")["deliveries"] == 2
    assert next_of(layer, "ended") == {"deliveries": 2}


def test_the_next_frame_of_a_socket_has_its_turn(
    layer: RedisChannelLayer, workers: Running, redis_server: RedisServer
) -> None:
    layer.send("websocket.receive", {"reply_channel": "interface.test!client", "order": 1})
    with redis_server.client() as client:
        # Otherwise the worker might be killed while it begins with this frame, which then would be lost, too.
        workers.wait(lambda: client.exists("asgi:waiting"))
    layer.send("websocket.receive", {"reply_channel": "interface.test!client", "order": 0})
    kill_worker(layer)
    assert next_of(layer, "interface.test!") == {"text": "1"}


def test_messages_that_were_done_beside_it_are_left_alone(layer: RedisChannelLayer, workers: Running) -> None:
    """It was taken together with a message whose consumer still ran."""
    for _ in range(5):
        layer.send("websocket.connect", {"reply_channel": "interface.test!client", "path": "/", "order": 0})
    layer.send("sure", {})
    for _ in range(5):
        assert next_of(layer, "interface.test!") == {"accept": True}
        assert next_of(layer, "ended") == {"quick": True}
    kill_worker(layer)
    assert next_of(layer, "ended") == {"deliveries": 2}
    assert layer.receive_batch(["interface.test!", "ended"], 1) == []
