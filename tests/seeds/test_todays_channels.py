"""What a page about today's Channels has in common with the classic ones: its settings, and how it is served."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import channels_4
from tests.ports import free_port
from tests.project import MANAGE, Project, Site
from tests.redis_server import RedisServer

SETTINGS = """
# settings.py

INSTALLED_APPS = [
    'channels',
    # other installed apps
]

# Specify the ASGI application
ASGI_APPLICATION = 'myproject.asgi.application'
"""

COMMAND = "daphne -p 8000 myproject.asgi:application"

THE_REST = """
INSTALLED_APPS += ['django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions']

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [("127.0.0.1", 6379)]},
        "ROUTING": "myproject.myapp.consumers.channel_routing",
    },
}
"""

ASGI = """\
    import os
    import channels_classic.legacy
    from channels.asgi import get_channel_layer
    from interface_server import InterfaceServer

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")

    application = InterfaceServer(get_channel_layer())
"""

CONSUMERS = """\
    def ws_message(message):
        message.reply_channel.send({"text": message.content["text"]})

    channel_routing = {"websocket.receive": ws_message}
"""


def test_daphne_with_a_classic_project(
    project: Callable[..., Project], redis_server: RedisServer, redis_url: str
) -> None:
    settings = SETTINGS + THE_REST.replace("6379", str(redis_server.port))
    old = project({"asgi.py": ASGI, "myapp/consumers.py": CONSUMERS}, settings=settings)
    port = free_port()
    program, *options = shlex.split(COMMAND.replace("8000", str(port)))
    with (
        old.running(*options, program=["-m", program], log="server.txt") as server,
        old.running("runworker"),
        Site(port, server) as site,
    ):
        server.wait(site.listens)
        assert "The site" in site.http.get("/").text
        with site.connect("/ws/chat/") as client:
            client.send("hello")
            assert client.recv() == "hello"


# With Channels 4 beside this package: the rest of the page, and that of another one.

ROUTER = """
# myproject/asgi.py
import os
from django.core.asgi import get_asgi_application
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.auth import AuthMiddlewareStack
from myapp.routing import websocket_urlpatterns

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'myproject.settings')

application = ProtocolTypeRouter({
    "http": get_asgi_application(),
    "websocket": AuthMiddlewareStack(
        URLRouter(
            websocket_urlpatterns
        )
    ),
})
"""

WEBSOCKET_ROUTING = """
# myapp/routing.py
from django.urls import re_path
from . import consumers

websocket_urlpatterns = [
    re_path(r'ws/chat/$', consumers.ChatConsumer.as_asgi()),
]
"""

TWO_MORE_PATHS = """
from . import async_websocket_consumer, websocket_consumer

websocket_urlpatterns += [
    re_path(f'ws/{name}/$', module.ChatConsumer.as_asgi())
    for name, module in [
        ('websocket_consumer', websocket_consumer),
        ('async_websocket_consumer', async_websocket_consumer),
    ]
]
"""

CHAT = """
# myapp/consumers.py
import json
from channels.generic.websocket import WebsocketConsumer

class ChatConsumer(WebsocketConsumer):
    def connect(self):
        self.accept()

    def disconnect(self, close_code):
        pass

    def receive(self, text_data):
        text_data_json = json.loads(text_data)
        message = text_data_json['message']
        self.send(text_data=json.dumps({
            'message': message
        }))
"""

WEBSOCKET_CONSUMER = """
from channels.generic.websocket import WebsocketConsumer
import json

class ChatConsumer(WebsocketConsumer):
    def connect(self):
        self.accept()

    def disconnect(self, close_code):
        pass

    def receive(self, text_data):
        data = json.loads(text_data)
        self.send(text_data=json.dumps({'message': data['message']}))
"""

ASYNC_WEBSOCKET_CONSUMER = """
from channels.generic.websocket import AsyncWebsocketConsumer
import json

class ChatConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()

    async def disconnect(self, close_code):
        pass

    async def receive(self, text_data):
        data = json.loads(text_data)
        await self.send(text_data=json.dumps({'message': data['message']}))
"""

SYNC_CONSUMER = """
from channels.consumer import SyncConsumer

class MySyncConsumer(SyncConsumer):
    def my_custom_event(self, event):
        print("Received event:", event)
"""

ASYNC_CONSUMER = """
from channels.consumer import AsyncConsumer

class MyAsyncConsumer(AsyncConsumer):
    async def my_custom_event(self, event):
        print("Received event:", event)
"""

IN_A_SHELL = """
$ python3 manage.py shell
import channels.layers
channel_layer = channels.layers.get_channel_layer()
from asgiref.sync import async_to_sync
async_to_sync(channel_layer.send)('test_channel', {'type': 'hello'})
async_to_sync(channel_layer.receive)('test_channel')
"""

BESIDE = """
INSTALLED_APPS += ['django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions']
INSTALLED_APPS += ['channels_classic']
SECRET_KEY = 'for tests'
DEBUG = True
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}
ROOT_URLCONF = 'myproject.urls'
CHANNEL_LAYERS = {'default': {'BACKEND': 'channels_classic.channels4.ClassicChannelLayer'}}
CHANNELS_CLASSIC_LAYERS = {
    'default': {
        'BACKEND': 'channels_classic.layers.RedisChannelLayer',
        'CONFIG': {'hosts': ['REDIS_URL']},
        'ROUTING': 'myapp.classic.channel_routing',
    },
}
"""

A_CLASSIC_PATH = """
from channels_classic.asgi import get_channel_layer
from django.urls import re_path
from interface_server import InterfaceServer

websocket_urlpatterns.append(re_path(r'ws/classic/$', InterfaceServer(get_channel_layer())))
"""

ON_A_CHANNEL = """
from channels.routing import ChannelNameRouter
from myapp import consumers
application.application_mapping['channel'] = ChannelNameRouter({'events': consumers.NAME.as_asgi()})
"""


@pytest.fixture
def beside(tmp_path: Path, redis_url: str) -> Project:
    """The project of the page, with this package added."""
    project = Project(
        tmp_path,
        {
            "manage.py": MANAGE,
            "myproject/__init__.py": "",
            "myproject/settings.py": SETTINGS + BESIDE.replace("REDIS_URL", redis_url),
            "myproject/urls.py": "from django.http import HttpResponse\nfrom django.urls import path\n"
            "urlpatterns = [path('', lambda request: HttpResponse('The site'))]\n",
            "myproject/asgi.py": ROUTER,
            "myapp/__init__.py": "",
            "myapp/routing.py": WEBSOCKET_ROUTING,
            "myapp/consumers.py": CHAT,
            "myapp/classic.py": CONSUMERS,
        },
    )
    channels_4.add_to(project)
    return project


def test_sockets_of_channels_4_and_ours(beside: Project) -> None:
    """Its consumers answer as the pages say, and a classic one beside them."""
    beside.write(
        {
            "myapp/websocket_consumer.py": WEBSOCKET_CONSUMER,
            "myapp/async_websocket_consumer.py": ASYNC_WEBSOCKET_CONSUMER,
            "myapp/routing.py": WEBSOCKET_ROUTING + TWO_MORE_PATHS,
            "myproject/asgi.py": ROUTER + A_CLASSIC_PATH,
        }
    )
    beside.manage("migrate")
    port = free_port()
    program, *options = shlex.split(COMMAND.replace("8000", str(port)))
    with (
        beside.running(*options, program=["-m", program], log="server.txt") as server,
        beside.running("classicworker"),
        Site(port, server) as site,
    ):
        server.wait(site.listens)
        assert "The site" in site.http.get("/").text
        with site.connect("/ws/classic/") as ours:
            for path in ("/ws/chat/", "/ws/websocket_consumer/", "/ws/async_websocket_consumer/"):
                with site.connect(path) as theirs:
                    theirs.send('{"message": "hello"}')
                    assert theirs.recv() == '{"message": "hello"}', path
            ours.send("hello")
            assert ours.recv() == "hello"


@pytest.mark.parametrize(
    ("consumer", "name"), [(SYNC_CONSUMER, "MySyncConsumer"), (ASYNC_CONSUMER, "MyAsyncConsumer")]
)
def test_events_on_a_channel_of_our_layer(beside: Project, consumer: str, name: str) -> None:
    beside.write(
        {
            "myapp/consumers.py": CHAT + consumer,
            "myproject/asgi.py": ROUTER + ON_A_CHANNEL.replace("NAME", name),
        }
    )
    with beside.running("runworker", "events") as worker:
        worker.wait("Running worker for channels ['events']")
        send = "from channels_classic import Channel; Channel('events').send({'type': 'my.custom_event'})"
        beside.manage("shell", "-c", send)
        worker.wait("Received event: {'type': 'my.custom_event'}")


@pytest.mark.parametrize("backend", ["ClassicChannelLayer", "RedisChannelLayer"])
def test_the_layer_in_a_shell(beside: Project, redis_url: str, backend: str) -> None:
    if backend == "RedisChannelLayer":
        config = f"'CONFIG': {{'hosts': ['{redis_url}']}}"
        text = (beside.folder / "myproject" / "settings.py").read_text()
        text = text.replace("channels4.ClassicChannelLayer'", f"channels4.RedisChannelLayer', {config}")
        beside.write({"myproject/settings.py": text})
    command, *typed = IN_A_SHELL.strip().splitlines()
    assert command == "$ python3 manage.py shell"
    typed[-1] = f"print({typed[-1]})"  # as a shell does
    assert "{'type': 'hello'}" in beside.manage("shell", "-c", "\n".join(typed))


NAMES = [
    "channels.routing.ProtocolTypeRouter",
    "channels.generic.websocket.WebsocketConsumer",
    "channels.consumer.AsyncConsumer",
    "channels.layers.get_channel_layer",
]

IMPORTS = """
import channels_classic.legacy

for name in NAMES:
    module, _, attribute = name.rpartition(".")
    try:
        exec(f"from {module} import {attribute}")
    except ImportError as error:
        print(name, error)
"""


def test_names_of_channels_4_do_not_exist_under_the_old_names(tmp_path: Path) -> None:
    """A name that is not ours is an error that says so, and not something else of ours."""
    done = Project(tmp_path).python("-c", IMPORTS.replace("NAMES", repr(NAMES)))
    assert not done.returncode, done.stderr
    errors = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert list(errors) == NAMES
    assert all("channels_classic" in error for error in errors.values()), errors
