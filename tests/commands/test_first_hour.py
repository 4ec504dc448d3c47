"""Mistakes in the first hour with ``manage.py``: each gives a line that helps."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.programs import running
from tests.project import MANAGE, Project, Running, Site

SETTINGS = """\
    SECRET_KEY = "for tests"
    DEBUG = True
    ROOT_URLCONF = "myproject.urls"
    INSTALLED_APPS = ["channels_classic"]
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
            "ROUTING": "myproject.routing.channel_routing",
        }
    }
"""

FILES = {
    "manage.py": MANAGE,
    "myproject/__init__.py": "",
    "myproject/settings.py": SETTINGS,
    "myproject/urls.py": "urlpatterns = []\n",
    "myproject/consumers.py": "def echo(message):\n    message.reply_channel.send({'text': message['text']})\n",
    "myproject/routing.py": "channel_routing = {'websocket.receive': 'myproject.consumers.echo'}\n",
}


ASGI = "from channels_classic.asgi import get_channel_layer\n\nchannel_layer = get_channel_layer()\n"


def over_redis(url: str) -> str:
    """The settings with the layer over Redis."""
    return SETTINGS.replace("InMemory", "Redis").replace(
        '"ROUTING"', f'"CONFIG": {{"hosts": ["{url}"]}}, "ROUTING"'
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, FILES)


# A mistake that is repaired while the reloader waits.

ROUTING = FILES["myproject/routing.py"]
BROKEN = {
    "an import": (
        {"myproject/routing.py": f"from myproject.consumer import echo\n{ROUTING}"},
        {"myproject/routing.py": ROUTING},
    ),
    "a syntax error": ({"myproject/routing.py": "channel_routing = {\n"}, {"myproject/routing.py": ROUTING}),
    "a module that is still to be written": (
        {"myproject/routing.py": f"from myproject.later import nothing\n{ROUTING}"},
        {"myproject/later.py": "nothing = None\n"},
    ),
    "an app that is still to be written": (
        {"myproject/routing.py": f"from laterapp import nothing\n{ROUTING}"},
        {"laterapp/__init__.py": "nothing = None\n"},
    ),
    "a consumer that raises when it is imported": (
        {"myproject/consumers.py": "undefined\n"},
        {"myproject/consumers.py": FILES["myproject/consumers.py"]},
    ),
    "a setting": (
        {"myproject/settings.py": SETTINGS.replace("BACKEND", "BACKENT")},
        {"myproject/settings.py": SETTINGS},
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_is_repaired_while_the_reloader_waits(mistake: str, project: Project) -> None:
    broken, repaired = BROKEN[mistake]
    project.write(broken)
    port = free_port()
    with project.running("runserver", f"127.0.0.1:{port}") as program, Site(port, program) as site:
        program.wait("Waiting for a change of the code ...")
        assert "channels.E001" in program.log
        assert "Traceback" not in program.log
        project.write(repaired)
        program.wait(site.listens)
        with site.connect() as socket:
            socket.send("hello")
            assert socket.recv() == "hello"


def test_a_worker_waits_for_the_repair_as_well(project: Project) -> None:
    redis = over_redis("redis://127.0.0.1:1")
    project.write({"myproject/settings.py": redis, "myproject/routing.py": f"import missing\n{ROUTING}"})
    with project.running("runworker", "--reload") as program:
        program.wait("Waiting for a change of the code ...")
        assert "No module named 'missing' (myproject/routing.py, line 1)" in program.log
        assert "Traceback" not in program.log
        project.write({"myproject/routing.py": ROUTING})
        program.wait("Worker ")


# Another app's runserver.

OTHERS = """\
from django.core.management.commands.runserver import Command
"""

EXTENDS_THE_NEXT = """\
from importlib import import_module

from django.apps import apps

names = [config.name for config in apps.get_app_configs()] + ["django.core"]
following = iter(names[names.index("other") + 1 :])


class Command(next(
    module.Command
    for module in (
        import_module(name + ".management.commands.runserver") for name in following if name != "plain"
    )
)):
    pass
"""


@pytest.mark.parametrize(
    ("command", "apps", "warned"),
    [
        (OTHERS, ["other", "channels_classic"], True),
        (OTHERS, ["channels_classic", "other"], False),
        (EXTENDS_THE_NEXT, ["other", "channels_classic", "django.contrib.staticfiles"], False),
        (EXTENDS_THE_NEXT, ["other", "django.contrib.staticfiles", "channels_classic"], True),
    ],
)
def test_a_runserver_that_knows_no_websockets(
    command: str, apps: list[str], warned: bool, project: Project
) -> None:
    project.write(
        {
            "other/__init__.py": "",
            "other/management/__init__.py": "",
            "other/management/commands/__init__.py": "",
            "other/management/commands/runserver.py": command,
            "myproject/settings.py": SETTINGS + f"    STATIC_URL = '/static/'\n    INSTALLED_APPS = {apps!r}\n",
        }
    )
    text = project.manage("check")
    assert ("'manage.py runserver' is the one of 'other', which answers WebSockets with 404." in text) is warned
    assert ("Put 'channels_classic' before 'other'" in text) is warned


# Redis is missing.


def test_a_missing_redis_is_one_line(project: Project) -> None:
    port = free_port()
    project.write({"myproject/settings.py": over_redis(f"redis://user:secret@127.0.0.1:{port}/2")})
    with project.served() as site:
        site.server.wait("cannot be reached; trying again.")
        assert site.http.get("/").status_code == 503
        log = site.server.log
    assert log.count("cannot be reached") == 1
    assert f"RedisChannelLayer at 127.0.0.1:{port}, database 2." in log
    assert "secret" not in log


# Ctrl-C while it starts.

SLOW = """\
import sys
import time

print("loading", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("command", [["runserver", "--noreload", "0"], ["runworker"]])
def test_ctrl_c_while_the_project_loads(command: list[str], project: Project) -> None:
    project.write({"myproject/routing.py": SLOW})
    with project.running(*command) as program:
        program.wait("loading")
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(60) in (1, 130)
        assert "Traceback" not in program.log
        assert "Interrupted before the" in program.log


@pytest.mark.parametrize(
    "command",
    [
        ["interface_server", "myproject.routing:layer"],
        ["worker", "--settings", "myproject.settings"],
    ],
)
def test_ctrl_c_while_a_program_loads(command: list[str], project: Project) -> None:
    project.write({"myproject/routing.py": SLOW})
    with running([sys.executable, "-m", *command], project.folder) as program:
        interrupt(program)
        assert "Traceback" not in program.log


def interrupt(program: Running) -> None:
    program.wait("loading")
    program.process.send_signal(signal.SIGINT)
    program.process.wait(60)


# The app is missing.


@pytest.mark.parametrize(
    ("program", "started"),
    [(("worker",), "channels:"), (("interface_server", "myproject.asgi:channel_layer"), "listens on")],
    ids=["worker", "interface server"],
)
def test_a_program_says_once_that_the_app_is_missing(
    project: Project, program: tuple[str, ...], started: str
) -> None:
    """The supervisor says it for its processes. Nobody listens at the port of Redis."""
    settings = over_redis(f"redis://127.0.0.1:{free_port()}").replace('["channels_classic"]', "[]")
    project.write({"myproject/settings.py": settings, "myproject/asgi.py": ASGI})
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    port = () if program == ("worker",) else ("--port", str(free_port()))
    with project.running("--processes", "2", *port, program=("-m", *program)) as running:
        running.wait(lambda: running.log.count(started) == 2)
    assert running.log.count("'channels_classic' is not in INSTALLED_APPS: add it.") == 1
