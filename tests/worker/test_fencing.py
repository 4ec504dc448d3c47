"""A worker that was declared dead while its consumer ran: nothing that the consumer does afterwards has an
effect."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from channels_classic.layers import RedisChannelLayer
from tests.programs import completed, running
from tests.project import DEADLINE, Running
from tests.redis_server import RedisServer

SETTINGS = """\
SECRET_KEY = "for tests"
INSTALLED_APPS = ["channels_classic", "django.contrib.sessions"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db.sqlite3"}}}}
CHANNEL_SESSION_ENGINE = "{engine}"
CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "ROUTING": "mysite.routing.routing",
        "CONFIG": {{"hosts": ["{url}"]}},
    }}
}}
"""

ROUTING = """\
from channels_classic.routing import route

routing = [route("plain", "mysite.consumers.plain"), route("asynchronous", "mysite.consumers.asynchronous")]
"""

CONSUMERS = """\
import asyncio
import json
import os
import pathlib
import time
from asgiref.sync import sync_to_async
from channels_classic import Channel, Group
from channels_classic.sessions import channel_session

OUTCOMES = pathlib.Path("outcomes.json")
GO = pathlib.Path("go")

def act(message):
    actions = {
        "send": lambda: Channel("answers").send({"by": "send"}, immediately=True),
        "reply": lambda: message.reply_channel.send({"by": "reply"}, immediately=True),
        "group": lambda: Group("group").send({"by": "group"}, immediately=True),
        "join": lambda: Group("group").add("interface.test!new"),
        "leave": lambda: Group("group").discard("interface.test!old"),
        "session": lambda: message.channel_session.save(),
        "end": lambda: message.channel_session.delete(),
    }
    message.channel_session["changed"] = os.getpid()
    outcomes = {}
    for name, action in actions.items():
        try:
            action()
        except Exception as error:
            outcomes[name] = type(error).__name__
        else:
            outcomes[name] = "done"
    OUTCOMES.write_text(json.dumps(outcomes))
    message.channel_session["changed"] = os.getpid()
    message.reply_channel.send({"by": "end"})

@channel_session
def plain(message):
    message.channel_session["seen"] = True
    message.channel_session.save()
    Channel("begun").send({}, immediately=True)
    while not GO.exists():
        time.sleep(0.01)
    act(message)

@channel_session
async def asynchronous(message):
    await sync_to_async(message.channel_session.save)()
    await sync_to_async(Channel("begun").send)({}, immediately=True)
    while not GO.exists():
        await asyncio.sleep(0.01)
    await sync_to_async(act)(message)
"""


@pytest.fixture
def layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer(hosts=[redis_url])
    yield layer
    layer.close()


@pytest.fixture
def folder(engine: str, tmp_path: Path, redis_url: str) -> Path:
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "__init__.py").touch()
    settings = SETTINGS.format(url=redis_url, folder=tmp_path, engine=engine)
    (tmp_path / "mysite" / "settings.py").write_text(settings)
    (tmp_path / "mysite" / "routing.py").write_text(ROUTING)
    (tmp_path / "mysite" / "consumers.py").write_text(CONSUMERS)
    migrated = completed([sys.executable, "-m", "django", "migrate", "--settings", "mysite.settings"], tmp_path)
    assert migrated.returncode == 0, migrated.stderr
    return tmp_path


@pytest.mark.parametrize(
    ("channel", "engine"),
    [("plain", "channels_classic.session_engine"), ("asynchronous", "django.contrib.sessions.backends.db")],
)
def test_what_a_consumer_does_after_its_process_was_declared_dead(
    folder: Path, layer: RedisChannelLayer, redis_server: RedisServer, channel: str
) -> None:
    with ExitStack() as stack:

        def start(log: str) -> Running:
            command = [sys.executable, "-m", "worker", "--settings", "mysite.settings"]
            program = stack.enter_context(running(command, folder, log))
            program.wait("channels: ")
            return program

        first = start("first.txt")
        layer.group_add("group", "interface.test!old")
        layer.send(channel, {"reply_channel": "interface.test!client"})
        assert layer.receive_batch(["begun"], 1, DEADLINE)
        second = start("second.txt")
        first.process.send_signal(signal.SIGSTOP)
        second.wait("has died: ")
        second.wait(f"lost while they ran: {channel}")
        session = stored(folder, redis_server)
        assert session
        (folder / "go").touch()
        first.process.send_signal(signal.SIGCONT)
        first.wait(f"{channel}' was broken off.")
        outcomes: dict[str, Any] = json.loads((folder / "outcomes.json").read_text())
        assert set(outcomes.values()) == {"Lapsed"}
        assert stored(folder, redis_server) == session
        assert layer.receive_batch(["answers", "interface.test!"], 10) == []
        assert layer.group_channels("group") == ["interface.test!old"]
        # And it works again.
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(DEADLINE) == 0
        layer.send(channel, {"reply_channel": "interface.test!client"})
        replies: list[Any] = []
        while {"by": "end"} not in replies:
            replies += [one.content for one in layer.receive_batch(["interface.test!"], 10, DEADLINE)]
        outcomes = json.loads((folder / "outcomes.json").read_text())
        assert set(outcomes.values()) == {"done"}


def stored(folder: Path, redis_server: RedisServer) -> list[Any]:
    """All sessions as they are kept, in the database and in the layer."""
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        sessions: list[Any] = database.execute("SELECT * FROM django_session").fetchall()
    with redis_server.client() as client:
        return [*sessions, *((name, client.get(name)) for name in sorted(client.keys("asgi:value:*")))]
