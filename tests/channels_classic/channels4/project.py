"""A project of Channels 4, as its tutorial would have it, to which this package is added."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.channels_4 import add_to
from tests.project import MANAGE, Project

SETTINGS = """\
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "myproject.urls"
ASGI_APPLICATION = "myproject.asgi.application"
WSGI_APPLICATION = "myproject.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
"""

URLS = """\
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path


def home(request):
    return HttpResponse("<title>The site</title>")


def log_in(request, name):
    user, created = User.objects.get_or_create(username=name)
    login(request, user)
    return HttpResponse(name)


def to_all(request, text):
    message = {"type": "chat.message", "text": text}
    async_to_sync(get_channel_layer().group_send)("room", message)
    return HttpResponse("sent")


def to_others(request):
    async_to_sync(get_channel_layer().group_send)("room", {"type": "chat.other", "body": "hello"})
    return HttpResponse("sent")


urlpatterns = [
    path("", home),
    path("login/<name>/", log_in),
    path("to-all/<text>/", to_all),
    path("to-others/", to_others),
]
"""

CONSUMERS = """\
from asgiref.sync import async_to_sync
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer


class AsyncChat(AsyncWebsocketConsumer):
    groups = ["room"]

    async def connect(self):
        await self.accept()
        await self.send(text_data=f"async {self.scope['user']}")

    async def receive(self, text_data):
        await self.channel_layer.group_send("room", {"type": "chat.message", "text": text_data})

    async def chat_message(self, event):
        await self.send(text_data=event["text"])

    async def chat_other(self, event):
        pass


class SyncChat(WebsocketConsumer):
    groups = ["room"]

    def connect(self):
        self.accept()
        self.send(text_data=f"sync {self.scope['user']}")

    def receive(self, text_data):
        async_to_sync(self.channel_layer.group_send)("room", {"type": "chat.message", "text": text_data})

    def chat_message(self, event):
        self.send(text_data=event["text"])

    def chat_other(self, event):
        pass


class BareAsync(AsyncConsumer):
    async def websocket_connect(self, event):
        await self.send({"type": "websocket.accept"})
        await self.send({"type": "websocket.send", "text": f"bare async {self.scope['user']}"})

    async def websocket_receive(self, event):
        await self.send({"type": "websocket.send", "text": event["text"]})


class BareSync(SyncConsumer):
    def websocket_connect(self, event):
        self.send({"type": "websocket.accept"})
        self.send({"type": "websocket.send", "text": f"bare sync {self.scope['user']}"})

    def websocket_receive(self, event):
        self.send({"type": "websocket.send", "text": event["text"]})


class Tasks(AsyncConsumer):
    async def task_run(self, event):
        print("task ran:", event["name"], flush=True)
"""

ASGI = """\
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")
django_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter
from django.urls import path

from myproject import consumers

patterns = [
    path("ws/async/", consumers.AsyncChat.as_asgi()),
    path("ws/sync/", consumers.SyncChat.as_asgi()),
    path("ws/bare-async/", consumers.BareAsync.as_asgi()),
    path("ws/bare-sync/", consumers.BareSync.as_asgi()),
]
application = ProtocolTypeRouter({
    "http": django_application,
    "websocket": AuthMiddlewareStack(URLRouter(patterns)),
    "channel": ChannelNameRouter({"tasks": consumers.Tasks.as_asgi()}),
})
"""

WSGI = """\
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")
application = get_wsgi_application()
"""


def make_project(folder: Path, settings: str = "", files: Mapping[str, str] | None = None) -> Project:
    """The project, with more settings and files."""
    texts = {
        "manage.py": MANAGE,
        "myproject/__init__.py": "",
        "myproject/settings.py": SETTINGS + settings,
        "myproject/urls.py": URLS,
        "myproject/consumers.py": CONSUMERS,
        "myproject/asgi.py": ASGI,
        "myproject/wsgi.py": WSGI,
    }
    project = Project(folder, {**texts, **(files or {})})
    add_to(project)
    return project
