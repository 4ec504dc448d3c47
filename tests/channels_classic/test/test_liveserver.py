"""A real server inside a test: real sockets, workers in threads, the test's database and layers."""

from __future__ import annotations

import socket
import threading
import time
import unittest
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import modify_settings, override_settings
from django.urls import path
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from channels_classic import Channel, Group, channel_layers, route
from channels_classic.message import Message
from channels_classic.test import ChannelLiveServerTestCase, Client, apply_routes
from channels_classic.test.liveserver import LiveServerThread
from tests.interface_server.hosted import eventually

DEADLINE = 60


def ws_connect(message: Message) -> None:
    Group("users").add(message.reply_channel)


def ws_receive(message: Message) -> None:
    with transaction.atomic():
        User.objects.create(username=message["text"])
    message.reply_channel.send({"text": str(User.objects.count())})


async def ws_receive_async(message: Message) -> None:
    await User.objects.acreate(username=message["text"])
    await message.reply_channel.asend({"text": str(await User.objects.acount())})


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(user.username for user in User.objects.order_by("pk")))


urlpatterns = [path("users/", view)]

ROUTES = {"websocket.connect": ws_connect, "websocket.receive": ws_receive, "names": ws_receive}


def dial(url: str) -> ClientConnection:
    return connect(url, open_timeout=DEADLINE, proxy=None)


LAYERS = {"default": {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": ROUTES}}
STATIC = Path(__file__).parent


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=DEADLINE, verify=False)


@override_settings(ROOT_URLCONF=__name__, CHANNEL_LAYERS=LAYERS, STATICFILES_DIRS=[STATIC])
class TestLiveServer(ChannelLiveServerTestCase):
    def test_views_see_what_the_test_made(self) -> None:
        User.objects.create(username="ada")
        response = get(f"{self.live_server_url}/users/")
        assert (response.status_code, response.text) == (200, "ada")

    def test_consumers_make_what_the_test_sees(self) -> None:
        with dial(f"{self.live_server_ws_url}/") as client:
            for number, name in enumerate(("ada", "bob"), 1):
                client.send(name)
                assert client.recv(DEADLINE) == str(number)
        assert [user.username for user in User.objects.order_by("pk")] == ["ada", "bob"]

    def test_asynchronous_consumers_make_what_the_test_sees(self) -> None:
        routes = [route("websocket.receive", ws_receive_async)]
        with apply_routes(routes), dial(f"{self.live_server_ws_url}/") as client:
            for number, name in enumerate(("ada", "bob"), 1):
                client.send(name)
                assert client.recv(DEADLINE) == str(number)
        assert [user.username for user in User.objects.order_by("pk")] == ["ada", "bob"]

    def test_each_test_begins_with_an_empty_database(self) -> None:
        assert User.objects.count() == 0
        User.objects.create(username="stays no longer than this")

    test_each_test_really_does = test_each_test_begins_with_an_empty_database

    def test_the_test_can_send(self) -> None:
        with dial(f"{self.live_server_ws_url}/") as client:
            Group("users").send({"text": "hello all"})
            assert client.recv(DEADLINE) == "hello all"
        Channel("names").send({"text": "ada", "reply_channel": "replies!1"})
        eventually(lambda: User.objects.filter(username="ada").exists())

    def test_a_socket_left_open(self) -> None:
        self.left_open = dial(f"{self.live_server_ws_url}/").__enter__()  # must not keep the server from ending

    def test_static_files(self) -> None:
        assert get(f"{self.live_server_url}/static/{Path(__file__).name}").text == Path(__file__).read_text()

    def test_its_host_is_allowed(self) -> None:
        with modify_settings(ALLOWED_HOSTS={"remove": "*"}):
            response = get(f"{self.live_server_url}/users/")
        assert response.status_code == 200
        assert self.live_server_url == f"http://localhost:{self.server_thread.port}"
        assert self.live_server_ws_url == f"ws://localhost:{self.server_thread.port}"

    def test_a_memory_database_is_shared_by_one_worker(self) -> None:
        assert connection.is_in_memory_db()
        assert self.server_thread.worker_threads == 1


@override_settings(CHANNEL_LAYERS=LAYERS)
class TestConsumersThatStillRun(ChannelLiveServerTestCase):
    def test_the_database_is_emptied_behind_them(self) -> None:
        begun, self.done = threading.Event(), threading.Event()

        def consumer(message: Message) -> None:
            begun.set()
            time.sleep(0.1)  # the test is over by then
            User.objects.create(username=message["text"])
            self.done.set()

        with apply_routes([route("slow", consumer)]):
            Channel("slow").send({"text": "ada"})
            assert begun.wait(DEADLINE)

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        outcome = super().run(result)
        assert self.done.is_set()
        return outcome


@override_settings(ROOT_URLCONF=__name__, CHANNEL_LAYERS=LAYERS, STATICFILES_DIRS=[STATIC])
class TestLiveServerWithoutStaticFiles(ChannelLiveServerTestCase):
    serve_static = False

    def test_static_files(self) -> None:
        assert get(f"{self.live_server_url}/static/{Path(__file__).name}").status_code == 404

    def test_its_layers_are_its_own(self) -> None:
        assert channel_layers["default"].router.channels >= {"names", "http.request"}


def shout(message: Message) -> None:
    message.reply_channel.send({"text": message["text"].upper()})


def answer_to(channel: str) -> str:
    """What comes back from a channel that only a worker can answer."""
    client = Client()
    client.send(channel, {"text": "hello"})
    replies: Any = eventually(client.receive)
    return str(replies["text"])


@override_settings(ROOT_URLCONF=__name__, CHANNEL_LAYERS=LAYERS, STATICFILES_DIRS=[STATIC])
class TestOtherRoutesWhileItRuns(ChannelLiveServerTestCase):
    def setUp(self) -> None:
        # Longer than the test is patient: a worker that waits has to be told of new channels.
        self.enterContext(patch("worker.loop.WAIT_SECONDS", 10 * DEADLINE))
        get(f"{self.live_server_url}/users/")  # which ends the wait that began before

    def test_new_channels_are_served(self) -> None:
        with apply_routes({"new": shout}):
            assert answer_to("new") == "HELLO"
            with apply_routes({"newer": shout}):
                assert answer_to("newer") == "HELLO"
            assert answer_to("new") == "HELLO"

    def test_default_routes_still_work(self) -> None:
        with apply_routes({"websocket.receive": shout}):
            assert get(f"{self.live_server_url}/users/").status_code == 200
            assert get(f"{self.live_server_url}/static/{Path(__file__).name}").status_code == 200
            with dial(f"{self.live_server_ws_url}/") as client:
                client.send("hello")
                assert client.recv(DEADLINE) == "HELLO"

    def test_afterwards_the_routes_are_the_usual_ones(self) -> None:
        with apply_routes({"websocket.receive": shout}):
            pass
        with dial(f"{self.live_server_ws_url}/") as client:
            client.send("ada")
            assert client.recv(DEADLINE) == "1"


@override_settings(ROOT_URLCONF=__name__, CHANNEL_LAYERS=LAYERS)
@apply_routes({"new": shout})
class TestOtherRoutesForAClass(ChannelLiveServerTestCase):
    setUp = TestOtherRoutesWhileItRuns.setUp

    def test_one(self) -> None:
        assert answer_to("new") == "HELLO"
        assert get(f"{self.live_server_url}/users/").status_code == 200

    test_two = test_one


def test_the_layers_come_back() -> None:
    assert channel_layers["default"].router.channels == set()


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        thread = LiveServerThread("127.0.0.1", port=taken.getsockname()[1])
        thread.start()
        assert thread.is_ready.wait(DEADLINE)
    assert isinstance(thread.error, OSError)
    thread.terminate()


def test_several_consumers_at_a_time(channel_layer: Any) -> None:
    """Where no connection has to be shared."""
    meeting = threading.Barrier(4)

    def meet(message: Message) -> None:
        meeting.wait(DEADLINE)
        message.reply_channel.send({"text": "met"})

    with apply_routes({"meet": meet}):
        thread = LiveServerThread("127.0.0.1", serve_static=False)
        thread.start()
        assert thread.is_ready.wait(DEADLINE)
        for number in range(4):
            Channel("meet").send({"reply_channel": f"replies?{number}"})
        for number in range(4):
            assert channel_layer.receive([f"replies?{number}"], block=True)[1] == {"text": "met"}
        thread.terminate()
    assert not thread.is_alive()


class TestFixture:
    @pytest.fixture(autouse=True)
    def routes(self, settings: Any) -> None:
        settings.CHANNEL_LAYERS = LAYERS
        settings.ROOT_URLCONF = __name__

    def test_it_serves(self, channel_live_server: Any) -> None:
        User.objects.create(username="ada")
        assert get(f"{channel_live_server.url}/users/").text == "ada"
        with dial(f"{channel_live_server.ws_url}/") as client:
            client.send("bob")
            assert client.recv(DEADLINE) == "2"
        assert get(f"{channel_live_server.url}/users/").text == "ada, bob"

    def test_a_denied_socket(self, channel_live_server: Any) -> None:
        def deny(message: Message) -> None:
            message.reply_channel.send({"close": True})

        with apply_routes({"websocket.connect": deny}), pytest.raises(InvalidStatus):
            dial(f"{channel_live_server.ws_url}/")


@pytest.mark.parametrize("name", ["ProtocolServerProcess", "WorkerProcess"])
def test_processes_of_the_project_would_have_no_effect(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Old\.{name} would have no effect.*threads"):
        type("Old", (ChannelLiveServerTestCase,), {name: object})
