"""Effects that imports must not have, tested in separate interpreters."""

import os
import subprocess
import sys

import pytest


def run(program, **environment):
    """Run Python code with nothing of Django's in the environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NO_DJANGO = "; import sys; print(sorted(name for name in sys.modules if name.split('.')[0] == 'django'))"


@pytest.mark.parametrize(
    "program",
    [
        "import interface_server",
        "from interface_server import InterfaceServer",
        "import channels_classic.layers",
        "import channels_classic.layers.redis",
        "import channels_classic.layers.conformance",
        "import channels_classic",
        "import channels_classic; channels_classic.__version__; channels_classic.DEFAULT_CHANNEL_LAYER",
    ],
)
def test_django_stays_out(program):
    assert run(program + NO_DJANGO) == "[]"


def test_an_interface_server_stays_free_of_django():
    program = """
import asyncio, sys
from channels_classic.layers import InMemoryChannelLayer
from interface_server import InterfaceServer

async def main():
    server = InterfaceServer(InMemoryChannelLayer(), http_timeout=0.05)
    events = [{"type": "http.request", "body": b"", "more_body": False}]
    sent = []

    async def receive():
        return events.pop() if events else await asyncio.get_running_loop().create_future()

    async def send(event):
        sent.append(event)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }
    await server(scope, receive, send)
    print(sent[0]["status"])
    await server.stop()

asyncio.run(main())
print([name for name in sys.modules if name.split(".")[0] in ("django", "worker")])
"""
    assert run(program).split("\n") == ["503", "[]"]


def test_the_worker_is_not_imported_by_the_others():
    found = run(
        "import sys, channels_classic.channel, channels_classic.layers.memory, interface_server.application;"
        "print([name for name in sys.modules if name.split('.')[0] == 'worker'])"
    )
    assert found == "[]"


def test_no_settings_are_needed_for_what_application_code_imports():
    """Settings are read when a layer is used, so that a module with consumers can be imported anywhere."""
    program = """
import channels_classic
from channels_classic import Channel, Group, channel_layers, include, route, route_class
from channels_classic.message import Message
from django.apps import apps
from django.conf import settings
print(settings.configured, apps.models_ready)
"""
    assert run(program) == "False False"


def test_the_top_hands_on_what_it_promises():
    program = """
import channels_classic
from channels_classic.asgi import channel_layers
from channels_classic.channel import Channel, Group
from channels_classic.routing import include, route, route_class
for name in ("Channel", "Group", "channel_layers", "include", "route", "route_class"):
    assert getattr(channels_classic, name) is globals()[name], name
assert channels_classic.DEFAULT_CHANNEL_LAYER == "default"
assert set(channels_classic.__all__) >= {"Channel", "Group", "channel_layers", "include", "route", "route_class"}
for name in channels_classic.__all__:
    getattr(channels_classic, name)
"""
    run(program)


@pytest.mark.parametrize("module", ["channels_classic", "channels_classic.layers", "interface_server", "worker"])
def test_an_unknown_name_is_an_attribute_error(module):
    program = f"""
import {module}
try:
    {module}.Chanel
except AttributeError as error:
    print(error)
"""
    assert run(program) == f"module '{module}' has no attribute 'Chanel'"


def test_redis_is_imported_only_when_it_is_used():
    program = """
import sys
import channels_classic.layers, interface_server.application
print("redis" in sys.modules)
channels_classic.layers.RedisChannelLayer
print("redis" in sys.modules)
"""
    assert run(program).split() == ["False", "True"]


def test_the_app_can_be_set_up():
    program = """
import django
django.setup()
from channels_classic import Channel
Channel("queue").send({})
"""
    run(program, DJANGO_SETTINGS_MODULE="tests.settings")
