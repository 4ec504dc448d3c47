"""A project of Channels 4 adds this package, and goes on exactly as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.channels_4 import add_to
from tests.channels_classic.channels4.project import make_project
from tests.project import DEADLINE, MANAGE, Project

LAYERS = {
    "none": "",
    "memory": 'CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}\n',
    "redis": 'CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}\n',
    "pubsub": 'CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}}\n',
    "own": 'CHANNEL_LAYERS = {"default": {"BACKEND": "myproject.layers.Own", "ANY": 1}}\n',
}

WHOSE = """\
import json
import django
django.setup()
from django.core.management import get_commands
commands = get_commands()
print(json.dumps({name: commands.get(name) for name in ("runserver", "runworker")}))
"""

OURS = """
CHANNELS_CLASSIC_LAYERS = {
    "default": {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}},
}
"""


def apps(*names: str) -> str:
    """Settings with these apps first, in this order."""
    return f"INSTALLED_APPS = {list(names)} + INSTALLED_APPS\n"


def whose(project: Project) -> str:
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    project.write({"whose_manage.py": WHOSE})
    done = project.python("whose_manage.py")
    assert done.returncode == 0, done.stderr
    return done.stdout


THEIR_APPS = ([], ["daphne", "channels"])


@pytest.mark.parametrize("theirs", THEIR_APPS, ids=lambda apps: "+".join(apps) or "no app")
def test_the_commands_stay_whose_they_were(tmp_path: Path, theirs: list[str]) -> None:
    """This holds for any position of the app in INSTALLED_APPS, and with our other settings."""
    project = make_project(tmp_path, LAYERS["redis"] + apps(*theirs))
    before = whose(project)
    assert "channels_classic" not in before
    for order, ours in ((["channels_classic", *theirs], OURS), ([*theirs, "channels_classic"], "")):
        after = whose(make_project(tmp_path, LAYERS["redis"] + ours + apps(*order)))
        # Nobody else may have a runworker: then there is nothing to stay.
        assert after.replace('"runworker": "channels_classic"', '"runworker": null') == before, order


@pytest.mark.parametrize("layer", ["none", "own"])
def test_the_check_finds_nothing_wrong(tmp_path: Path, layer: str) -> None:
    project = make_project(tmp_path, LAYERS[layer] + apps("channels_classic", "daphne", "channels"))
    output = project.manage("check", "--fail-level", "WARNING")
    assert "runserver belongs to daphne, and that of channels_classic is classicserver" in output
    assert "runworker belongs to channels, and that of channels_classic is classicworker" in output
    assert "serves no WebSockets" not in output


def test_the_check_says_what_a_runserver_of_django_leaves_out(tmp_path: Path) -> None:
    """A project that forgot daphne finds out from its first 404 otherwise."""
    project = make_project(tmp_path, LAYERS["none"] + apps("channels_classic", "channels"))
    output = project.manage("check", "--fail-level", "WARNING")
    assert "runserver belongs to django.contrib.staticfiles" in output
    assert "put 'daphne' first into INSTALLED_APPS" in output


def test_its_server_serves_as_before(tmp_path: Path) -> None:
    settings = LAYERS["memory"] + apps("channels_classic", "daphne", "channels")
    project = make_project(tmp_path, settings)
    project.manage("migrate")
    with project.served() as site:
        assert "Starting ASGI/Daphne" in site.server.log
        assert "The site" in site.http.get("/").text
        with site.connect("/ws/async/") as one, site.connect("/ws/sync/") as other:
            assert one.recv() == "async AnonymousUser"
            assert other.recv() == "sync AnonymousUser"
            one.send("hello")
            assert one.recv() == other.recv() == "hello"


def test_its_worker_works_as_before(tmp_path: Path, redis_url: str) -> None:
    # By default redis-py gives up after five seconds, which is as long as channels_redis waits for a message.
    host = {"address": redis_url, "socket_timeout": DEADLINE}
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [host]}}
    settings = f"CHANNEL_LAYERS = {{'default': {layer}}}\n" + apps("channels_classic", "channels")
    project = make_project(tmp_path, settings)
    send = (
        "from asgiref.sync import async_to_sync; from channels.layers import get_channel_layer; "
        "async_to_sync(get_channel_layer().send)('tasks', {'type': 'task.run', 'name': 'one'})"
    )
    with project.running("runworker", "tasks") as worker:
        worker.wait("Running worker for channels ['tasks']")
        project.manage("shell", "-c", send)
        worker.wait("task ran: one")
        worker.process.terminate()  # its event loop may miss Ctrl-C


def test_our_commands_by_their_own_names(tmp_path: Path) -> None:
    project = make_project(tmp_path, LAYERS["memory"] + OURS + apps("daphne", "channels", "channels_classic"))
    project.manage("migrate")
    with project.running("classicserver", "--noreload", "127.0.0.1:0") as server:
        server.wait("4 worker threads here.")
        assert "Channel layer 'default': InMemoryChannelLayer" in server.log
    done = project.python("manage.py", "classicworker")
    assert done.returncode
    assert "CHANNELS_CLASSIC_LAYERS['default'] is InMemoryChannelLayer, which works inside one" in done.stderr


def test_a_classic_layer_that_was_never_described(tmp_path: Path) -> None:
    """The error tells whose layer the entry describes, and where ours goes."""
    project = make_project(tmp_path, LAYERS["redis"] + apps("daphne", "channels", "channels_classic"))
    for command in (["classicserver", "--noreload"], ["classicworker"]):
        done = project.python("manage.py", *command)
        assert done.returncode
        error = done.stderr.strip().splitlines()[-1]
        assert error == (
            "CommandError: CHANNEL_LAYERS['default'] is channels_redis.core.RedisChannelLayer, a layer of "
            "Channels 4, because it has no 'ROUTING'. Describe the layer of channels-classic in the setting "
            "CHANNELS_CLASSIC_LAYERS."
        )


@pytest.mark.parametrize("routing", ["{}", '"myproject.routing.none"'])
def test_routing_for_a_layer_of_theirs(tmp_path: Path, routing: str) -> None:
    layer = f'{{"BACKEND": "channels_redis.core.RedisChannelLayer", "ROUTING": {routing}}}'
    project = make_project(tmp_path, f"CHANNEL_LAYERS = {{'default': {layer}}}\n" + apps("channels_classic"))
    done = project.python("manage.py", "check")
    assert done.returncode
    assert "Traceback" not in done.stderr
    assert (
        "(channels.E001) CHANNEL_LAYERS['default']['BACKEND'] is channels_redis.core.RedisChannelLayer, which "
        "makes no layer of channels-classic."
    ) in done.stderr


def test_a_second_alias_for_ours(tmp_path: Path) -> None:
    """Theirs is left alone, and ours is checked. The line tells what Channels 4 does with it."""
    entries = (
        '{"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"},'
        ' "classic": {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}}'
    )
    project = make_project(tmp_path, f"CHANNEL_LAYERS = {entries}\n" + apps("daphne", "channels_classic"))
    output = project.manage("check")
    assert "(channels.W022) CHANNEL_LAYERS['classic'] has 'ROUTING'" in output
    assert "channels.E" not in output


class TestWhatCannotBe:
    def test_channels_redis_is_missing(self, tmp_path: Path) -> None:
        project = make_project(tmp_path, LAYERS["redis"] + apps("channels_classic"))
        add_to(project, "channels>=4.2,<5")
        output = project.manage("check")
        assert "is channels_redis.core.RedisChannelLayer, but channels_redis is not installed." in output
        assert "pip install channels_redis" in output

    @pytest.mark.parametrize(
        ("version", "advice"),
        [
            ("2.4.0", "works beside version 4 only: pip install 'channels>=4,<5'"),
            ("3.0.5", "works beside version 4 only: pip install 'channels>=4,<5'"),
            ("1.1.8", "'import channels_classic.legacy' in the settings"),
        ],
    )
    def test_an_old_channels(self, tmp_path: Path, version: str, advice: str) -> None:
        files = {"manage.py": MANAGE, "myproject/__init__.py": "", "myproject/settings.py": "SECRET_KEY = 'x'\n"}
        project = Project(tmp_path, files)
        settings = "SECRET_KEY = 'x'\nINSTALLED_APPS = ['channels_classic']\n"
        project.write({"myproject/settings.py": settings + LAYERS["redis"]})
        add_to(project, f"channels=={version}")
        output = project.manage("check")
        assert f"(channels.W020) channels {version} is installed" in output
        assert advice in output
        assert "runs on Channels 4" not in output
        layer = project.python("-c", "from channels_classic.channels4 import RedisChannelLayer")
        assert f"channels {version} is installed" in layer.stderr.strip().splitlines()[-1]

    def test_no_channels_at_all(self, tmp_path: Path) -> None:
        files = {"manage.py": MANAGE, "myproject/__init__.py": ""}
        project = Project(tmp_path, files)
        settings = "SECRET_KEY = 'x'\nINSTALLED_APPS = ['channels_classic']\n"
        project.write({"myproject/settings.py": settings + LAYERS["redis"]})
        done = project.python("manage.py", "check")
        assert done.returncode
        assert (
            "CHANNEL_LAYERS['default'] has no 'ROUTING'. Its BACKEND, channels_redis.core.RedisChannelLayer, is a "
            "layer of Channels 4. Channels 4 is not installed: pip install 'channels>=4,<5'."
        ) in done.stderr
        layer = project.python("-c", "from channels_classic.channels4 import RedisChannelLayer")
        assert layer.stderr.strip().splitlines()[-1] == (
            "ImportError: The layers of channels_classic.channels4 are for Channels 4. Channels 4 is not "
            "installed: pip install 'channels>=4,<5'."
        )

    def test_both_asgi_application_and_ours(self, tmp_path: Path) -> None:
        settings = (
            "SECRET_KEY = 'x'\nINSTALLED_APPS = ['channels_classic']\n"
            "ASGI_APPLICATION = 'myproject.asgi.application'\n"
        )
        project = Project(tmp_path, {"manage.py": MANAGE, "myproject/__init__.py": ""})
        project.write({"myproject/settings.py": settings})
        output = project.manage("check")
        assert "(channels.I021) ASGI_APPLICATION is set, but runserver belongs to channels_classic here" in output

    @pytest.mark.parametrize(
        ("entry", "text"),
        [
            ('{"BACKEND": "channels_classic.channels4.RedisChannelLayer", "CONFIG": {"host": []}}', "host"),
            (
                '{"BACKEND": "channels_classic.channels4.RedisChannelLayer", "CONFIG": {"hosts": "redis://x:pw@y"}}',
                "hosts",
            ),
            (
                '{"BACKEND": "channels_classic.channels4.ClassicChannelLayer"}',
                "Describe the layer of channels-classic in the setting CHANNELS_CLASSIC_LAYERS.",
            ),
            ('{"BACKEND": "channels_classic.channels4.Missing"}', "channels_classic.channels4.Missing"),
        ],
    )
    def test_a_layer_of_ours_that_cannot_be_made(self, tmp_path: Path, entry: str, text: str) -> None:
        project = make_project(
            tmp_path, f"CHANNEL_LAYERS = {{'default': {entry}}}\n" + apps("channels_classic", "channels")
        )
        done = project.python("manage.py", "check")
        assert done.returncode
        assert "Traceback" not in done.stderr
        assert "(channels.E020) CHANNEL_LAYERS['default'] cannot be used by Channels 4" in done.stderr
        assert text in done.stderr
        assert "pw" not in done.stderr
