"""``manage.py channels``: which message reaches which consumer, in a terminal and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.project import MANAGE, Project

FILES = {
    "manage.py": MANAGE,
    "myproject/__init__.py": "",
    "myproject/urls.py": "urlpatterns = []\n",
    "myproject/settings.py": """\
        ROOT_URLCONF = "myproject.urls"
        SECRET_KEY = "for tests"
        INSTALLED_APPS = ["channels_classic"]
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_classic.layers.RedisChannelLayer",
                "CONFIG": {"hosts": ["redis://:geheim@127.0.0.1:1/3"]},
                "ROUTING": "myproject.routing.channel_routing",
            },
            "second": {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}},
        }
    """,
    "myproject/consumers.py": """\
        from channels_classic.generic.websockets import WebsocketConsumer
        from channels_classic.sessions import channel_session


        def connect(message):
            pass


        @channel_session
        def receive(message, room):
            pass


        class Echo(WebsocketConsumer):
            pass
    """,
    "myproject/routing.py": """\
        from channels_classic import include, route, route_class
        from myproject.consumers import Echo, connect, receive

        chat = [route("websocket.receive", receive, path=r"^/(?P<room>[a-z]+)/$")]

        channel_routing = [
            route("websocket.connect", connect, path=r"^/chat/"),
            include(chat, path=r"^/chat"),
            route_class(Echo, path=r"^/echo/$"),
        ]
    """,
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, FILES)


def routes(project: Project, *options: str) -> list[dict[str, Any]]:
    (layer, *_) = json.loads(project.manage("channels", "--json", *options))["layers"]
    found: list[dict[str, Any]] = layer["routes"]
    return found


def test_as_json(project: Project) -> None:
    layers = json.loads(project.manage("channels", "--json"))["layers"]
    assert [(layer["alias"], layer["servers"]) for layer in layers] == [
        ("default", "127.0.0.1:1, database 3"),
        ("second", ""),
    ]
    found = [
        (row["channel"], row["filters"], row["consumer"], row["file"], row["line"], row["default"])
        for row in layers[0]["routes"]
    ]
    consumers, file = "myproject.consumers", "myproject/consumers.py"
    echo = {"path": [r"^/echo/$"]}
    assert found == [
        ("websocket.connect", {"path": ["^/chat/"]}, f"{consumers}.connect", file, 5, False),
        (
            "websocket.receive",
            {"path": ["^/chat", "^/(?P<room>[a-z]+)/$"]},
            f"{consumers}.receive",
            file,
            9,
            False,
        ),
        *(
            (f"websocket.{event}", echo, f"{consumers}.Echo", file, 14, False)
            for event in ("connect", "disconnect", "receive")
        ),
        ("http.request", {}, "Django's views", None, None, True),
        ("websocket.connect", {}, "the socket is accepted", None, None, True),
        ("websocket.disconnect", {}, "nothing happens", None, None, True),
        ("websocket.receive", {}, "nothing happens", None, None, True),
    ]


def test_a_default_that_no_message_reaches_is_left_out(project: Project) -> None:
    project.write(
        {"myproject/routing.py": "channel_routing = {'websocket.connect': 'myproject.consumers.connect'}\n"}
    )
    assert [(row["channel"], row["default"]) for row in routes(project)] == [
        ("websocket.connect", False),
        ("http.request", True),
        ("websocket.disconnect", True),
        ("websocket.receive", True),
    ]


def test_for_people_without_colours(project: Project) -> None:
    text = project.manage("channels")
    assert text.isascii() or "─" in text
    assert "\x1b" not in text
    assert "geheim" not in text
    lines = [line.split() for line in text.splitlines()]
    assert text.startswith(
        "Channel layer 'default': RedisChannelLayer at 127.0.0.1:1, database 3. Routing "
        "myproject.routing.channel_routing: 3 channels.\n"
    )
    assert [
        "websocket.connect",
        "path=^/chat/",
        "myproject.consumers.connect",
        "myproject/consumers.py:5",
    ] in lines
    assert ["http.request", "Django's", "views", "not", "routed"] in lines
    assert "Channel layer 'second': InMemoryChannelLayer. Routing: no channels." in text


def test_colours_where_they_are_asked_for(project: Project) -> None:
    assert "\x1b[1m" in project.manage("channels", "--force-color")


def test_one_layer(project: Project) -> None:
    assert [row["default"] for row in routes(project, "--layer", "second")] == [True] * 4
    done = project.python("manage.py", "channels", "--layer", "third")
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: CHANNEL_LAYERS has no 'third'; it has: 'default', 'second'.")


def test_a_mistake_in_the_routing_is_one_line(project: Project) -> None:
    project.write({"myproject/routing.py": "import nothing\n"})
    done = project.python("manage.py", "channels")
    assert done.returncode == 1
    assert "No module named 'nothing' (myproject/routing.py, line 1)" in done.stderr
    assert "Traceback" not in done.stderr
