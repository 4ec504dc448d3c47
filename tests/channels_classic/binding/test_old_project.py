"""A project of Channels 1 with one changed line, served with Redis, an interface server, a worker and clients."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ports import free_port
from tests.postgres import PostgresServer
from tests.programs import running
from tests.project import LEGACY_MANAGE, Project, Site, Socket
from tests.redis_server import RedisServer

FILES = {
    "manage.py": LEGACY_MANAGE,
    "myproject/__init__.py": "",
    "myproject/urls.py": "urlpatterns = []",
    "myproject/settings.py": """\
        import json, os
        SECRET_KEY = "for tests"
        ALLOWED_HOSTS = ["*"]
        INSTALLED_APPS = [
            "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "values", "channels",
        ]
        ROOT_URLCONF = "myproject.urls"
        DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
        DATABASES = {"default": json.loads(os.environ["DATABASE"])}
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "asgi_redis.RedisChannelLayer",
                "CONFIG": {"hosts": [os.environ["REDIS"]]},
                "ROUTING": "myproject.routing.channel_routing",
            },
        }
        """,
    "myproject/routing.py": """\
        from channels import route_class
        from channels.routing import route
        from values.consumers import Demultiplexer, Rooms

        channel_routing = [
            route_class(Demultiplexer, path="^/binding/"),
            Rooms.as_route(path=r"^/rooms/(?P<room>\\w+)/$"),
        ]
        """,
    "values/__init__.py": "",
    "values/models.py": """\
        from django.db import models
        from channels.binding.websockets import WebsocketBinding

        class IntegerValue(models.Model):
            name = models.CharField(max_length=100, unique=True)
            value = models.IntegerField(default=0)

        class IntegerValueBinding(WebsocketBinding):
            model = IntegerValue
            stream = "intval"
            fields = ["name", "value"]

            @classmethod
            def group_names(cls, *args, **kwargs):
                return ["binding.values"]

            def has_permission(self, user, action, pk):
                return action != "delete"
        """,
    "values/consumers.py": """\
        from channels.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer
        from .models import IntegerValue, IntegerValueBinding

        class Demultiplexer(WebsocketDemultiplexer):
            http_user = True
            strict_ordering = True
            consumers = {"intval": IntegerValueBinding.consumer}

            def connection_groups(self):
                return ["binding.values"]

        class Rooms(JsonWebsocketConsumer):
            channel_session = True

            def connection_groups(self, **kwargs):
                return ["room-" + kwargs["room"]]

            def receive(self, content, **kwargs):
                count = self.message.channel_session["count"] = self.message.channel_session.get("count", 0) + 1
                self.group_send("room-" + kwargs["room"], {"count": count, "said": content})
        """,
    "add.py": """\
        import channels_classic.legacy
        import os, sys
        os.environ["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
        import django
        django.setup()
        from values.models import IntegerValue
        IntegerValue.objects.create(name=sys.argv[1], value=int(sys.argv[2]))
        """,
}


SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    if request.param == "sqlite":
        yield {**SQLITE, "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20}}
        return
    with PostgresServer() as server:
        yield server.settings


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, database: dict[str, Any]
) -> Project:
    project = Project(tmp_path_factory.mktemp("old"), FILES)
    project.environment |= {"REDIS": redis_server.url, "DATABASE": json.dumps(database)}
    project.manage("migrate", "--run-syncdb")
    return project


@pytest.fixture(scope="module")
def site(project: Project, redis_server: RedisServer) -> Iterator[Site]:
    port = free_port()
    interface = [sys.executable, "-m", "interface_server", "--redis", redis_server.url, "--port", port]
    with (
        running(interface, project.folder, log="interface.txt") as server,
        project.running("runworker", "--threads", "4", log="worker.txt"),
        Site(port, server) as site,
    ):
        server.wait(site.listens)
        yield site


def receive(client: Socket) -> Any:
    return json.loads(client.recv())


def ask(client: Socket, **payload: Any) -> None:
    client.send(json.dumps({"stream": "intval", "payload": payload}))


def test_data_binding(site: Site, project: Project) -> None:
    with site.connect("/binding/") as ann, site.connect("/binding/") as bob:
        ask(ann, action="create", data={"name": "one", "value": 1})
        created = receive(ann)
        pk = created["payload"]["pk"]
        assert created == {
            "stream": "intval",
            "payload": {
                "action": "create",
                "pk": pk,
                "data": {"name": "one", "value": 1},
                "model": "values.integervalue",
            },
        }
        assert receive(bob) == created

        for value in range(20):
            ask(bob, action="update", pk=pk, data={"value": value})
        for client in (ann, bob):
            assert [receive(client)["payload"]["data"]["value"] for _ in range(20)] == list(range(20))

        ask(ann, action="delete", pk=pk)
        assert receive(ann)["payload"]["error"] == "You may not do this."
        done = project.python("add.py", "two", "2")
        assert done.returncode == 0, done.stderr
        for client in (ann, bob):
            payload = receive(client)["payload"]
            assert (payload["action"], payload["data"]) == ("create", {"name": "two", "value": 2})


def test_two_clients_write_different_fields_of_one_row(site: Site) -> None:
    """They write at the same time, in different workers. Neither undoes the other's change."""
    with site.connect("/binding/") as ann, site.connect("/binding/") as bob:
        ask(ann, action="create", data={"name": "both"})
        pk = receive(ann)["payload"]["pk"]
        receive(bob)
        for number in range(30):
            ask(ann, action="update", pk=pk, data={"name": f"ann {number}"})
            ask(bob, action="update", pk=pk, data={"value": number})
        told = [receive(ann)["payload"]["data"] for _ in range(60)]
        # Workers do not wait for each other, so the last one told need not be the last one written.
        assert {"name": "ann 29", "value": 29} in told


def test_frames_that_cannot_be_used_leave_the_socket_open(site: Site) -> None:
    with site.connect("/binding/") as client:
        for frame in (b"\0", "", "{", "[]", '{"stream": "other", "payload": {}}'):
            client.send(frame)
            assert receive(client).keys() == {"error"}
        ask(client, action="drop")
        assert receive(client)["payload"]["action"] == "error"


def test_groups_and_sessions(site: Site) -> None:
    with site.connect("/rooms/a/") as ann, site.connect("/rooms/a/") as bob, site.connect("/rooms/b/") as eve:
        for number in (1, 2):
            ann.send(json.dumps({"hello": number}))
            for client in (ann, bob):
                assert receive(client) == {"count": number, "said": {"hello": number}}
        eve.send('"alone"')
        assert receive(eve) == {"count": 1, "said": "alone"}
