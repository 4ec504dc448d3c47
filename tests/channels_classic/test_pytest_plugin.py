"""The fixtures, and the helpers in the test runs of a project: ``manage.py test``, and pytest."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from channels_classic import channel_layers
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.test import Client, WSClient, apply_routes
from tests.project import LEGACY_MANAGE, Project

FILES = {
    "manage.py": LEGACY_MANAGE,
    "myproject/__init__.py": "",
    "myproject/urls.py": """\
        from django.contrib.auth.models import User
        from django.http import HttpResponse
        from django.urls import path

        def names(request):
            return HttpResponse("%d name(s)" % User.objects.count())

        urlpatterns = [path("names/", names)]
    """,
    "myproject/settings.py": """\
        import channels_classic.legacy

        SECRET_KEY = "for tests"
        INSTALLED_APPS = [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "channels",
            "myproject.names",
        ]
        ROOT_URLCONF = "myproject.urls"
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "asgi_redis.RedisChannelLayer",
                "CONFIG": {"hosts": [("127.0.0.1", 1)]},
                "ROUTING": "myproject.routing.channel_routing",
            },
        }
    """,
    "myproject/routing.py": """\
        channel_routing = {
            "websocket.connect": "myproject.names.consumers.ws_connect",
            "websocket.receive": "myproject.names.consumers.ws_receive",
            "result": "myproject.names.consumers.fail",
        }
    """,
    "myproject/names/__init__.py": "",
    "myproject/names/consumers.py": """\
        import threading

        from channels import Group
        from django.contrib.auth.models import User

        def ws_connect(message):
            Group("names").add(message.reply_channel)

        def ws_receive(message):
            User.objects.create(username=message.content["text"])
            Group("names").send({"text": message.content["text"]})

        def fail(message):
            raise LookupError("in a consumer")
    """,
    "myproject/names/tests.py": """\
        from channels import Channel
        from channels.handler import ViewConsumer
        from channels.test import ChannelLiveServerTestCase
        from channels.tests import ChannelTestCase, HttpClient, TransactionChannelTestCase, apply_routes
        from django.contrib.auth.models import User
        from websockets.sync.client import connect

        class NamesTests(ChannelTestCase):
            def test_names(self):
                client, other = HttpClient(), HttpClient()
                for one in (client, other):
                    one.send_and_consume("websocket.connect", path="/names/")
                client.send_and_consume("websocket.receive", text="ada", path="/names/")
                self.assertEqual(other.receive(json=False), "ada")
                self.assertEqual(User.objects.get().username, "ada")

            def test_a_view(self):
                User.objects.create(username="ada")
                client = HttpClient()
                with apply_routes({"http.request": ViewConsumer()}):
                    client.send_and_consume("http.request", path="/names/")
                self.assertEqual(client.receive()["content"], b"1 name(s)")
                self.assertEqual(User.objects.count(), 1)

            def test_an_error(self):
                with self.assertRaises(LookupError):
                    HttpClient().send_and_consume("result")

            def test_a_message(self):
                self.assertIsNone(self.get_next_message("result"))
                Channel("result").send({"number": 1})
                self.assertEqual(self.get_next_message("result", require=True)["number"], 1)

        class CommittedTests(TransactionChannelTestCase):
            test_names = NamesTests.test_names

        class LiveTests(ChannelLiveServerTestCase):
            def test_names(self):
                with connect(self.live_server_ws_url, proxy=None, open_timeout=60) as one, connect(
                    self.live_server_ws_url, proxy=None, open_timeout=60
                ) as other:
                    one.send("ada")
                    self.assertEqual(other.recv(timeout=60), "ada")
                self.assertEqual(User.objects.get().username, "ada")

            def test_how_many_workers(self):
                from django.db import connection
                expected = 1 if connection.is_in_memory_db() else 4
                self.assertEqual(self.server_thread.worker_threads, expected)
    """,
    "test_fixtures.py": """\
        from django.contrib.auth.models import User

        def test_names(ws_client, django_assert_num_queries, db):
            ws_client.send_and_consume("websocket.connect")
            ws_client.send_and_consume("websocket.receive", text="ada")
            assert ws_client.receive(json=False) == "ada"
            assert User.objects.get().username == "ada"

        def test_another(db, channel_client, channel_layer):
            assert User.objects.count() == 0
            channel_client.send("result", {"number": 1})
            assert channel_layer.receive(["result"])[1]["number"] == 1
    """,
}
NUMBER_OF_TESTS = 7

ON_DISK = """
DATABASES["default"]["TEST"] = {"NAME": "test.sqlite3"}
DATABASES["default"]["OPTIONS"] = {"timeout": 30, "transaction_mode": "IMMEDIATE"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, FILES)
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    return project


@pytest.fixture
def project_on_disk(project: Project) -> Project:
    settings = project.folder / "myproject" / "settings.py"
    settings.write_text(settings.read_text() + ON_DISK)
    return project


class TestRuns:
    def test_manage_py_test(self, project: Project) -> None:
        printed = project.manage("test")
        assert f"Ran {NUMBER_OF_TESTS} tests" in printed
        assert "OK" in printed

    def test_with_a_database_on_disk(self, project_on_disk: Project) -> None:
        assert f"Ran {NUMBER_OF_TESTS} tests" in project_on_disk.manage("test", "-v", "0")

    def test_in_parallel(self, project: Project) -> None:
        assert f"Ran {NUMBER_OF_TESTS} tests" in project.manage("test", "--parallel", "2", "-v", "0")

    def test_pytest(self, project: Project) -> None:
        done = project.python("-m", "pytest", "-q", "-W", "error", "myproject/names/tests.py", "test_fixtures.py")
        assert done.returncode == 0, done.stdout
        assert f"{NUMBER_OF_TESTS + 2} passed" in done.stdout


class TestPlugin:
    def test_it_is_registered(self) -> None:
        (plugin,) = [entry for entry in entry_points(group="pytest11") if entry.name == "channels_classic"]
        assert plugin.value == "channels_classic.pytest_plugin"

    def test_a_project_without_django_does_not_notice(self, tmp_path: Path) -> None:
        project = Project(
            tmp_path,
            {
                "test_plain.py": """\
                    import sys

                    def test_plain(pytestconfig):
                        assert pytestconfig.pluginmanager.has_plugin("channels_classic")
                        assert not {"django", "redis", "uvicorn", "worker"} & sys.modules.keys()
                """
            },
        )
        done = project.python("-m", "pytest", "-q", "-W", "error", "-p", "no:django", "test_plain.py")
        assert done.returncode == 0, done.stdout


def echo(message: Message) -> None:
    message.reply_channel.send({"text": message["text"]})


class TestFixtures:
    def test_channel_layer(self, channel_layer: Any) -> None:
        assert channel_layer is channel_layers["default"]
        assert isinstance(channel_layer.channel_layer, InMemoryChannelLayer)

    def test_channel_layer_of_the_test(self, channel_layer: Any, request: pytest.FixtureRequest) -> None:
        channel_layer.send("queue", {})
        assert request.getfixturevalue("channel_client").get_next_message("queue") is not None

    def test_channel_client(self, channel_client: Client) -> None:
        with apply_routes({"echo": echo}):
            channel_client.send_and_consume("echo", {"text": "hi"})
        assert channel_client.receive() == {"text": "hi"}

    def test_ws_client(self, ws_client: WSClient) -> None:
        with apply_routes({"websocket.connect": lambda message: None, "websocket.receive": echo}):
            ws_client.send_and_consume("websocket.connect")
            ws_client.send("websocket.receive", text=["hi"])
            assert ws_client.get_next_message("websocket.receive")["order"] == 1
            ws_client.send_and_consume("websocket.receive", text=["hi"])
        assert ws_client.receive() == ["hi"]
