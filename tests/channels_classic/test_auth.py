"""Users from HTTP sessions, over the life of a socket, with each session engine."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY, get_user_model, login, logout, update_session_auth_hash
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache
from django.http import HttpRequest
from django.test import Client

from channels_classic.asgi import channel_layers
from channels_classic.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from channels_classic.message import Message
from channels_classic.sessions import channel_session, enforce_ordering, http_session, session_for_reply_channel
from channels_classic.test import in_memory_layers

CLIENT = "interface.abc!one"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True, params=["db", "cache", "file", "cached_db", "ours"])
def engines(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> Iterator[None]:
    """Both kinds of sessions in the same engine, or channel sessions in ours."""
    name = "db" if request.param == "ours" else request.param
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{name}"
    if request.param == "ours":
        settings.CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"
    settings.SESSION_FILE_PATH = str(tmp_path)
    file_store = import_module("django.contrib.sessions.backends.file").SessionStore
    if hasattr(file_store, "_storage_path"):
        del file_store._storage_path
    cache.clear()
    with in_memory_layers():
        yield


@pytest.fixture
def anna() -> Any:
    return get_user_model().objects.create_user("anna", password="secret")


@pytest.fixture
def bob() -> Any:
    return get_user_model().objects.create_user("bob", password="secret")


@pytest.fixture
def browser(client: Client, anna: Any) -> Client:
    """The browser of a user who has logged in."""
    client.force_login(anna)
    return client


def key_of(browser: Client) -> str:
    return str(browser.cookies[django_settings.SESSION_COOKIE_NAME].value)


def connect(browser: Client | None = None, client: str = CLIENT) -> Message:
    headers = [[b"cookie", f"sessionid={key_of(browser)}".encode()]] if browser is not None else []
    content = {"reply_channel": client, "order": 0, "headers": headers, "query_string": b"", "path": "/"}
    return Message(content, "websocket.connect", channel_layers["default"])


def frame(client: str = CLIENT) -> Message:
    content = {"reply_channel": client, "order": 1, "path": "/", "text": ""}
    return Message(content, "websocket.receive", channel_layers["default"])


def request_with(session: Any, user: Any = None) -> HttpRequest:
    request = HttpRequest()
    request.session = session
    request.user = user or AnonymousUser()
    return request


def session_of(browser: Client) -> Any:
    return import_module(django_settings.SESSION_ENGINE).SessionStore(key_of(browser))


@http_session_user
def http_name(message: Message) -> str:
    return str(message.user.get_username())


@channel_session_user_from_http
def open_socket(message: Message) -> str:
    return str(message.user.get_username())


@channel_session_user
def name(message: Message) -> str:
    return str(message.user.get_username())


@channel_and_http_session_user_from_http
def name_with_both(message: Message) -> str:
    return str(message.user.get_username())


class TestWhoItIs:
    def test_the_user_of_the_http_session(self, browser: Client, anna: Any) -> None:
        assert http_name(connect(browser)) == "anna"

        @http_session_user
        def consumer(message: Message) -> None:
            assert message.user == anna
            assert isinstance(message.user, User)
            assert message.user.is_authenticated
            assert message.http_session[SESSION_KEY] == str(anna.pk)

        consumer(connect(browser))

    def test_anonymous_where_there_is_none(self) -> None:
        @http_session_user
        def consumer(message: Message) -> None:
            assert message.user == AnonymousUser()
            assert not message.user.is_authenticated
            assert message.http_session is None

        consumer(connect())
        consumer(frame())
        assert (open_socket(connect()), name(frame()), name_with_both(connect())) == ("", "", "")

    def test_on_later_messages_by_the_channel_session(self, browser: Client) -> None:
        assert open_socket(connect(browser)) == "anna"
        assert name(frame()) == "anna"
        assert name(frame()) == "anna"
        assert name(frame("interface.abc!two")) == ""

    def test_with_both_sessions(self, browser: Client) -> None:
        assert name_with_both(connect(browser)) == "anna"
        assert name_with_both(frame()) == "anna"
        assert name(frame()) == "anna"

    def test_transfer_by_hand(self, browser: Client) -> None:
        @http_session
        @channel_session
        def consumer(message: Message) -> None:
            transfer_user(message.http_session, message.channel_session)

        consumer(connect(browser))
        assert name(frame()) == "anna"
        # Of nobody, it makes nobody of the other one.
        consumer(connect())
        assert name(frame()) == ""

    def test_the_example_of_the_seeds(self, browser: Client) -> None:
        """The decorator has already transferred the user."""

        @channel_session_user_from_http
        def ws_add(message: Message) -> str:
            transfer_user(message.http_session, message.channel_session)
            return str(message.user.username[0])

        assert ws_add(connect(browser)) == "a"
        assert name(frame()) == "anna"

    def test_from_a_channel_session_to_another(self, browser: Client) -> None:
        open_socket(connect(browser))
        other = session_for_reply_channel("interface.abc!two")
        transfer_user(session_for_reply_channel(CLIENT), other)
        other.save_changes()
        assert name(frame("interface.abc!two")) == "anna"
        browser.logout()
        assert name(frame("interface.abc!two")) == ""

    def test_logging_in_over_the_socket(self, anna: Any) -> None:
        @channel_session_user
        def consumer(message: Message) -> None:
            login(request_with(message.channel_session), anna, "django.contrib.auth.backends.ModelBackend")

        consumer(frame())
        assert name(frame()) == "anna"

        @channel_session_user
        def leave(message: Message) -> None:
            logout(request_with(message.channel_session, message.user))

        leave(frame())
        assert name(frame()) == ""

    def test_logging_in_over_the_socket_as_somebody_else(self, browser: Client, bob: Any) -> None:
        @channel_session_user
        def consumer(message: Message) -> None:
            login(request_with(message.channel_session), bob, "django.contrib.auth.backends.ModelBackend")

        open_socket(connect(browser))
        consumer(frame())
        assert name(frame()) == "bob"
        browser.logout()
        assert name(frame()) == "bob"

    def test_logging_in_over_the_socket_when_the_loan_has_ended(self, browser: Client, anna: Any) -> None:
        @channel_session_user
        def consumer(message: Message) -> None:
            login(request_with(message.channel_session), anna, "django.contrib.auth.backends.ModelBackend")

        open_socket(connect(browser))
        browser.logout()
        assert name(frame()) == ""
        consumer(frame())
        assert name(frame()) == "anna"

    def test_methods_and_nesting(self, browser: Client) -> None:
        class Consumer:
            @enforce_ordering(slight=True)
            @channel_session_user_from_http
            @channel_session
            def connect(self, message: Message, room: str) -> Any:
                return message.user.username, room

            @channel_session_user
            @enforce_ordering(slight=True)
            def receive(self, message: Message, room: str) -> Any:
                return message.user.username, room

        consumer = Consumer()
        assert consumer.connect(connect(browser), room="a") == ("anna", "a")
        assert consumer.receive(frame(), room="b") == ("anna", "b")


class TestWhoItIsNoLonger:
    @pytest.fixture(autouse=True, params=[open_socket, name_with_both])
    def _opened(self, request: pytest.FixtureRequest, browser: Client) -> None:
        request.param(connect(browser))
        self.name = name if request.param is open_socket else name_with_both
        assert self.name(frame()) == "anna"

    def test_after_logging_out(self, browser: Client) -> None:
        browser.logout()
        assert self.name(frame()) == ""
        assert name(frame()) == ""

    def test_after_a_login_as_another_user(self, browser: Client, bob: Any) -> None:
        browser.force_login(bob)
        assert self.name(frame()) == ""

    def test_after_the_password_was_changed_by_the_user(self, browser: Client, anna: Any) -> None:
        """The user stays logged in on the site, with a new session."""
        anna.set_password("another")
        anna.save()
        session = session_of(browser)
        update_session_auth_hash(request_with(session, anna), anna)
        session.save()
        assert self.name(frame()) == ""

    def test_after_the_password_was_changed_by_somebody_else(self, browser: Client, anna: Any) -> None:
        anna.set_password("another")
        anna.save()
        assert self.name(frame()) == ""
        # Nothing was changed for that: it is HTTP's business to say so to the browser.
        assert session_of(browser).exists(key_of(browser))

    def test_after_the_user_was_deleted_or_switched_off(self, anna: Any) -> None:
        anna.is_active = False
        anna.save()
        assert self.name(frame()) == ""
        anna.is_active = True
        anna.save()
        assert self.name(frame()) == "anna"
        anna.delete()
        assert self.name(frame()) == ""

    def test_after_the_session_expired(self, browser: Client) -> None:
        session = session_of(browser)
        session.set_expiry(-1)
        session.save()
        assert self.name(frame()) == ""

    def test_after_its_backend_was_taken_away(self, settings: Any) -> None:
        settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
        assert self.name(frame()) == ""

    def test_users_survive_a_change_of_the_secret_key(self, browser: Client, settings: Any) -> None:
        former = settings.SECRET_KEY
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [former]
        assert self.name(frame()) == "anna"
        # The browser must not lose its session by that: it could not be told another key.
        assert session_of(browser).exists(key_of(browser))
        assert session_of(browser)[SESSION_KEY]
        settings.SECRET_KEY_FALLBACKS = []
        assert self.name(frame()) == ""


def test_the_hash_is_compared_in_constant_time(browser: Client) -> None:
    """Django compares it."""
    with mock.patch("django.contrib.auth.constant_time_compare", return_value=False) as compare:
        assert http_name(connect(browser)) == ""
        assert open_socket(connect(browser)) == ""
        assert name(frame()) == ""
    assert compare.call_count >= 3


def test_a_session_with_a_wrong_hash_or_none_is_nobody_s(browser: Client) -> None:
    open_socket(connect(browser))
    for value in ("", "wrong", None):
        session = session_for_reply_channel(CLIENT)
        session["_auth_user_hash"] = value
        session.save_changes()
        assert name(frame()) == ""


def test_a_user_that_nobody_asks_for_costs_nothing(
    browser: Client, django_assert_num_queries: Any, settings: Any
) -> None:
    open_socket(connect(browser))
    with django_assert_num_queries(0):
        for decorator in (channel_session_user, http_session_user):
            assert decorator(lambda message: "ran")(frame()) == "ran"


def test_one_look_at_each_session_and_at_the_user(
    browser: Client, django_assert_num_queries: Any, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.CHANNEL_SESSION_ENGINE = None
    client = Client()
    client.force_login(User.objects.get())
    open_socket(connect(client))

    @channel_session_user
    def consumer(message: Message) -> None:
        for _ in range(3):
            assert message.user.username == "anna"
            assert message.channel_session["_auth_user_id"]

    with django_assert_num_queries(3):
        consumer(frame())
    name_with_both(connect(client))
    with django_assert_num_queries(3):
        assert name_with_both(frame()) == "anna"
