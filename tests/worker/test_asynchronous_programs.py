"""Asynchronous consumers in the programs that run them: several servers of Redis, limits of time, runserver."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels_classic.layers import RedisChannelLayer
from tests.ports import free_port
from tests.programs import running
from tests.project import DEADLINE, MANAGE, Project, Running

SETTINGS = """\
SECRET_KEY = "for tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "myproject.urls"
INSTALLED_APPS = ["channels_classic", "django.contrib.contenttypes", "django.contrib.auth"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.LAYER",
        "ROUTING": "myproject.consumers.routing",
        "CONFIG": CONFIG,
    }
}
"""

CONSUMERS = """\
import asyncio
import threading
from asgiref.sync import sync_to_async
from channels_classic import Channel, route, route_class
from channels_classic.generic.websockets import WebsocketConsumer
from django.contrib.auth.models import Group
from django.db import transaction

async def square(message):
    await asyncio.sleep(0)
    Channel("answers").send({"square": message["number"] ** 2})

async def deep_inside():
    await asyncio.sleep(3600)

async def endless(message):
    try:
        await deep_inside()
    except asyncio.CancelledError:
        print("cleaned up", flush=True)
        raise

def add_groups():
    with transaction.atomic():
        Group.objects.create(name="half of it")
        print("in the middle", flush=True)
        threading.Event().wait()

async def in_transaction(message):
    await sync_to_async(add_groups)()

class Socket(WebsocketConsumer):
    async def connect(self, message, **kwargs):
        await asyncio.sleep(0)
        self.send(text="welcome")

    async def receive(self, text=None, **kwargs):
        await asyncio.sleep(0)
        self.send(text=text)

routing = [
    route("questions", square),
    route("endless", endless),
    route("transaction", in_transaction),
    route_class(Socket),
]
"""


def make_project(folder: Path, layer: str, config: Any) -> Project:
    return Project(
        folder,
        {
            "manage.py": MANAGE,
            "myproject/__init__.py": "",
            "myproject/settings.py": SETTINGS.replace('LAYER"', f'{layer}"').replace("CONFIG,", f"{config!r},"),
            "myproject/urls.py": "urlpatterns = []\n",
            "myproject/consumers.py": CONSUMERS,
        },
    )


@pytest.fixture
def hosts(redis_url: str) -> list[str]:
    """Two servers, as far as a layer can tell."""
    return [redis_url, redis_url.removesuffix("0") + "1"]


@pytest.fixture
def layer(hosts: list[str]) -> Iterator[RedisChannelLayer]:
    with closing(RedisChannelLayer(hosts=hosts)) as layer:
        yield layer


@pytest.fixture
def project(tmp_path: Path, hosts: list[str]) -> Project:
    return make_project(tmp_path, "RedisChannelLayer", {"hosts": hosts})


@contextmanager
def working(project: Project, *options: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "worker", "--settings", "myproject.settings", *options]
    with running(command, project.folder) as program:
        program.wait("channels: ")
        yield program


def test_each_message_of_several_servers_runs_once(project: Project, layer: RedisChannelLayer) -> None:
    with working(project, "--threads", "2"):
        for number in range(60):
            layer.send("questions", {"number": number})
        squares: list[int] = []
        while len(squares) < 60:
            squares += [one.content["square"] for one in layer.receive_batch(["answers"], 60, DEADLINE)]
    assert sorted(squares) == [number**2 for number in range(60)]
    assert layer.receive_batch(["answers"], 1) == []


def test_one_that_takes_long_is_named_and_a_second_signal_cancels_it(
    project: Project, layer: RedisChannelLayer
) -> None:
    monitor = free_port()

    def is_stopping() -> bool:
        return "it is about to stop" in httpx.get(f"http://127.0.0.1:{monitor}/readyz", timeout=DEADLINE).text

    with working(project, "--consumer-timeout", "0.2", "--monitor", str(monitor)) as worker:
        layer.send("endless", {})
        worker.wait("A consumer runs longer than 0.2 s: endless (myproject.consumers.endless)")
        worker.wait("await asyncio.sleep(3600)")  # where it is
        layer.send("questions", {"number": 3})
        (answer,) = layer.receive_batch(["answers"], 1, DEADLINE)
        assert answer.content == {"square": 9}
        worker.process.send_signal(signal.SIGTERM)
        worker.wait(is_stopping)
        layer.send("endless", {})  # nobody takes it any more
        with pytest.raises(Exception, match="timed out"):
            worker.process.wait(0.3)
        worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(DEADLINE) == 1
        assert "without waiting any longer for: endless (myproject.consumers.endless), for " in worker.log
        assert worker.log.count("cleaned up") == 1
        assert "in deep_inside" in worker.log


def test_one_that_ends_in_the_middle_of_a_transaction_leaves_nothing(
    project: Project, layer: RedisChannelLayer
) -> None:
    project.manage("migrate")
    with working(project, "--stop-timeout", "0.3") as worker:
        layer.send("transaction", {})
        worker.wait("in the middle")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(DEADLINE) == 1
        assert "without waiting any longer for: transaction (myproject.consumers.in_transaction)" in worker.log
    with sqlite3.connect(project.folder / "db.sqlite3", timeout=DEADLINE) as database:
        assert database.execute("SELECT count(*) FROM auth_group").fetchone() == (0,)
    database.close()


def test_runserver_runs_them_beside_its_worker_threads(tmp_path: Path) -> None:
    project = make_project(tmp_path, "InMemoryChannelLayer", {})
    with project.served() as site, site.connect("/") as one, site.connect("/") as other:
        for client in (one, other):
            assert client.recv() == "welcome"
        for text in ("a", "b", "c"):
            one.send(text)
            other.send(f"other {text}")
            assert (one.recv(), other.recv()) == (text, f"other {text}")
