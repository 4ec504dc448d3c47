"""The first examples of the classic documents, with the new package name instead of the old names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.commands.conftest import make_project, served
from tests.project import Project, Site

SETTINGS = """\
    from .settings import *

    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
            "ROUTING": "mysite.routing.channel_routing",
        },
    }
"""

Serve = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="module")
def fresh_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("seeds"))
    project.write({"mysite/example.py": SETTINGS, "mysite/myapp/__init__.py": ""})
    return project


@pytest.fixture
def serve(fresh_project: Project, request: pytest.FixtureRequest) -> Serve:
    """The project with these consumers and this routing, served."""

    @contextmanager
    def serve(consumers: str, routing: str) -> Iterator[Site]:
        fresh_project.write({"mysite/myapp/consumers.py": consumers, "mysite/routing.py": routing})
        log = f"{request.node.name}.txt"
        with served(fresh_project, "--noreload", "--settings", "mysite.example", log=log) as site:
            yield site
            assert "Traceback" not in Path(fresh_project.folder / log).read_text()

    return serve


def test_a_consumer_for_every_request(serve: Serve) -> None:
    consumers = """\
        from django.http import HttpResponse
        from channels_classic.handler import AsgiHandler

        def http_consumer(message):
            # Make standard HTTP response - access ASGI path attribute directly
            response = HttpResponse("Hello world! You asked for %s" % message.content['path'])
            # Encode that response into message format (ASGI)
            for chunk in AsgiHandler.encode_response(response):
                message.reply_channel.send(chunk)
    """
    routing = """\
        channel_routing = {
            "http.request": "mysite.myapp.consumers.http_consumer",
        }
    """
    with serve(consumers, routing) as site:
        for path in ("/", "/some/where", "/admin/"):
            response = site.http.get(path)
            assert (response.status_code, response.text) == (200, f"Hello world! You asked for {path}")


def test_echo(serve: Serve) -> None:
    consumers = """\
        from channels_classic import Group

        def ws_message(message):
            # ASGI WebSocket packet-received and send-packet message types
            # both have a "text" key for their textual data.
            message.reply_channel.send({
                "text": message.content['text'],
            })
    """
    routing = """\
        from mysite.myapp.consumers import ws_message

        channel_routing = {
            "websocket.receive": ws_message,
        }
    """
    with serve(consumers, routing) as site:
        with site.connect("/chat/") as client:
            for text in ("hello world", "caf\u00e9", ""):
                client.send(text)
                assert client.recv() == text
        assert site.http.get("/admin/login/").status_code == 200


def test_group_chat(serve: Serve) -> None:
    consumers = """\
        from channels_classic import Group

        # Connected to websocket.connect
        def ws_add(message):
            Group("chat").add(message.reply_channel)

        # Connected to websocket.receive
        def ws_message(message):
            Group("chat").send({
                "text": "[user] %s" % message.content['text'],
            })

        # Connected to websocket.disconnect
        def ws_disconnect(message):
            Group("chat").discard(message.reply_channel)
    """
    routing = """\
        from mysite.myapp.consumers import ws_add, ws_message, ws_disconnect

        channel_routing = {
            "websocket.connect": ws_add,
            "websocket.receive": ws_message,
            "websocket.disconnect": ws_disconnect,
        }
    """
    with serve(consumers, routing) as site, site.connect("/chat/") as one:
        with site.connect("/anywhere/") as two:
            one.send("hello")
            assert one.recv() == two.recv() == "[user] hello"
            two.send("hello yourself")
            assert one.recv() == two.recv() == "[user] hello yourself"
        site.server.wait("DISCONNECTED /anywhere/")
        one.send("alone again")
        assert one.recv() == "[user] alone again"


def test_you_said(serve: Serve) -> None:
    consumers = """\
        def websocket_receive(message):
            text = message.content.get('text')
            if text:
                message.reply_channel.send({"text": "You said: {}".format(text)})
    """
    routing = """\
        from channels_classic.routing import route
        from .myapp.consumers import websocket_receive

        channel_routing = [
            route("websocket.receive", websocket_receive, path=r"^/chat/"),
        ]
    """
    with serve(consumers, routing) as site, site.connect("/chat/") as client:
        client.send(b"only bytes")
        client.send("Hi")
        assert client.recv() == "You said: Hi"
