"""``channel_session``, ``http_session`` and both, with each engine; what strangers and broken clients get."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.exceptions import ConsumeLater
from channels_classic.layers import InMemoryChannelLayer, RedisChannelLayer
from channels_classic.message import Message
from channels_classic.sessions import (
    channel_and_http_session,
    channel_session,
    enforce_ordering,
    http_session,
    session_for_reply_channel,
)
from channels_classic.sessions.decorators import http_session_key
from channels_classic.sessions.store import ChannelSession
from channels_classic.test import in_memory_layers

CLIENT = "interface.abc!one"
DJANGO_ENGINES = {
    name: f"django.contrib.sessions.backends.{name}" for name in ("db", "cache", "file", "cached_db")
}
OURS = "channels_classic.session_engine"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_places(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.SESSION_FILE_PATH = str(tmp_path)
    file_store = import_module(DJANGO_ENGINES["file"]).SessionStore
    if hasattr(file_store, "_storage_path"):  # Django remembers the first one
        del file_store._storage_path
    cache.clear()
    with in_memory_layers():
        yield


@pytest.fixture(params=[*DJANGO_ENGINES, "memory", "redis", "encrypted"])
def engine(request: pytest.FixtureRequest, settings: Any) -> Iterator[str]:
    """Channel sessions in every engine; ours on every layer."""
    if request.param in DJANGO_ENGINES:
        settings.SESSION_ENGINE = DJANGO_ENGINES[request.param]
        yield request.param
        return
    settings.CHANNEL_SESSION_ENGINE = OURS
    if request.param == "memory":
        yield request.param
        return
    keys = ["a key"] if request.param == "encrypted" else None
    url = request.getfixturevalue("redis_url")
    layer = RedisChannelLayer(hosts=[url], prefix="site:", symmetric_encryption_keys=keys)
    channel_layers.set("default", ChannelLayerWrapper(layer, "default", {}))
    yield request.param
    layer.close()


def message_of(client: str | None = CLIENT, channel: str = "websocket.receive", **content: Any) -> Message:
    if client is not None:
        content["reply_channel"] = client
    return Message(content, channel, channel_layers["default"])


def connect(cookie: str | None = None, query: bytes = b"", client: str = CLIENT, **content: Any) -> Message:
    headers = [] if cookie is None else [[b"cookie", cookie.encode("latin-1")]]
    return message_of(client, "websocket.connect", headers=headers, query_string=query, order=0, **content)


def stored(client: str = CLIENT) -> dict[str, Any]:
    return dict(session_for_reply_channel(client).items())


@channel_session
def put(message: Message, **values: Any) -> None:
    message.channel_session.update(values)


@channel_session
def look(message: Message) -> dict[str, Any]:
    return dict(message.channel_session.items())


class TestChannelSession:
    def test_the_next_message_finds_the_session(self, engine: str) -> None:
        assert look(message_of()) == {}
        put(message_of(), room="a", number=1)
        assert look(message_of()) == {"room": "a", "number": 1}
        put(message_of(), number=2)
        assert look(message_of()) == {"room": "a", "number": 2}
        assert look(message_of("interface.abc!two")) == {}

    def test_it_ends_when_the_client_has_left(self, engine: str) -> None:
        """The last consumer may read it, change it, or fail. A loaded session can still be read."""
        put(message_of(), room="a")
        left = message_of(channel="websocket.disconnect")
        assert look(left) == {"room": "a"}
        assert stored() == {}
        assert dict(left.channel_session.items()) == {"room": "a"}

        put(message_of(), room="b")
        put(message_of(channel="websocket.disconnect"), room="c")
        assert stored() == {}

        put(message_of(), room="d")
        with pytest.raises(ZeroDivisionError):
            channel_session(lambda message: 1 / 0)(message_of(channel="websocket.disconnect"))
        assert stored() == {}
        assert look(message_of(channel="websocket.disconnect")) == {}

    def test_it_does_not_end_with_a_last_message_that_is_put_back(self, engine: str) -> None:
        def later(message: Message) -> None:
            raise ConsumeLater

        put(message_of(), room="a")
        with pytest.raises(ConsumeLater):
            channel_session(later)(message_of(channel="websocket.disconnect"))
        assert stored() == {"room": "a"}

    def test_a_client_of_any_kind(self, engine: str) -> None:
        for client in ("body?abc", "plain", "interface.abc!x", "x" * 99):
            put(message_of(client), client=client)
        for client in ("body?abc", "plain", "interface.abc!x", "x" * 99):
            assert look(message_of(client)) == {"client": client}

    def test_it_is_a_session_like_any_other(self, engine: str) -> None:
        @channel_session
        def use(message: Message) -> None:
            session = message.channel_session
            session["a"] = 1
            session.setdefault("b", [2])
            session.modified = True
            assert session.pop("a") == 1
            assert "a" not in session
            assert session.session_key

        use(message_of())
        assert look(message_of()) == {"b": [2]}

    def test_a_session_that_is_not_changed_is_not_made(self, engine: str) -> None:
        look(message_of())
        session = session_for_reply_channel(CLIENT)
        assert not session.exists(session.session_key)
        put(message_of(), a=1)
        assert session.exists(session.session_key)

    def test_it_can_be_saved_by_hand_from_the_first_message_on(self, engine: str) -> None:
        @channel_session
        def save(message: Message, value: int) -> None:
            session = message.channel_session
            assert session.exists(session.session_key)
            session["value"] = value
            session.save()
            assert stored() == {"value": value}
            assert not session.modified

        save(message_of(), value=1)
        save(message_of(), value=2)
        session = session_for_reply_channel("another")
        session["a"] = 1
        session.save()
        assert stored("another") == {"a": 1}
        with pytest.raises(CreateError):
            session.save(must_create=True)

    def test_a_deleted_session_can_be_saved_by_hand(self, engine: str) -> None:
        @channel_session
        def delete(message: Message) -> None:
            session = message.channel_session
            session.delete()
            assert not session.exists(session.session_key)
            session["b"] = 2
            session.save()
            assert session.exists(session.session_key)

        put(message_of(), a=1)
        delete(message_of())
        assert stored()["b"] == 2

    def test_two_that_are_saved_by_hand_at_the_same_time(self, engine: str) -> None:
        sessions = [session_for_reply_channel(CLIENT) for _ in range(2)]
        for number, session in enumerate(sessions):
            session[str(number)] = number
        for session in sessions:
            session.save()
        assert stored() == {"0": 0, "1": 1}

    def test_it_is_saved_when_the_consumer_raises(self, engine: str) -> None:
        @channel_session
        def fail(message: Message, error: Exception) -> None:
            message.channel_session["failed"] = repr(error)
            raise error

        for error in (ValueError("a"), ConsumeLater()):
            with pytest.raises(type(error)):
                fail(message_of(), error=error)
            assert stored() == {"failed": repr(error)}

    def test_one_that_was_deleted_meanwhile_stays_deleted(self, engine: str) -> None:
        @channel_session
        def change(message: Message) -> None:
            assert message.channel_session["a"] == 1
            session_for_reply_channel(CLIENT).delete()
            message.channel_session["a"] = 2

        put(message_of(), a=1)
        change(message_of())
        assert stored() == {}
        put(message_of(), b=3)
        assert stored() == {"b": 3}

    def test_one_that_was_deleted_between_two_messages(self, engine: str) -> None:
        put(message_of(), a=1)
        session_for_reply_channel(CLIENT).flush()
        assert look(message_of()) == {}

    def test_flush_empties_and_deletes(self, engine: str) -> None:
        @channel_session
        def flush(message: Message, then: dict[str, Any]) -> None:
            message.channel_session["b"] = 2
            message.channel_session.flush()
            message.channel_session.update(then)

        put(message_of(), a=1)
        flush(message_of(), then={})
        session = session_for_reply_channel(CLIENT)
        assert not session.exists(session.session_key)
        put(message_of(), a=1)
        flush(message_of(), then={"c": 3})
        assert stored() == {"c": 3}

    def test_clear_and_cycle_key_keep_the_session_in_its_place(self, engine: str) -> None:
        @channel_session
        def cycle(message: Message) -> None:
            message.channel_session.cycle_key()

        @channel_session
        def clear(message: Message) -> None:
            message.channel_session.clear()
            message.channel_session["b"] = 2

        put(message_of(), a=1)
        cycle(message_of())
        assert stored() == {"a": 1}
        clear(message_of())
        assert stored() == {"b": 2}

    def test_two_messages_that_make_the_session_at_the_same_time(self, engine: str) -> None:
        """Without ordering, neither loses the values of the other."""

        @channel_session
        def first(message: Message) -> None:
            message.channel_session["a"] = 1
            put(message_of(), b=2)

        first(message_of())
        assert stored() == {"a": 1, "b": 2}

    def test_decorators_nest_without_loading_or_saving_twice(
        self, engine: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[str] = []
        put(message_of(), a=1)
        for name in ("load", "save"):
            original = getattr(type(session_for_reply_channel(CLIENT)), name)

            def counted(self: Any, *args: Any, name: str = name, original: Any = original, **kwargs: Any) -> Any:
                calls.append(name)
                return original(self, *args, **kwargs)

            monkeypatch.setattr(type(session_for_reply_channel(CLIENT)), name, counted)

        @channel_session
        @enforce_ordering
        @channel_and_http_session
        @channel_session
        def consumer(message: Message) -> None:
            message.channel_session["a"] += 1
            change_again(message)

        @channel_session
        def change_again(message: Message) -> None:
            message.channel_session["a"] += 1

        consumer(message_of(order=0))
        assert calls == ["load", "save"]
        monkeypatch.undo()
        assert stored() == {"a": 3}

    def test_consumers_that_call_each_other_one_after_another(self, engine: str) -> None:
        def consumer(message: Message) -> None:
            put(message, a=1)
            put(message, b=2)
            assert stored() == {"a": 1, "b": 2}

        consumer(message_of())

    def test_methods(self, engine: str) -> None:
        class Consumer:
            @channel_session
            def receive(self, message: Message, **kwargs: Any) -> Any:
                message.channel_session.update(kwargs)
                return self

        consumer = Consumer()
        assert consumer.receive(message_of(), room="a") is consumer
        assert stored() == {"room": "a"}

    def test_sessions_survive_an_exchange_of_the_secret_key(self, engine: str, settings: Any) -> None:
        settings.SECRET_KEY = "old"
        put(message_of(), a=1)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
        put(message_of(), b=2)
        assert stored() == {"a": 1, "b": 2}
        session_for_reply_channel(CLIENT).flush()
        assert stored() == {}

    def test_garbage_in_the_store_is_an_empty_session(self, engine: str, tmp_path: Path) -> None:
        put(message_of(), a=1)
        key = session_for_reply_channel(CLIENT).session_key
        if engine in ("db", "cached_db"):
            Session.objects.filter(session_key=key).update(session_data="garbage")
            cache.clear()
        elif engine == "file":
            (path,) = tmp_path.iterdir()
            path.write_text("garbage")
        elif engine != "cache":  # which holds objects
            assert channel_layers["default"].set_value(f"session:{key}", b"garbage", 60, replace=True)
        put(message_of(), b=2)
        assert engine == "cache" or stored() == {"b": 2}


def test_a_channel_session_needs_a_reply_channel() -> None:
    with pytest.raises(ValueError, match="belongs to a reply channel") as caught:
        look(message_of(None, text="hello"))
    assert "hello" in str(caught.value)


@pytest.mark.parametrize("setting", ["SESSION_ENGINE", "CHANNEL_SESSION_ENGINE"])
def test_a_channel_session_cannot_be_in_a_signed_cookie(settings: Any, setting: str) -> None:
    setattr(settings, setting, "django.contrib.sessions.backends.signed_cookies")
    for call in (lambda: look(message_of()), lambda: session_for_reply_channel(CLIENT)):
        with pytest.raises(ValueError, match="signed cookie") as caught:
            call()
        assert "CHANNEL_SESSION_ENGINE" in str(caught.value)


def test_the_engine_of_channel_sessions_may_be_another_one(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    settings.CHANNEL_SESSION_ENGINE = DJANGO_ENGINES["db"]
    put(message_of(), a=1)
    assert stored() == {"a": 1}
    assert Session.objects.count() == 1


def test_a_database_that_fails_is_no_deleted_session(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's engine raises the same error for both, and the change must not be lost silently."""
    settings.SESSION_ENGINE = DJANGO_ENGINES["db"]
    put(message_of(), a=1)

    def fail(self: Any, must_create: bool = False) -> None:
        raise UpdateError from OperationalError("database is locked")

    monkeypatch.setattr(import_module(DJANGO_ENGINES["db"]).SessionStore, "save", fail)
    with pytest.raises(UpdateError):
        put(message_of(), a=2)
    assert stored() == {"a": 1}


# The one kind of session is never the other.


@pytest.mark.parametrize("name", DJANGO_ENGINES)
class TestStrangers:
    """The name of a reply channel or any key gives nobody access to a session."""

    @pytest.fixture(autouse=True)
    def _engine(self, settings: Any, name: str) -> None:
        settings.SESSION_ENGINE = DJANGO_ENGINES[name]
        self.store = import_module(settings.SESSION_ENGINE).SessionStore

    def test_the_key_cannot_be_told_from_the_reply_channel(self, settings: Any) -> None:
        key = session_for_reply_channel(CLIENT).session_key
        settings.SECRET_KEY = "another"
        assert session_for_reply_channel(CLIENT).session_key != key
        assert CLIENT not in key

    def test_a_channel_session_is_no_http_session(self) -> None:
        put(message_of(), secret="channel")
        key = session_for_reply_channel(CLIENT).session_key

        @http_session
        def connected(message: Message) -> Any:
            return message.http_session

        assert connected(connect(query=f"session_key={key}".encode())) is None
        assert connected(connect(cookie=f"sessionid={key}")) is None
        # Nor for Django itself, whose middleware takes any key.
        session = self.store(key)
        assert dict(session.items()) == {}

    def test_a_channel_session_cannot_be_changed_as_an_http_session(self) -> None:
        put(message_of(), secret="channel")
        session = self.store(session_for_reply_channel(CLIENT).session_key)
        session["secret"] = "stranger's"
        session.save()
        assert stored() in ({"secret": "channel"}, {})

    def test_an_http_session_is_no_channel_session(self, monkeypatch: pytest.MonkeyPatch) -> None:
        session = self.store()
        session["secret"] = "http"
        session.create()
        monkeypatch.setattr("channels_classic.sessions.store._derive_key", lambda *_: session.session_key)
        assert stored() == {}


# The HTTP session.


@http_session
def see(message: Message) -> Any:
    return None if message.http_session is None else dict(message.http_session.items())


@pytest.fixture(params=DJANGO_ENGINES)
def http(request: pytest.FixtureRequest, settings: Any) -> Any:
    """A browser's session."""
    settings.SESSION_ENGINE = DJANGO_ENGINES[request.param]
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session["colour"] = "blue"
    session.create()
    session.save()
    return session


def reloaded(session: Any) -> dict[str, Any]:
    return dict(type(session)(session.session_key).items())


class TestHttpSession:
    def test_from_the_cookie(self, http: Any) -> None:
        session = http
        assert see(connect(cookie=f"a=b; sessionid={session.session_key}; c=d")) == {"colour": "blue"}

    def test_from_the_query_which_comes_first(self, http: Any) -> None:
        query = f"room=a&session_key={http.session_key}".encode()
        assert see(connect(query=query)) == {"colour": "blue"}
        assert see(connect(cookie="sessionid=abcdefgh12345678", query=query)) == {"colour": "blue"}

    def test_cookies_in_several_headers(self, http: Any) -> None:
        message = connect()
        message.content["headers"] = [[b"cookie", b"a=b"], [b"cookie", b"sessionid=" + http.session_key.encode()]]
        assert see(message) == {"colour": "blue"}

    def test_the_name_of_the_cookie_is_the_setting_s(self, http: Any, settings: Any) -> None:
        settings.SESSION_COOKIE_NAME = "mine"
        assert see(connect(cookie=f"mine={http.session_key}")) is not None
        assert see(connect(cookie=f"sessionid={http.session_key}")) is None

    def test_a_client_without_a_key_has_no_session(self) -> None:
        for message in (connect(), connect(cookie=""), connect(cookie="a=b"), message_of(text="a frame")):
            assert see(message) is None

    @pytest.mark.parametrize(
        "key", ["abcdefgh12345678", "short", "x" * 5000, "../../etc/passwd", "%00%00%00%00%00"]
    )
    def test_a_key_that_no_session_has(self, http: Any, key: str) -> None:
        @http_session
        def change(message: Message) -> None:
            message.http_session["colour"] = "red"

        assert see(connect(cookie=f"sessionid={key}")) in ({}, None)
        assert see(connect(query=f"session_key={key}".encode())) in ({}, None)
        change(connect(cookie=f"sessionid={key}"))
        assert not http.exists("abcdefgh12345678")
        assert reloaded(http) == {"colour": "blue"}

    @pytest.mark.parametrize("key", ["\x00" * 10, "abcde\tfghi", "\x7f" * 32, "\xfc" * 32])
    def test_invalid_keys_do_not_reach_the_engine(self, http: Any, key: str) -> None:
        """PostgreSQL, for one, takes no NUL in a text, and memcached nothing but printable ASCII in a key."""
        assert see(connect(cookie=f"sessionid={key}")) is None
        assert see(connect(query=f"session_key={quote(key)}".encode())) is None

    def test_changes_are_saved_unless_the_consumer_raises(self, http: Any) -> None:
        @http_session
        def paint(message: Message, colour: str) -> None:
            message.http_session["colour"] = colour
            if colour == "none":
                raise ValueError(colour)

        message = connect(cookie=f"sessionid={http.session_key}")
        paint(message, colour="red")
        assert reloaded(http) == {"colour": "red"}
        with pytest.raises(ValueError, match="none"):
            paint(connect(cookie=f"sessionid={http.session_key}"), colour="none")
        assert reloaded(http) == {"colour": "red"}

    def test_one_that_was_deleted_meanwhile_stays_deleted(self, http: Any) -> None:
        @http_session
        def paint(message: Message) -> None:
            message.http_session["colour"] = "red"
            type(http)(http.session_key).delete()

        paint(connect(cookie=f"sessionid={http.session_key}"))
        assert not http.exists(http.session_key)

    def test_decorators_nest(self, http: Any) -> None:
        seen = []

        @http_session
        @channel_and_http_session
        @http_session
        def paint(message: Message) -> None:
            message.http_session["colour"] = "red"
            message.http_session.save()
            seen.append(reloaded(http))
            message.http_session["colour"] = "green"

        paint(connect(cookie=f"sessionid={http.session_key}"))
        assert seen == [{"colour": "red"}]
        assert reloaded(http) == {"colour": "green"}

    def test_a_session_made_by_a_view(self, settings: Any, client: Client) -> None:
        session = client.session
        session["from"] = "a view"
        session.save()
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        assert see(connect(cookie=f"sessionid={cookie}")) == {"from": "a view"}


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_nothing_that_a_client_sends_breaks_the_reading_of_its_key(query: bytes, cookie: bytes) -> None:
    content = {"reply_channel": CLIENT, "query_string": query, "headers": [[b"cookie", cookie]]}
    key = http_session_key(Message(content, "websocket.connect", InMemoryChannelLayer()))
    assert key is None or isinstance(key, str)


def test_a_query_of_too_many_fields_gives_no_key(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    assert http_session_key(connect(query=b"a=b&" * 20 + b"session_key=abcdefghijkl")) is None


class TestBothSessions:
    def test_the_http_session_is_there_on_later_messages(self, http: Any) -> None:
        @channel_and_http_session
        def both(message: Message) -> Any:
            message.channel_session["seen"] = message.channel_session.get("seen", 0) + 1
            return message.http_session and message.http_session["colour"]

        assert both(connect(cookie=f"sessionid={http.session_key}")) == "blue"
        http["colour"] = "red"
        http.save()
        assert both(message_of(text="a frame")) == "red"
        assert both(message_of("interface.abc!two", text="a frame")) is None
        assert stored()["seen"] == 2
        assert stored()["sessionid"] == http.session_key

    def test_without_an_http_session(self) -> None:
        @channel_and_http_session
        def both(message: Message) -> Any:
            return message.http_session

        assert both(connect()) is None
        assert both(message_of()) is None
        assert Session.objects.count() == 0

    def test_one_that_ended_meanwhile_is_empty(self, http: Any) -> None:
        @channel_and_http_session
        def both(message: Message) -> Any:
            return dict(message.http_session.items())

        both(connect(cookie=f"sessionid={http.session_key}"))
        http.flush()
        assert both(message_of()) == {}

    def test_changes_on_later_messages_are_saved(self, http: Any) -> None:
        @channel_and_http_session
        def paint(message: Message, colour: str) -> None:
            message.http_session["colour"] = colour

        paint(connect(cookie=f"sessionid={http.session_key}"), colour="red")
        paint(message_of(), colour="green")
        assert reloaded(http) == {"colour": "green"}


def test_sessions_in_threads_do_not_meet(settings: Any) -> None:
    """Each message has its own session object of a shared class."""
    settings.SESSION_ENGINE = DJANGO_ENGINES["cache"]
    barrier = threading.Barrier(4)
    seen: dict[int, Any] = {}

    @channel_session
    def consumer(message: Message, number: int) -> None:
        barrier.wait(30)
        message.channel_session["number"] = number
        barrier.wait(30)
        seen[number] = message.channel_session["number"]

    threads = [
        threading.Thread(target=consumer, args=[message_of(f"interface.abc!{number}")], kwargs={"number": number})
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {number: number for number in range(4)}
    assert isinstance(session_for_reply_channel(CLIENT), ChannelSession)
