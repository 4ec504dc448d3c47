"""The examples on the pages about coming from Channels 4 and moving to it work."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests import channels_4
from tests.channels_classic.channels4.project import SETTINGS
from tests.ports import free_port
from tests.project import DEADLINE, MANAGE, REPOSITORY, Project, Site
from tests.redis_server import RedisServer

MOVING = (REPOSITORY / "docs" / "moving-on-to-channels-4.md").read_text()
COMING = (REPOSITORY / "docs" / "coming-from-channels-4.md").read_text()


def blocks(page: str) -> dict[str, str]:
    """The blocks of Python that name their file in the first line, by that line."""
    return dict(re.findall(r"```python\n# ([^\n]+)\n(.*?)```", page, re.DOTALL))


ROUTING = """\
from channels_classic import route
from mysite import consumers

room = r"^/ws/rooms/(?P<room>\\w+)/$"
channel_routing = [
    route("websocket.connect", consumers.connect, path=room),
    route("websocket.receive", consumers.receive, path=room),
    route("websocket.disconnect", consumers.disconnect, path=room),
]
"""

IMPORTS = """\
from channels_classic import Group
from channels_classic.auth import channel_session_user, channel_session_user_from_http
"""


@pytest.fixture
def project(tmp_path: Path, redis_server: RedisServer, redis_url: str) -> Project:
    """The project that moves, at the moment when it has both consumers."""
    found = blocks(MOVING)
    settings = SETTINGS.replace("myproject", "mysite") + 'INSTALLED_APPS += ["channels_classic"]\n'
    project = Project(
        tmp_path,
        {
            "manage.py": MANAGE.replace("myproject", "mysite"),
            "mysite/__init__.py": "",
            "mysite/settings.py": settings + found["settings.py"].replace("6379", str(redis_server.port)),
            "mysite/urls.py": "urlpatterns = []\n",
            "mysite/routing.py": ROUTING,
            "mysite/consumers.py": IMPORTS + found["before: mysite/consumers.py"],
            "mysite/async_consumers.py": found["after: mysite/async_consumers.py"],
            "mysite/asgi.py": found["mysite/asgi.py"],
        },
    )
    channels_4.add_to(project)
    return project


def test_moving_one_consumer(project: Project) -> None:
    """One server already has the new consumer, and another one still has the old one. All clients are in one
    room."""
    project.manage("migrate")
    command = re.search(r"^channels-interface (.*)$", MOVING, re.MULTILINE)
    assert command
    layer, *mount = command[1].split()
    ports = [free_port(), free_port()]
    with (
        project.running(layer, "--port", str(ports[0]), program=["-m", "interface_server"], log="old.txt") as old,
        project.running(
            layer, *mount, "--port", str(ports[1]), program=["-m", "interface_server"], log="new.txt"
        ) as new,
        project.running("classicworker") as worker,
        Site(ports[0], old) as old_site,
        Site(ports[1], new) as new_site,
    ):
        worker.wait("channels:")
        for server in (old, new):
            server.wait("The channel layer answers.")
        with (
            old_site.connect("/ws/rooms/kitchen/") as first,
            new_site.connect("/ws/rooms/kitchen/") as second,
            new_site.connect("/ws/rooms/garden/") as elsewhere,
        ):
            members = (
                "from channels_classic import channel_layers; "
                "print(len(channel_layers['default'].group_channels('room-kitchen')), 'members')"
            )
            deadline = time.monotonic() + DEADLINE
            while "2 members" not in project.manage("shell", "-c", members):
                assert time.monotonic() < deadline
            for number, sender in enumerate([first, second]):
                sender.send(f"from {number}")
                assert first.recv() == second.recv() == f"from {number}"
            elsewhere.send("quiet here")
            assert elsewhere.recv() == "quiet here"


def test_the_settings_on_the_pages(project: Project, redis_server: RedisServer) -> None:
    """With each, the checks of a project find nothing."""
    last = MOVING[MOVING.index("## 4. ") :]
    shown = [
        blocks(COMING)["settings.py"],
        *re.findall(r"```python\n(CHANNEL_LAYERS = .*?)```", COMING + last, re.DOTALL),
    ]
    assert len(shown) == 3
    ours = shown[0].partition("CHANNEL_LAYERS = ")[0]
    for settings in shown:
        text = SETTINGS.replace("myproject", "mysite") + 'INSTALLED_APPS += ["channels_classic"]\n'
        text += ours + settings if "Classic" in settings else settings
        project.write({"mysite/settings.py": text.replace("6379", str(redis_server.port))})
        project.manage("check", "--fail-level", "WARNING")
