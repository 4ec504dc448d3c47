"""``manage.py rundelay`` as its users run it: several servers on one database, and one of them killed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from channels_classic.layers import RedisChannelLayer
from tests.postgres import PostgresServer
from tests.project import DEADLINE, MANAGE, Project
from tests.redis_server import RedisServer
from worker.delay import BATCH_LIMIT

SETTINGS = """\
    SECRET_KEY = "for tests"
    USE_TZ = True
    INSTALLED_APPS = ["channels_classic", "channels_classic.delay"]
    DATABASES = {{"default": {database!r}}}
    LAYER = "channels_classic.layers.RedisChannelLayer"
    CHANNEL_LAYERS = {{
        "default": {{"BACKEND": LAYER, "CONFIG": {{"hosts": [{redis!r}], "capacity": 100_000}}, "ROUTING": {{}}}},
        "memory": {{"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {{}}}},
    }}
"""
MESSAGES = 1500


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


def project_in(folder: Path, database: dict[str, Any], redis: str) -> Project:
    settings = SETTINGS.format(database=database, redis=redis)
    project = Project(
        folder, {"manage.py": MANAGE, "myproject/__init__.py": "", "myproject/settings.py": settings}
    )
    project.manage("migrate", "--verbosity", "0")
    return project


@pytest.fixture
def project(database: dict[str, Any], redis_url: str, tmp_path: Path) -> Project:
    return project_in(tmp_path, database, redis_url)


@pytest.fixture
def layer(redis_url: str) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer(hosts=[redis_url], capacity=100_000)
    yield layer
    layer.close()


def send(layer: RedisChannelLayer, numbers: range, delay: int) -> None:
    content = [{"channel": "later", "delay": delay, "content": {"number": number}} for number in numbers]
    layer.send_batch([layer.prepare("asgi.delay", message) for message in content])


def receive(layer: RedisChannelLayer, enough: int, received: Counter[int]) -> None:
    """Count the messages that come, until ``number`` have come."""
    deadline = time.monotonic() + DEADLINE
    while received.total() < enough:
        assert time.monotonic() < deadline, f"{received.total()} messages have come"
        for message in layer.receive_batch(["later"], 100, 0.5):
            received[message.content["number"]] += 1


def test_two_servers_send_each_message_once(project: Project, layer: RedisChannelLayer) -> None:
    received: Counter[int] = Counter()
    with (
        project.running("rundelay", program=("manage.py",), log="1.txt") as first,
        project.running("rundelay", program=("manage.py",), log="2.txt") as second,
    ):
        for server in (first, second):
            server.wait("receiving on the channel layer 'default'")
        for start in range(0, MESSAGES, 100):
            send(layer, range(start, start + 100), delay=start % 700)
        receive(layer, MESSAGES, received)
        assert not layer.receive_batch(["later"], 1, 1.5)
        assert (first.end(), second.end()) == (0, 0)
        for server in (first, second):
            assert "ERROR" not in server.log
    assert received == Counter(range(MESSAGES))


@pytest.fixture
def state(request: pytest.FixtureRequest, database: dict[str, Any]) -> Callable[[], tuple[int, list[int]]]:
    """Tells how many messages wait in the table, and which of them may have been sent."""

    def state() -> tuple[int, list[int]]:
        is_sqlite = "sqlite" in database["ENGINE"]
        connect = sqlite3.connect if is_sqlite else request.getfixturevalue("postgres").connect
        with closing(connect(database["NAME"])) as connection:
            rows = connection.execute("SELECT sending_since, content FROM delay_delayedmessage").fetchall()
        begun = [json.loads(content)["number"] for since, content in rows if since is not None]
        return len(rows) - len(begun), begun

    return state


STORE = """\
from channels_classic.delay.models import DelayedMessage
DelayedMessage.objects.bulk_create(
    DelayedMessage(delay=number / 100, channel_name="later", content='{{"number": %d}}' % number)
    for number in range({messages})
)
"""
AGE = """\
from datetime import timedelta
from django.db.models import F
from channels_classic.delay.models import DelayedMessage
DelayedMessage.objects.update(sending_since=F("sending_since") - timedelta(minutes=2))
"""


def test_servers_that_are_killed(
    project: Project, layer: RedisChannelLayer, state: Callable[[], tuple[int, list[int]]]
) -> None:
    """Nothing comes twice, and nothing is lost. Messages that may have been sent are in the table, and are sent
    again on demand."""
    received: Counter[int] = Counter()
    project.manage("shell", "-v", "0", "-c", STORE.format(messages=MESSAGES))
    for life in range(1, 4):
        with project.running("rundelay", log=f"{life}.txt") as server:
            receive(layer, life * MESSAGES // 10, received)
            server.process.kill()
            server.process.wait()
    with project.running("rundelay", log="4.txt") as last:
        while state()[0]:
            for message in layer.receive_batch(["later"], MESSAGES, 0.5):
                received[message.content["number"]] += 1
        assert last.end() == 0
    _, unsure = state()
    for message in iter(lambda: layer.receive(["later"])[1], None):
        received[message["number"]] += 1
    assert set(received.values()) == {1}
    assert set(received) | set(unsure) == set(range(MESSAGES))
    assert len(unsure) <= 3 * BATCH_LIMIT
    project.manage("shell", "-v", "0", "-c", AGE)
    with project.running("rundelay", "--resend", log="5.txt"):
        while len(received) < MESSAGES or state() != (0, []):
            for message in layer.receive_batch(["later"], MESSAGES, 0.1):
                received[message.content["number"]] += 1


def test_a_redis_that_goes_away(tmp_path: Path) -> None:
    """When Redis is back, stored messages are sent, and new ones are taken."""
    received: Counter[int] = Counter()
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    with RedisServer() as server:
        project = project_in(tmp_path, database, server.url)
        layer = RedisChannelLayer(hosts=[server.url], capacity=100_000)
        with project.running("rundelay") as delay:
            delay.wait("receiving on the channel layer 'default'")
            send(layer, range(1), delay=0)
            receive(layer, 1, received)
            send(layer, range(1, 3), delay=1500)
            while stored(tmp_path) < 2:
                time.sleep(0.01)
            server.kill()
            delay.wait("The delay server cannot work; trying again.")
            server.restart()
            receive(layer, 3, received)
            delay.wait("The delay server works again.")
            send(layer, range(3, 4), delay=0)
            receive(layer, 4, received)
            assert delay.end() == 0
        layer.close()
    assert received == Counter(range(4))


def test_a_database_that_is_locked(tmp_path: Path, redis_url: str, layer: RedisChannelLayer) -> None:
    received: Counter[int] = Counter()
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "db.sqlite3"),
        "OPTIONS": {"timeout": 0.1},
    }
    project = project_in(tmp_path, database, redis_url)
    with project.running("rundelay") as delay, closing(sqlite3.connect(tmp_path / "db.sqlite3")) as other:
        delay.wait("receiving on the channel layer 'default'")
        other.execute("BEGIN IMMEDIATE")
        send(layer, range(2), delay=0)
        delay.wait("The delay server cannot work; trying again. OperationalError: database is locked")
        other.rollback()
        receive(layer, 2, received)
        assert delay.end() == 0
    assert received == Counter(range(2))


def test_a_connection_that_the_database_ends(
    tmp_path: Path, redis_url: str, layer: RedisChannelLayer, postgres: PostgresServer
) -> None:
    received: Counter[int] = Counter()
    database = postgres.new_database()
    project = project_in(tmp_path, database, redis_url)
    with project.running("rundelay") as delay:
        send(layer, range(1), delay=0)
        receive(layer, 1, received)
        with postgres.connect() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database["NAME"]]
            )
        send(layer, range(1, 3), delay=0)
        receive(layer, 3, received)
        delay.wait("The delay server works again.")
        assert delay.end() == 0
    assert received == Counter(range(3))


def test_in_development_runserver_does_it(tmp_path: Path) -> None:
    """The layer is in memory, so no other process could do it."""
    routing = """\
        from channels_classic import Channel, route

        def receive(message):
            later = {"channel": message.reply_channel.name, "delay": 100, "content": {"text": message["text"]}}
            Channel("asgi.delay").send(later)

        routing = [route("websocket.receive", receive)]
    """
    settings = """\
        SECRET_KEY = "for tests"
        DEBUG = True
        ROOT_URLCONF = "myproject.urls"
        INSTALLED_APPS = ["channels_classic", "channels_classic.delay"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
                "ROUTING": "myproject.routing.routing",
            },
        }
    """
    files = {
        "manage.py": MANAGE,
        "myproject/__init__.py": "",
        "myproject/settings.py": settings,
        "myproject/urls.py": "urlpatterns = []\n",
        "myproject/routing.py": routing,
    }
    project = Project(tmp_path, files)
    project.manage("migrate", "--verbosity", "0")
    with project.served() as site, site.connect() as client:
        client.send("hello")
        assert client.recv() == "hello"
        assert site.server.end() == 0


def stored(folder: Path) -> int:
    """How many messages wait in the database."""
    with closing(sqlite3.connect(folder / "db.sqlite3")) as connection:
        [[number]] = connection.execute("SELECT count(*) FROM delay_delayedmessage").fetchall()
    return int(number)


def test_invalid_options(project: Project) -> None:
    for arguments, text in (
        (["--layer", "memory"], "works in one process only"),
        (["--layer", "other"], "CHANNEL_LAYERS has no 'other'"),
        (["--sleep", "0"], "--sleep must be more than 0"),
    ):
        done = project.python("manage.py", "rundelay", *arguments)
        assert done.returncode == 1
        assert text in done.stderr
