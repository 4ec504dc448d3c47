"""Old names in imports, in ``INSTALLED_APPS`` and in ``BACKEND``, each in an interpreter of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project import Project

SETTINGS = """\
    import channels_classic.legacy

    SECRET_KEY = "for tests"
    HOSTS = {"hosts": [("localhost", 1)]}
    INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "channels", "channels.delay"]
    ROOT_URLCONF = "urls"
"""

SAME_MODULES = [
    ("channels", "channels_classic"),
    ("channels.apps", "channels_classic.apps"),
    ("channels.asgi", "channels_classic.asgi"),
    ("channels.auth", "channels_classic.auth"),
    ("channels.binding.websockets", "channels_classic.binding.websockets"),
    ("channels.delay.models", "channels_classic.delay.models"),
    ("channels.delay.worker", "worker.delay"),
    ("channels.generic.websockets", "channels_classic.generic.websockets"),
    ("channels.channel", "channels_classic.channel"),
    ("channels.exceptions", "channels_classic.exceptions"),
    ("channels.handler", "channels_classic.handler"),
    ("channels.log", "channels_classic.log"),
    ("channels.management.commands.runserver", "channels_classic.legacy.management.commands.runserver"),
    ("channels.management.commands.runworker", "channels_classic.legacy.management.commands.runworker"),
    ("channels.message", "channels_classic.message"),
    ("channels.routing", "channels_classic.routing"),
    ("channels.security", "channels_classic.security"),
    ("channels.security.websockets", "channels_classic.security.websockets"),
    ("channels.sessions", "channels_classic.sessions"),
    ("channels.signals", "channels_classic.signals"),
    ("channels.staticfiles", "channels_classic.staticfiles"),
    ("channels.test", "channels_classic.test"),
    ("channels.test.base", "channels_classic.test"),
    ("channels.test.http", "channels_classic.test"),
    ("channels.test.liveserver", "channels_classic.test.liveserver"),
    ("channels.test.websocket", "channels_classic.test.websocket"),
    ("channels.tests", "channels_classic.test"),
    ("channels.tests.base", "channels_classic.test"),
    ("channels.utils", "channels_classic.legacy.names"),
    ("channels.worker", "worker"),
    ("channels_classic.tests", "channels_classic.test"),
    ("asgi_redis", "channels_classic.layers"),
    ("asgi_redis.core", "channels_classic.layers"),
    ("asgi_redis.local", "channels_classic.legacy.asgi_redis"),
    ("asgi_redis.sentinel", "channels_classic.layers.redis.sentinel"),
]

OLD_IMPORTS = """\
    import django
    django.setup()
    from channels import DEFAULT_CHANNEL_LAYER, Channel, Group, channel_layers, include, route, route_class
    from channels.asgi import get_channel_layer
    from channels.auth import channel_and_http_session, channel_session, http_session
    from channels.auth import channel_session_user, channel_session_user_from_http, transfer_user
    from channels.delay.models import DelayedMessage
    from channels.delay.worker import Worker as DelayWorker
    from channels.exceptions import ResponseLater
    from channels.exceptions import ConsumeLater, DenyConnection, WebsocketCloseException
    from channels.handler import AsgiHandler, AsgiRequest, ViewConsumer
    from channels.log import setup_logger
    from channels.management.commands import runserver, runworker
    from channels.management.commands.runserver import Command, Server, WorkerThread
    from channels.management.commands.runworker import Command, Worker, WorkerGroup
    from channels.message import Message, pending_message_store
    from channels.routing import connect_consumer, null_consumer
    from channels.routing import Include, Route, RouteClass, Router, include, route, route_class
    from channels.security.websockets import allowed_hosts_only
    from channels.sessions import channel_and_http_session, channel_session, enforce_ordering, http_session
    from channels.sessions import requeue_messages, session_for_reply_channel, wait_channel_name
    from channels.signals import consumer_finished, consumer_started, worker_process_ready, worker_ready
    from channels.staticfiles import StaticFilesConsumer, StaticFilesHandler
    from channels.test import ChannelLiveServerTestCase, TransactionChannelTestCase, WSClient
    from channels.test.base import ChannelTestCaseMixin
    from channels.tests.base import ChannelTestCaseMixin
    from channels.tests import ChannelTestCase, Client, HttpClient, apply_routes
    from channels.utils import name_that_thing
    from channels.worker import StopWorkerGroupLoop, Worker, WorkerGroup
    from asgi_redis import RedisChannelLayer, RedisLocalChannelLayer, RedisSentinelChannelLayer
    from asgi_redis.local import RedisLocalChannelLayer
    from asgiref.base_layer import BaseChannelLayer
    from asgi_redis.core import BaseRedisChannelLayer, RedisChannelLayer, UnsupportedRedis
    from asgiref.inmemory import ChannelLayer, channel_layer

    from channels.generic.websockets import WebsocketDemultiplexer

    class Demultiplexer(WebsocketDemultiplexer):
        mapping = {"stream": "channel"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, {"settings.py": SETTINGS, "urls.py": "urlpatterns = []\n"})
    project.environment["DJANGO_SETTINGS_MODULE"] = "settings"
    return project


@pytest.fixture
def runs(project: Project) -> Callable[[str], str]:
    """Runs a script that has to succeed, without a warning; gives what it printed."""

    def runs(script: str) -> str:
        project.write({"script.py": script})
        done = project.python("-W", "error", "script.py")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return runs


def test_an_old_name_is_the_very_module(runs: Callable[[str], str]) -> None:
    runs(f"""\
        import django
        django.setup()
        from importlib import import_module
        for old, new in {SAME_MODULES!r}:
            assert import_module(old) is import_module(new), old
    """)


def test_each_old_name_can_be_the_first(runs: Callable[[str], str]) -> None:
    """Any order works: here a module comes before its package, and the old name before the new one."""
    runs("""\
        import channels_classic.legacy
        import channels.exceptions
        import channels_classic.exceptions
        assert channels.exceptions is channels_classic.exceptions
        from channels import log, worker
        assert worker.__name__ == "worker"
        assert channels_classic.exceptions.__spec__.name == "channels_classic.exceptions"
    """)


def test_names_that_people_import(runs: Callable[[str], str]) -> None:
    runs(OLD_IMPORTS)


def test_old_forms_are_accepted(runs: Callable[[str], str]) -> None:
    runs("""\
        import django
        django.setup()
        from channels import Channel, Group
        from channels.handler import AsgiRequest
        from channels.message import Message
        from asgiref.inmemory import ChannelLayer
        layer = ChannelLayer()
        Channel(b"queue", channel_layer=layer).send({"keys": {1: 2**64 - 1}, "bytes": bytearray(b"a")})
        assert layer.receive(["queue"])[1] == {"keys": {1: 2**64 - 1}, "bytes": b"a"}
        content = {"reply_channel": "a", "method": "GET", "path": b"/", "headers": {"host": "example.com"}}
        assert AsgiRequest(Message(content, "http.request", layer)).META["HTTP_HOST"] == "example.com"
    """)


def test_asgiref_itself_stays(runs: Callable[[str], str]) -> None:
    printed = runs("""\
        import channels_classic.legacy
        import asgiref.inmemory, asgiref.sync
        print(asgiref.__file__, asgiref.inmemory.ChannelLayer.__name__)
    """)
    assert "asgiref" in printed
    assert printed.split()[1] == "InMemoryChannelLayer"


def test_the_command_line_of_python_knows_them_too(runs: Callable[[str], str]) -> None:
    """``python -m`` looks for a module without importing it."""
    runs("""\
        import channels_classic.legacy
        from importlib.util import find_spec
        assert find_spec("channels") is not None
        assert find_spec("channels.routing") is not None
        assert find_spec("channelsandmore") is None
        import pickle
        from channels.exceptions import ConsumeLater
        assert type(pickle.loads(pickle.dumps(ConsumeLater()))) is ConsumeLater
    """)


@pytest.mark.parametrize(
    ("old", "new"),
    [("channels.nothing", "channels_classic.nothing"), ("channels.no.thing", "channels_classic.no")],
)
def test_a_missing_module_is_named_by_its_new_name(project: Project, old: str, new: str) -> None:
    done = project.python("-c", f"import channels_classic.legacy; import {old}")
    assert done.returncode
    assert f"ModuleNotFoundError: No module named '{new}'" in done.stderr


def test_without_the_import_there_are_no_old_names(project: Project) -> None:
    for name in ("channels", "asgi_redis", "asgiref.inmemory"):
        done = project.python("-c", f"import channels_classic; import {name}")
        assert f"No module named '{name}'" in done.stderr


def test_it_needs_no_settings(project: Project) -> None:
    del project.environment["DJANGO_SETTINGS_MODULE"]
    script = (
        "import channels_classic.legacy; from channels import Channel, route; from channels.test import Client"
    )
    done = project.python("-c", script)
    assert done.returncode == 0, done.stderr


class TestInSettings:
    def test_the_app_is_ours(self, runs: Callable[[str], str]) -> None:
        runs("""\
            import django
            django.setup()
            from django.apps import apps
            from django.core.management import get_commands
            app, delay = [app for app in apps.get_app_configs() if "channels" in app.name]
            assert (delay.name, delay.label) == ("channels_classic.delay", "delay")
            assert (app.name, app.label) == ("channels_classic", "channels_classic")
            assert get_commands()["runserver"] == "channels_classic.legacy"
        """)

    @pytest.mark.parametrize("entry", ["channels.apps.ChannelsConfig", "channels"])
    def test_the_class_of_the_app(self, project: Project, runs: Callable[[str], str], entry: str) -> None:
        """It can be named in INSTALLED_APPS. Its import does not change the meaning of the plain name."""
        project.write({"settings.py": SETTINGS.replace('"channels"', f'"{entry}"')})
        runs(
            """\
            import channels_classic.legacy
            from channels.apps import ChannelsConfig
            import django, sys
            django.setup()
            from django.apps import apps
            from django.core.management import get_commands
            config = apps.get_app_config("channels_classic")
            assert isinstance(config, sys.modules["channels_classic.apps"].ChannelsClassicConfig), config
            assert config.verbose_name == "Channels"
            assert get_commands()["runserver"] == "channels_classic.legacy"
        """
        )

    @pytest.mark.parametrize("names", ["'channels', 'channels_classic'", "'channels_classic', 'channels'"])
    def test_both_names_are_an_error(self, project: Project, names: str) -> None:
        project.write({"settings.py": SETTINGS.replace('"channels"', names)})
        done = project.python("-m", "django", "check")
        assert "ImproperlyConfigured: INSTALLED_APPS has both 'channels' and 'channels_classic'" in done.stderr
        assert "remove one of them" in done.stderr

    def test_the_new_name_does_as_well(self, project: Project) -> None:
        project.write({"settings.py": SETTINGS.replace('"channels"', '"channels_classic"')})
        assert project.python("-m", "django", "check").returncode == 0

    def test_backends(self, project: Project, runs: Callable[[str], str]) -> None:
        project.write(
            {
                "settings.py": SETTINGS
                + """\
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "asgiref.inmemory.ChannelLayer", "ROUTING": []},
        "redis": {"BACKEND": "asgi_redis.RedisChannelLayer", "CONFIG": HOSTS, "ROUTING": []},
        "core": {"BACKEND": "asgi_redis.core.RedisChannelLayer", "ROUTING": []},
        "sentinel": {
            "BACKEND": "asgi_redis.RedisSentinelChannelLayer",
            "CONFIG": {**HOSTS, "services": ["master"]},
            "ROUTING": [],
        },
    }
"""
            }
        )
        printed = runs("""\
            import django
            django.setup()
            from channels import channel_layers
            for alias in channel_layers.configs:
                print(type(channel_layers[alias].channel_layer).__name__)
        """)
        assert printed.split() == [
            "InMemoryChannelLayer",
            "RedisChannelLayer",
            "RedisChannelLayer",
            "RedisSentinelChannelLayer",
        ]


class TestOtherPackagesOfThatName:
    def test_a_late_legacy_import(self, project: Project) -> None:
        project.write({"channels/__init__.py": "", "late.py": "import channels\nimport channels_classic.legacy\n"})
        done = project.python("late.py")
        error = done.stderr.splitlines()[-1]
        assert error.startswith(
            "ImportError: channels_classic.legacy comes too late: 'channels' has been imported"
        )
        assert str(project.folder / "channels" / "__init__.py") in error
        assert "the first line of manage.py" in error

    def test_a_newer_one_is_hidden_with_a_warning(self, project: Project) -> None:
        project.write(
            {
                "site/channels/__init__.py": "",
                "site/channels-4.3.1.dist-info/METADATA": """\
                    Metadata-Version: 2.1
                    Name: channels
                    Version: 4.3.1
                """,
                "first.py": """\
                    import channels_classic.legacy
                    import channels, channels.routing
                    import channels_classic.legacy
                    assert channels is channels_classic
                """,
            }
        )
        project.environment["PYTHONPATH"] = str(project.folder / "site")
        done = project.python("first.py")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("RuntimeWarning") == 1
        assert done.stderr.startswith(f"{project.folder / 'first.py'}:1: RuntimeWarning: 'channels' means")
        assert "channels 4.3.1" in done.stderr
        assert str(project.folder / "site" / "channels" / "__init__.py") in done.stderr
        assert "remove the import of channels_classic.legacy" in done.stderr

    def test_one_of_the_project_s_own(self, project: Project) -> None:
        project.write({"channels.py": ""})
        done = project.python("-c", "import channels_classic.legacy")
        assert f"another 'channels' in {project.folder / 'channels.py'}" in done.stderr

    def test_a_folder_that_is_not_a_package_is_ignored(self, project: Project) -> None:
        project.write({"channels/notes.txt": ""})
        done = project.python("-W", "error", "-c", "import channels_classic.legacy")
        assert done.returncode == 0, done.stderr
