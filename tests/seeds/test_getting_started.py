""" "Getting Started" of Channels 1, section by section."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from textwrap import dedent

import pytest
from playwright.sync_api import Browser

from tests.project import Project, Site, Socket
from tests.redis_server import RedisServer

MakeProject = Callable[..., Project]


class TestFirstConsumers:
    HTTP_CONSUMER = """\
        from django.http import HttpResponse
        from channels.handler import AsgiHandler

        def http_consumer(message):
            # Make standard HTTP response - access ASGI path attribute directly
            response = HttpResponse("Hello world! You asked for %s" % message.content['path'])
            # Encode that response into message format (ASGI)
            for chunk in AsgiHandler.encode_response(response):
                message.reply_channel.send(chunk)
    """

    HTTP_ROUTING = """\
        # In routing.py
        channel_routing = {
            "http.request": "myproject.myapp.consumers.http_consumer",
        }
    """

    def test_every_request(self, project: MakeProject) -> None:
        old = project({"myapp/consumers.py": self.HTTP_CONSUMER, "routing.py": self.HTTP_ROUTING})
        with old.served() as site:
            assert site.http.get("/a/b").text == "Hello world! You asked for /a/b"

    ECHO = """\
        # In consumers.py
        from channels import Group

        def ws_message(message):
            # ASGI WebSocket packet-received and send-packet message types
            # both have a "text" key for their textual data.
            message.reply_channel.send({
                "text": message.content['text'],
            })
    """

    ECHO_ROUTING = """\
        # In routing.py
        from myproject.myapp.consumers import ws_message

        channel_routing = {
            "websocket.receive": ws_message,
        }
    """

    def test_echo(self, project: MakeProject, browser: Browser) -> None:
        old = project({"myapp/consumers.py": self.ECHO, "routing.py": self.ECHO_ROUTING})
        with old.served() as site:
            with site.connect("/chat/") as client:
                client.send("hello")
                assert client.recv() == "hello"
            assert "The site" in site.http.get("/").text
            assert alerts(browser, site) == [["hello world"]]


# Typed into the console of a browser; the port is another one.
JAVASCRIPT = """\
    // Note that the path doesn't matter for routing; any WebSocket
    // connection gets bumped over to WebSocket consumers
    socket = new WebSocket("ws://127.0.0.1:8000/chat/");
    socket.onmessage = function(e) {
        alert(e.data);
    }
    socket.onopen = function() {
        socket.send("hello world");
    }
"""


# An alert would hold the page up until somebody clicks it away.
NOTED = "shown = []; alert = text => shown.push(text)"


def alerts(browser: Browser, site: Site, tabs: int = 1) -> list[list[str]]:
    """What each tab shows after the script was run in one after another, in each when the last had its alert."""
    with ExitStack() as stack:
        pages = [stack.enter_context(browser.new_page(base_url=str(site.http.base_url))) for _ in range(tabs)]
        for page in pages:
            page.add_init_script(NOTED)
            page.goto("/")
            page.add_script_tag(content=JAVASCRIPT.replace(":8000", f":{site.port}"))
            page.wait_for_function("shown.length > 0")
        for number, page in enumerate(pages):
            page.wait_for_function("number => shown.length >= number", arg=tabs - number)
        return [page.evaluate("shown") for page in pages]


class TestGroups:
    ADD_AND_DISCARD = """\
        # In consumers.py
        from channels import Group

        # Connected to websocket.connect
        def ws_add(message):
            Group("chat").add(message.reply_channel)

        # Connected to websocket.disconnect
        def ws_disconnect(message):
            Group("chat").discard(message.reply_channel)
    """

    def test_coming_and_going(self, project: MakeProject) -> None:
        routing = """\
            channel_routing = {
                "websocket.connect": "myproject.myapp.consumers.ws_add",
                "websocket.disconnect": "myproject.myapp.consumers.ws_disconnect",
            }
        """
        old = project({"myapp/consumers.py": self.ADD_AND_DISCARD, "routing.py": routing})
        with old.served() as site:
            members = lambda: len(site.http.get("/members/chat/").json())  # noqa: E731
            assert members() == 0
            with site.connect(), site.connect():
                site.server.wait(lambda: members() == 2)
            site.server.wait(lambda: members() == 0)

    CHAT = """\
        # In consumers.py
        from channels import Group

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

    CHAT_ROUTING = """\
        from myproject.myapp.consumers import ws_add, ws_message, ws_disconnect

        channel_routing = {
            "websocket.connect": ws_add,
            "websocket.receive": ws_message,
            "websocket.disconnect": ws_disconnect,
        }
    """

    def test_chat(self, project: MakeProject, browser: Browser) -> None:
        old = project({"myapp/consumers.py": self.CHAT, "routing.py": self.CHAT_ROUTING})
        with old.served() as site:
            talk(site)
            # The first tab shows its own words, then both show those of the second.
            said = "[user] hello world"
            assert alerts(browser, site, tabs=2) == [[said, said], [said]]


def talk(site: Site) -> None:
    """Two people in the chat of the documents."""
    with site.connect("/chat/") as one, site.connect("/chat/") as other:
        one.send("hello")
        assert one.recv() == other.recv() == "[user] hello"
        other.send("hello yourself")
        assert one.recv() == other.recv() == "[user] hello yourself"


class TestRunningWithChannels:
    REDIS = """
# In settings.py
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {
            "hosts": [("localhost", 6379)],
        },
        "ROUTING": "myproject.routing.channel_routing",
    },
}
"""

    @pytest.fixture
    def old(self, project: MakeProject, redis_server: RedisServer, redis_url: str) -> Project:
        old: Project = project(
            {"myapp/consumers.py": TestGroups.CHAT, "routing.py": TestGroups.CHAT_ROUTING},
            settings=self.REDIS.replace("6379", str(redis_server.port)),
        )
        return old

    def test_runserver(self, old: Project) -> None:
        with old.served() as site:
            talk(site)
            assert "4 worker threads here." in site.server.log

    def test_workers_of_their_own(self, old: Project) -> None:
        with old.served("--noworker") as site, old.running("runworker", "-v", "2") as worker:
            worker.wait("websocket.receive")  # it says what it listens to
            talk(site)
            assert "The site" in site.http.get("/").text
            assert "No worker threads here." in site.server.log
            worker.wait(lambda: worker.log.count("websocket.receive") == 3)
            assert worker.end() == 0


class TestPersistingData:
    CONSUMERS = """\
        # In consumers.py
        from channels import Group
        from channels.sessions import channel_session

        # Connected to websocket.connect
        @channel_session
        def ws_connect(message):
            # Work out room name from path (ignore slashes)
            room = message.content['path'].strip("/")
            # Save room in session and add us to the group
            message.channel_session['room'] = room
            Group("chat-%s" % room).add(message.reply_channel)

        # Connected to websocket.receive
        @channel_session
        def ws_message(message):
            Group("chat-%s" % message.channel_session['room']).send(message.content)

        # Connected to websocket.disconnect
        @channel_session
        def ws_disconnect(message):
            Group("chat-%s" % message.channel_session['room']).discard(message.reply_channel)
    """

    ROUTING = """\
        from myproject.myapp.consumers import ws_connect, ws_message, ws_disconnect

        channel_routing = {
            "websocket.connect": ws_connect,
            "websocket.receive": ws_message,
            "websocket.disconnect": ws_disconnect,
        }
    """

    def test_rooms(self, project: MakeProject) -> None:
        old = project({"myapp/consumers.py": self.CONSUMERS, "routing.py": self.ROUTING})
        old.manage("migrate")
        with old.served() as site:
            with site.connect("/red/") as one, site.connect("/red/") as other, site.connect("/blue/") as stranger:
                for text in ("hello", "anybody?"):
                    one.send(text)
                    assert one.recv() == other.recv() == text
                stranger.send("all alone")
                assert stranger.recv() == "all alone"
            site.server.wait(lambda: site.http.get("/members/chat-red/").json() == [])


class TestAuthentication:
    # Corrected: channel_session_user_from_http was not imported.
    CONSUMERS = """\
        # In consumers.py
        from channels import Channel, Group
        from channels.sessions import channel_session
        from channels.auth import http_session_user, channel_session_user, transfer_user
        from channels.auth import channel_session_user_from_http

        # Connected to websocket.connect
        @channel_session_user_from_http
        def ws_add(message):
            # Copy user from HTTP to channel session
            transfer_user(message.http_session, message.channel_session)
            # Add them to the right group
            Group("chat-%s" % message.user.username[0]).add(message.reply_channel)

        # Connected to websocket.receive
        @channel_session_user
        def ws_message(message):
            Group("chat-%s" % message.user.username[0]).send(message.content)

        # Connected to websocket.disconnect
        @channel_session_user
        def ws_disconnect(message):
            Group("chat-%s" % message.user.username[0]).discard(message.reply_channel)
    """

    def test_cookies(self, project: MakeProject) -> None:
        old = project({"myapp/consumers.py": self.CONSUMERS, "routing.py": TestGroups.CHAT_ROUTING})
        old.manage("migrate")
        with old.served() as site:
            with as_user(site, "ada") as ada, as_user(site, "anna") as anna, as_user(site, "bob") as bob:
                first_letters(ada, anna, bob)
            site.server.wait(lambda: site.http.get("/members/chat-a/").json() == [])

    # The port is another one, and so is the key.
    JAVASCRIPT = 'socket = new WebSocket("ws://127.0.0.1:9000/?session_key=abcdefg");'

    def test_the_key_in_the_address(self, project: MakeProject, browser: Browser) -> None:
        old = project({"myapp/consumers.py": self.CONSUMERS, "routing.py": TestGroups.CHAT_ROUTING})
        old.manage("migrate")
        with old.served() as site:
            key = site.http.get("/login/ada/").text
            site.http.cookies.clear()
            script = self.JAVASCRIPT.replace("9000", str(site.port)).replace("abcdefg", key)
            with browser.new_page(base_url=str(site.http.base_url)) as page:
                page.goto("/")
                page.add_script_tag(
                    content=f"""{script}
                        socket.onmessage = event => received = event.data;
                        socket.onopen = () => socket.send("hello");
                        received = null;
                    """
                )
                page.wait_for_function("received === 'hello'")


def as_user(site: Site, name: str) -> AbstractContextManager[Socket]:
    """The WebSocket of somebody who has logged in at the site."""
    site.http.cookies.clear()
    site.http.get(f"/login/{name}/").raise_for_status()
    return site.connect("/", cookie=f"sessionid={site.http.cookies['sessionid']}")


def first_letters(ada: Socket, anna: Socket, bob: Socket) -> None:
    """People can chat with those whose name begins with the same letter."""
    ada.send("hello")
    assert ada.recv() == anna.recv() == "hello"
    bob.send("nobody here?")
    assert bob.recv() == "nobody here?"
    anna.send("hi")
    assert ada.recv() == anna.recv() == "hi"


class TestModels:
    # Corrected: Group was not imported, `room` not defined in msg_consumer, `channel_session` and `content` not in
    # ws_message; and a WebSocket shows what is under "text", not under "content".
    CONSUMERS = """\
        # In consumers.py
        from channels import Channel, Group
        from channels.sessions import channel_session
        from .models import ChatMessage

        # Connected to chat-messages
        def msg_consumer(message):
            # Save to model
            room = message.content['room']
            ChatMessage.objects.create(
                room=message.content['room'],
                message=message.content['message'],
            )
            # Broadcast to listening sockets
            Group("chat-%s" % room).send({
                "text": message.content['message'],
            })

        # Connected to websocket.connect
        @channel_session
        def ws_connect(message):
            # Work out room name from path (ignore slashes)
            room = message.content['path'].strip("/")
            # Save room in session and add us to the group
            message.channel_session['room'] = room
            Group("chat-%s" % room).add(message.reply_channel)

        # Connected to websocket.receive
        @channel_session
        def ws_message(message):
            # Stick the message onto the processing queue
            Channel("chat-messages").send({
                "room": message.channel_session['room'],
                "message": message.content['text'],
            })

        # Connected to websocket.disconnect
        @channel_session
        def ws_disconnect(message):
            Group("chat-%s" % message.channel_session['room']).discard(message.reply_channel)
    """

    ROUTING = """\
        channel_routing = {
            "chat-messages": "myproject.myapp.consumers.msg_consumer",
            "websocket.connect": "myproject.myapp.consumers.ws_connect",
            "websocket.receive": "myproject.myapp.consumers.ws_message",
            "websocket.disconnect": "myproject.myapp.consumers.ws_disconnect",
        }
    """

    MODELS = """\
        from django.db import models

        class ChatMessage(models.Model):
            room = models.CharField(max_length=100)
            message = models.TextField()
    """

    def test_saved_and_broadcast(self, project: MakeProject) -> None:
        old = project(
            {
                "myapp/consumers.py": self.CONSUMERS,
                "myapp/models.py": self.MODELS,
                "routing.py": self.ROUTING,
            }
        )
        old.manage("makemigrations", "myapp")
        old.manage("migrate")
        with old.served() as site, site.connect("/red/") as one, site.connect("/red/") as other:
            one.send("hello")
            assert one.recv() == other.recv() == "hello"
        saved = json.loads(old.manage("dumpdata", "myapp.ChatMessage"))
        assert [row["fields"] for row in saved] == [{"room": "red", "message": "hello"}]


class TestEnforcingOrdering:
    SLIGHT = """\
        # In consumers.py
        from channels import Channel, Group
        from channels.sessions import channel_session, enforce_ordering
        from channels.auth import http_session_user, channel_session_user, channel_session_user_from_http

        # Connected to websocket.connect
        @enforce_ordering(slight=True)
        @channel_session_user_from_http
        def ws_add(message):
            # Add them to the right group
            Group("chat-%s" % message.user.username[0]).add(message.reply_channel)

        # Connected to websocket.receive
        @enforce_ordering(slight=True)
        @channel_session_user
        def ws_message(message):
            Group("chat-%s" % message.user.username[0]).send(message.content)

        # Connected to websocket.disconnect
        @enforce_ordering(slight=True)
        @channel_session_user
        def ws_disconnect(message):
            Group("chat-%s" % message.user.username[0]).discard(message.reply_channel)
    """

    def test_slight(self, project: MakeProject) -> None:
        old = project({"myapp/consumers.py": self.SLIGHT, "routing.py": TestGroups.CHAT_ROUTING})
        old.manage("migrate")
        with old.served() as site, ExitStack() as stack:
            first_letters(*[stack.enter_context(as_user(site, name)) for name in ("ada", "anna", "bob")])

    STRICT = """\
        @enforce_ordering
        def ws_message(message):
            ...
    """

    # What the document leaves out.
    BODY = 'time.sleep(random.uniform(0, 0.02)); message.reply_channel.send({"text": message.content["text"]})'
    BESIDE_IT = """\
        import random
        import time
        from channels.sessions import enforce_ordering

        @enforce_ordering
        def ws_connect(message):
            time.sleep(0.1)
    """

    ROUTING = """\
        channel_routing = {
            "websocket.connect": "myproject.myapp.consumers.ws_connect",
            "websocket.receive": "myproject.myapp.consumers.ws_message",
        }
    """

    def test_strict(self, project: MakeProject) -> None:
        consumers = dedent(self.BESIDE_IT) + dedent(self.STRICT).replace("...", self.BODY)
        old = project({"myapp/consumers.py": consumers, "routing.py": self.ROUTING})
        old.manage("migrate")
        with old.served() as site, site.connect() as client:
            numbers = [str(number) for number in range(50)]
            for number in numbers:
                client.send(number)
            assert [client.recv() for _ in numbers] == numbers
