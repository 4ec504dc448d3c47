"""What asynchronous consumers and views call: forms that wait or block, sessions, users and the ORM."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, override_settings
from django.urls import path

from channels_classic import Channel, Group, channel_layers, pending
from channels_classic.auth import channel_session_user, channel_session_user_from_http, http_session_user
from channels_classic.handler import ViewConsumer
from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from channels_classic.message import Message
from channels_classic.sessions import channel_and_http_session, channel_session
from tests.redis_server import RedisServer
from tests.worker.conftest import REPLY, StartWorkers, eventually, is_empty, layer_with, receive


@pytest.fixture(autouse=True)
def _sessions(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    cache.clear()  # all tests of a process share it, and use the same client
    monkeypatch.setattr(pending, "_warned", set())


@pytest.fixture
def layer(redis_url: str) -> Any:
    return layer_with({}, RedisChannelLayer(hosts=[redis_url]))


def use(layer: Any, **consumers: Any) -> Any:
    """The layer, with these consumers on channels of their names."""
    return layer_with(consumers, layer.channel_layer)


class TestBlocking:
    """The synchronous forms do what they say. They wait for Redis in the event loop, and the log says that."""

    async def change(self, message: Message) -> None:
        group = Group("room", channel_layer=message.channel_layer)
        group.add(message.reply_channel)
        group.send({"text": "to the group"}, immediately=True)
        group.discard(message.reply_channel)
        message.reply_channel.send({"text": "at once"}, immediately=True)
        message.reply_channel.send({"text": "at the end"})
        await asyncio.sleep(0)

    def test_each_call_is_named_once(
        self, start_workers: StartWorkers, layer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        start_workers(use(layer, test=self.change))
        for _ in range(2):
            layer.send("test", {"reply_channel": REPLY})
            assert [receive(layer)["text"] for _ in range(3)] == ["to the group", "at once", "at the end"]
        texts = [record.getMessage() for record in caplog.records]
        assert len(texts) == 3, texts
        for text, call, instead in zip(
            texts, ["Group.add", "send", "Group.discard"], ["aadd", "asend", "adiscard"], strict=True
        ):
            assert "TestBlocking.change has called " + call in text
            assert f"use 'await' and {instead}." in text

    def test_there_is_nothing_to_say_where_it_does_not_wait(
        self, start_workers: StartWorkers, layer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def waits(message: Message) -> None:
            group = Group("room", channel_layer=message.channel_layer)
            await group.aadd(message.reply_channel)
            await group.asend({"text": "to the group"}, immediately=True)
            await group.adiscard(message.reply_channel)
            await message.reply_channel.asend({"text": "at once"}, immediately=True)
            message.reply_channel.send({"text": "at the end"})

        def synchronous(message: Message) -> None:
            Group("other", channel_layer=message.channel_layer).add(message.reply_channel)
            message.reply_channel.send({"text": "synchronous"}, immediately=True)

        start_workers(use(layer, test=waits, other=synchronous))
        layer.send("test", {"reply_channel": REPLY})
        assert [receive(layer)["text"] for _ in range(3)] == ["to the group", "at once", "at the end"]
        layer.send("other", {"reply_channel": REPLY})
        assert receive(layer)["text"] == "synchronous"
        assert not caplog.records

    @pytest.mark.django_db
    def test_the_synchronous_orm_is_an_error_of_the_consumer(
        self, start_workers: StartWorkers, layer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def counts(message: Message) -> None:
            if message["text"] == "users":
                User.objects.count()
            message.reply_channel.send({"text": "goes on"})

        start_workers(use(layer, test=counts))
        for text in ("users", "none"):
            layer.send("test", {"reply_channel": REPLY, "text": text})
        assert receive(layer)["text"] == "goes on"
        (record,) = eventually(lambda: caplog.records)
        assert "counts on 'test'" in record.getMessage()
        assert "SynchronousOnlyOperation" in caplog.text


class TestOutage:
    def test_only_the_forms_that_wait_wait(
        self, start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While one consumer waits for Redis, another goes on in the same event loop."""
        begun, away, ended = threading.Event(), threading.Event(), threading.Event()
        failed: list[Exception] = []

        async def joins(message: Message) -> None:
            begun.set()
            while not away.is_set():
                await asyncio.sleep(0.01)
            group = Group("room", channel_layer=message.channel_layer)
            try:
                group.add(message.reply_channel)
            except Exception as error:
                failed.append(error)
            joining = asyncio.create_task(group.aadd(message.reply_channel))
            await asyncio.sleep(0.01)
            ended.set()
            await joining
            await group.asend({"text": "hello"})

        with RedisServer() as server:
            layer = layer_with({"test": joins}, RedisChannelLayer(hosts=[server.url]))
            group = start_workers(layer)
            layer.send("test", {"reply_channel": REPLY})
            assert begun.wait(60)
            server.stop()
            away.set()
            assert ended.wait(60)
            server.start()
            assert receive_through_outage(layer)["text"] == "hello"
            group.stop()
        assert [type(error).__name__ for error in failed] == ["LayerUnavailable"]


def receive_through_outage(layer: Any) -> dict[str, Any]:
    while True:
        with contextlib.suppress(LayerUnavailable):
            return receive(layer)


@pytest.mark.django_db(transaction=True)
class TestSessionsAndUsers:
    """In memory once the consumer begins, and saved when it has ended."""

    def log_in(self, name: str) -> str:
        """A session of the site; its key."""
        user = User.objects.create_user(name, password="secret")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        assert session.session_key is not None
        return session.session_key

    def test_one_message_after_another(
        self, start_workers: StartWorkers, layer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        @channel_session_user_from_http
        async def connect(message: Message) -> None:
            await asyncio.sleep(0)
            message.channel_session["count"] = 1
            message.reply_channel.send({"text": f"{message.user} {message.user.is_authenticated}"})

        @channel_session_user
        async def frame(message: Message) -> None:
            await asyncio.sleep(0)
            message.channel_session["count"] += 1
            message.reply_channel.send({"text": f"{message.user} {message.channel_session['count']}"})

        @http_session_user
        async def of_http(message: Message) -> None:
            await asyncio.sleep(0)
            message.reply_channel.send({"text": f"{message.user} {message.http_session is not None}"})

        @channel_and_http_session
        @channel_session
        async def both(message: Message) -> None:
            message.reply_channel.send({"text": repr(message.channel_session.get("count"))})

        consumers = {"connect": connect, "frame": frame, "of_http": of_http, "both": both}
        start_workers(use(layer, **consumers), 2)
        key = self.log_in("anna")

        def asked(channel: str, query: bytes = b"", client: str = REPLY) -> str:
            layer.send(channel, {"reply_channel": client, "path": "/", "query_string": query, "headers": []})
            return str(receive(layer)["text"])

        with_key = f"session_key={key}".encode()
        assert asked("connect", with_key) == "anna True"
        assert [asked("frame") for _ in range(3)] == ["anna 2", "anna 3", "anna 4"]
        assert asked("both") == "4"
        assert asked("of_http", with_key) == "anna True"
        assert asked("of_http") == "AnonymousUser False"
        assert asked("connect", client=f"{REPLY}2") == "AnonymousUser False"
        assert not caplog.records


# Views.


async def tells(request: HttpRequest) -> HttpResponse:
    await Group("room").aadd("interface.test!member")
    await Group("room").asend({"text": "to the group"})
    await Channel("tasks").asend({"name": "one"})
    return HttpResponse("told")


async def leaves(request: HttpRequest) -> HttpResponse:
    await Group("room").adiscard("interface.test!member")
    await Group("room").asend({"text": "to nobody"})
    return HttpResponse("gone")


urlpatterns = [path("tells/", tells), path("leaves/", leaves)]


@pytest.mark.urls(__name__)
def test_an_asynchronous_view_sends(redis_url: str) -> None:
    """Under any ASGI server: what it has sent is there when it answers."""
    entry = {
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "CONFIG": {"hosts": [redis_url]},
        "ROUTING": {},
    }
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        response = async_to_sync(AsyncClient().get)("/tells/")
        assert response.content == b"told"
        layer = channel_layers["default"]
        assert receive(layer)["text"] == "to the group"
        assert receive(layer, "tasks") == {"name": "one"}
        async_to_sync(AsyncClient().get)("/leaves/")
        assert is_empty(layer)
        layer.close()


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_an_asynchronous_view_in_a_worker(redis_url: str, start_workers: StartWorkers) -> None:
    """Which is a consumer for Django's views."""
    entry = {
        "BACKEND": "channels_classic.layers.RedisChannelLayer",
        "CONFIG": {"hosts": [redis_url]},
        "ROUTING": {"http.request": ViewConsumer()},
    }
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        layer: Any = channel_layers["default"]
        start_workers(layer)
        request = {"path": "/tells/", "method": "GET", "http_version": "1.1", "headers": [], "query_string": b""}
        layer.send("http.request", {"reply_channel": REPLY, **request})
        assert receive(layer)["text"] == "to the group"
        assert receive(layer)["content"] == b"told"
        assert receive(layer, "tasks") == {"name": "one"}
