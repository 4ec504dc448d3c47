"""What a page about today's Channels has in common with the classic ones: its settings, and how it is served."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from tests.ports import free_port
from tests.project import Project, Site
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
