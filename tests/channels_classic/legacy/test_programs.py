"""The programs on an old project, and the place of the legacy import for each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from tests.ports import free_port
from tests.project import LEGACY_MANAGE, MANAGE, Project, Site
from tests.redis_server import RedisServer

SETTINGS = """\
SECRET_KEY = "for tests"
DEBUG = True
INSTALLED_APPS = ["channels"]
ROOT_URLCONF = "myproject.urls"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [("127.0.0.1", 6379)]},
        "ROUTING": "myproject.routing.channel_routing",
    },
}
"""

ASGI = """\
import os
from channels.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")

channel_layer = get_channel_layer()
"""

ROUTING = """\
from channels.routing import route

def ws_message(message):
    message.reply_channel.send({"text": message.content["text"]})

channel_routing = [route("websocket.receive", ws_message)]
"""

LEGACY = "import channels_classic.legacy\n"


@pytest.fixture
def project(tmp_path: Path, redis_server: RedisServer, redis_url: str) -> Project:
    return Project(
        tmp_path,
        {
            "manage.py": MANAGE,
            "myproject/__init__.py": "",
            "myproject/asgi.py": LEGACY + ASGI,
            "myproject/settings.py": LEGACY + SETTINGS.replace("6379", str(redis_server.port)),
            "myproject/routing.py": ROUTING,
            "myproject/urls.py": "urlpatterns = []\n",
        },
    )


def test_programs_that_know_nothing_of_manage_py(project: Project) -> None:
    """What was ``daphne myproject.asgi:channel_layer``, and workers without ``manage.py``."""
    port = free_port()
    interface = ("-m", "interface_server", "myproject.asgi:channel_layer", "--port", str(port))
    worker = ("-m", "worker", "--settings", "myproject.settings")
    with (
        project.running(program=interface, log="interface.txt") as server,
        project.running(program=worker),
        Site(port, server) as site,
    ):
        server.wait(site.listens)
        with site.connect() as client:
            client.send("hello")
            assert client.recv() == "hello"


def test_several_worker_processes(project: Project) -> None:
    """They begin with ``manage.py`` too, if that is the only file that has the line."""
    settings = (project.folder / "myproject" / "settings.py").read_text()
    project.write({"manage.py": LEGACY_MANAGE, "myproject/settings.py": settings.removeprefix(LEGACY)})
    with project.running("runworker", "--processes", "2") as worker, project.served("--noworker") as site:
        # A handshake waits only some seconds for a worker, which may take longer to start on a busy machine.
        worker.wait(lambda: worker.log.count("channels: ") == 2)
        for _ in range(4):
            with site.connect() as client:
                client.send("hello")
                assert client.recv() == "hello"


def test_a_new_start_when_code_changes(project: Project) -> None:
    port = free_port()
    changed = {"myproject/routing.py": ROUTING.replace('message.content["text"]', '"changed"')}

    def is_noticed() -> bool:
        project.write(changed)  # again and again: what changes before the reloader first looks is old to it
        return "changed, reloading" in server.log

    def answer() -> str | bytes:
        with site.connect() as client:
            client.send("hello")
            return client.recv()

    def is_new() -> bool:
        try:
            return answer() == "changed"
        except (OSError, WebSocketException):  # it is about to end, or has not begun
            return False

    with project.running("runserver", f"127.0.0.1:{port}") as server, Site(port, server) as site:
        server.wait(site.listens)
        assert answer() == "hello"
        server.wait(is_noticed)
        server.wait(is_new)


def test_the_root_path_of_a_header_is_not_believed(project: Project) -> None:
    """``daphne`` took it from any client."""
    project.write(
        {
            "myproject/urls.py": """\
                from django.http import HttpResponse
                from django.urls import re_path

                def show(request):
                    return HttpResponse(f"{request.META['SCRIPT_NAME']} {request.path}")

                urlpatterns = [re_path("", show)]
            """,
        }
    )
    with project.served() as site:
        assert site.http.get("/page/", headers={"Daphne-Root-Path": "/elsewhere"}).text == " /page/"
