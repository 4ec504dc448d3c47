"""One server for both kinds of consumers: ours inside an application of Channels 4, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.channels_classic.channels4.project import ASGI, make_project
from tests.ports import free_port
from tests.project import Project, Running, Site, Socket

SETTINGS = """
import sys

INSTALLED_APPS += ["channels_classic"]
if "runserver" in sys.argv:
    INSTALLED_APPS.insert(0, "daphne")
CHANNELS_CLASSIC_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "CONFIG": {"hosts": ["REDIS_URL"]},
        "ROUTING": "myproject.routing.channel_routing",
    },
}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels_classic.channels4.ClassicChannelLayer"}}
"""

ROUTING = """\
import json

from channels_classic import Group, route
from channels_classic.auth import channel_session_user, channel_session_user_from_http


@channel_session_user_from_http
def connect(message):
    Group("room").add(message.reply_channel)
    message.reply_channel.send({"accept": True, "text": f"classic {message.user}"})


@channel_session_user
def receive(message):
    if message.content["text"] == "for sockets only":
        Group("room").send({"text": "for sockets only"})
    else:
        Group("room").send({"type": "chat.message", "text": message.content["text"]})


def enter(message, room_name):
    Group(f"chat_{room_name}").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def say(message, room_name):
    said = json.loads(message["text"])["message"]
    text = json.dumps({"message": said})
    Group(f"chat_{room_name}").send({"type": "chat.message", "message": said, "text": text})


def leave(message, room_name):
    Group(f"chat_{room_name}").discard(message.reply_channel)


ROOM = r"^(?:/ws)?/classic/chat/(?P<room_name>\\w+)/$"
channel_routing = [
    route("websocket.connect", enter, path=ROOM),
    route("websocket.receive", say, path=ROOM),
    route("websocket.disconnect", leave, path=ROOM),
    route("websocket.connect", connect),
    route("websocket.receive", receive),
]
"""

TUTORIAL = """\
import json

from channels.generic.websocket import AsyncWebsocketConsumer


class ChatConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        self.group = "chat_" + self.scope["url_route"]["kwargs"]["room_name"]
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, close_code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data):
        said = json.loads(text_data)["message"]
        # What classic sockets need is the text.
        text = json.dumps({"message": said})
        await self.channel_layer.group_send(self.group, {"type": "chat.message", "message": said, "text": text})

    async def chat_message(self, event):
        await self.send(text_data=json.dumps({"message": event["message"]}))
"""

PATHS = """
    path("ws/chat/<room_name>/", tutorial.ChatConsumer.as_asgi()),
    path("ws/classic/chat/<room_name>/", classic),
    path("ws/classic/", classic),
]
"""

BOTH = (
    ASGI.replace(
        "from myproject import consumers\n",
        "from myproject import consumers, tutorial\nfrom channels_classic.asgi import get_channel_layer\n"
        "from interface_server import InterfaceServer\n",
    )
    .replace("patterns = [\n", "classic = InterfaceServer(get_channel_layer())\npatterns = [\n")
    .replace("\n]\n", PATHS)
)

HOSTS = {
    "uvicorn": ("uvicorn", "--port", "PORT", "--log-level", "warning", "myproject.asgi:application"),
    "hypercorn": ("hypercorn", "--bind", "127.0.0.1:PORT", "myproject.asgi:application"),
    "daphne": ("daphne", "-p", "PORT", "myproject.asgi:application"),
    "runserver": ("django", "runserver", "--noreload", "PORT"),
    "channels-interface": (
        *("interface_server", "--port", "PORT", "--mount", "/ws=myproject.asgi:application"),
        *("--mount", "/login=myproject.asgi:application", "--mount", "/to-all=myproject.asgi:application"),
        *("--mount", "/to-others=myproject.asgi:application"),
        "myproject.classic:channel_layer",
    ),
}

CLASSIC = """\
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")
from channels_classic.asgi import get_channel_layer

channel_layer = get_channel_layer()
"""

FOUR = {"async": "async", "sync": "sync", "bare-async": "bare async", "bare-sync": "bare sync"}


@pytest.fixture
def project(tmp_path: Path, redis_url: str) -> Project:
    settings = SETTINGS.replace("REDIS_URL", redis_url)
    files = {
        "myproject/routing.py": ROUTING,
        "myproject/asgi.py": BOTH,
        "myproject/classic.py": CLASSIC,
        "myproject/tutorial.py": TUTORIAL,
    }
    project = make_project(tmp_path, settings, files)
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    return project


@contextmanager
def hosted(project: Project, host: str) -> Iterator[tuple[Site, Running]]:
    """The project on that server, with a worker."""
    port = free_port()
    program, *options = [part.replace("PORT", str(port)) for part in HOSTS[host]]
    project.manage("migrate")
    with (
        project.running(*options, program=["-m", program], log="server.txt") as server,
        project.running("classicworker", log="worker.txt") as worker,
        Site(port, server) as site,
    ):
        server.wait(site.listens)
        yield site, worker


@pytest.mark.parametrize("host", HOSTS)
def test_both_worlds(project: Project, host: str) -> None:
    """Each kind of consumer knows the user, and a message to the group reaches all of them."""
    classic_path = "/classic/" if host == "channels-interface" else "/ws/classic/"
    with hosted(project, host) as (site, worker), ExitStack() as stack:
        worker.wait("channels:")

        def connect(path: str, **headers: str) -> Socket:
            return stack.enter_context(site.connect(path, **headers))

        response = site.http.get("/login/anna/")
        assert response.text == "anna"
        cookie = {"Cookie": f"sessionid={response.cookies['sessionid']}"}
        for path, name in {f"/ws/{path}/": name for path, name in FOUR.items()}.items():
            assert connect(path, **cookie).recv() == f"{name} anna"
            assert connect(path).recv() == f"{name} AnonymousUser"
        rooms = [connect(path, **cookie) for path in ("/ws/async/", "/ws/sync/", classic_path)]
        assert [room.recv() for room in rooms] == ["async anna", "sync anna", "classic anna"]
        for number, sender in enumerate(rooms):
            sender.send(f"from {number}")
            assert [room.recv() for room in rooms] == [f"from {number}"] * 3
        assert site.http.get("/to-all/hello/").text == "sent"
        assert [room.recv() for room in rooms] == ["hello"] * 3
        # What has no type is for sockets, and ends no consumer of the other world.
        rooms[2].send("for sockets only")
        assert rooms[2].recv() == "for sockets only"
        rooms[0].send("the end")
        assert [room.recv() for room in rooms] == ["the end"] * 3
        assert "it has no 'type', so it is for classic sockets" in site.server.log
        # A type alone means nothing to a classic socket, and ends none.
        assert site.http.get("/to-others/").text == "sent"
        rooms[1].send("still there")
        assert [room.recv() for room in rooms] == ["still there"] * 3
        site.server.wait("but has body, type")
        # The chat of their tutorial: anybody in the room hears everybody, and nobody in another room does.
        lobby = [connect("/ws/chat/lobby/"), connect("/ws/chat/lobby/"), connect(f"{classic_path}chat/lobby/")]
        garden = [connect("/ws/chat/garden/"), connect(f"{classic_path}chat/garden/")]
        for room, name in ((lobby, "lobby"), (garden, "garden")):
            for number, sender in enumerate(room):
                said = f'{{"message": "{number} in the {name}"}}'
                sender.send(said)
                assert [member.recv() for member in room] == [said] * len(room)
