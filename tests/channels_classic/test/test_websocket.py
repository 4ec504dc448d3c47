"""``WSClient``."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.http import parse_cookie
from django.test import override_settings

from channels_classic import channel_layers
from channels_classic.auth import channel_session_user, channel_session_user_from_http
from channels_classic.exceptions import ConsumeLater, DenyConnection, WebsocketCloseException
from channels_classic.message import Message
from channels_classic.sessions import channel_session, enforce_ordering, http_session
from channels_classic.test import (
    ChannelTestCase,
    WSClient,
    apply_routes,
)
from tests.channels_classic.test.examples import echo


def connected(message: Message) -> None:
    """Routed to websocket.connect by what the message has in it."""
    answer = message.content["query_string"].decode()
    if answer == "deny":
        raise DenyConnection
    if answer:
        for part in answer.split("&"):
            key, _, value = part.partition("=")
            message.reply_channel.send({key: {"True": True, "False": False}.get(value, value)})


class TestWSClient(ChannelTestCase):
    def connect(self, path: str = "/", **options: Any) -> WSClient:
        client = WSClient()
        with apply_routes({"websocket.connect": connected}):
            client.send_and_consume("websocket.connect", path=path, **options)
        return client

    def test_accepted(self) -> None:
        for path in ("/", "/?accept=True"):
            assert self.connect(path).receive() is None

    def test_the_content_of_a_message_can_be_looked_at(self) -> None:
        """Old tests ask for it by this name, and look for headers by theirs."""
        client = WSClient()
        client.set_header("X-Token", "t")
        content = client._get_content(text={"key": 1}, path="/room?a=b")
        assert content["headers"]["x-token"] == b"t"
        assert b"sessionid" in content["headers"]["cookie"]
        assert (content["text"], content["path"], content["query_string"]) == ('{"key": 1}', "/room", "a=b")

    def test_accepted_with_data(self) -> None:
        assert self.connect("/?text=hello").receive(json=False) == "hello"
        client = self.connect("/?text=1&accept=True&text=2&accept=True&text=3")
        assert [client.receive(), client.receive(), client.receive(), client.receive()] == [1, 2, 3, None]

    def test_rejected(self) -> None:
        for path in ("/?close=True", "/?accept=False"):
            with pytest.raises(AssertionError, match=r"Connection rejected: \{.*\} != "):
                self.connect(path)
        with pytest.raises(DenyConnection):
            self.connect("/?deny")

    def test_not_answered(self) -> None:
        unanswered = pytest.raises(AssertionError, match="^Connection rejected: .* did not answer")
        with override_settings(CHANNELS_EXPLICIT_ACCEPT=True), unanswered:
            self.connect()
        with pytest.raises(AssertionError, match="it should have one of accept"):
            self.connect("/?nothing=known")

    def test_an_answer_that_does_not_accept_can_be_received(self) -> None:
        def connect(message: Message) -> None:
            message.reply_channel.send({"accept": False})
            message.reply_channel.send({"text": "said to nobody"})

        client = WSClient()
        rejected = pytest.raises(AssertionError, match="Connection rejected")
        with apply_routes({"websocket.connect": connect}), rejected:
            client.send_and_consume("websocket.connect")
        assert [client.receive(), client.receive(json=False)] == [{"accept": False}, "said to nobody"]

    def test_a_second_try_is_judged_by_its_own_answer(self) -> None:
        def connect(message: Message) -> None:
            message.reply_channel.send({"accept": message["path"] == "/second/"})

        client = WSClient()
        with apply_routes({"websocket.connect": connect}):
            with pytest.raises(AssertionError, match="Connection rejected"):
                client.send_and_consume("websocket.connect", path="/first/")
            client.send_and_consume("websocket.connect", path="/second/")
        assert [client.receive(), client.receive()] == [{"accept": False}, None]

    def test_an_unchecked_accept_is_not_received_later(self) -> None:
        def connect(message: Message) -> None:
            message.reply_channel.send({"accept": True})
            message.reply_channel.send({"text": message["path"]})

        client = WSClient()
        with apply_routes({"websocket.connect": connect}):
            client.send_and_consume("websocket.connect", path="/first/", check_accept=False)
            client.send_and_consume("websocket.connect", path="/second/")
        assert [client.receive(json=False) for _ in range(3)] == ["/first/", "/second/", None]

    def test_denied(self) -> None:
        client = WSClient()
        with apply_routes({"websocket.connect": connected}), pytest.raises(DenyConnection):
            client.send_and_consume("websocket.connect", path="/?deny")
        assert client.receive() == {"close": True}

    def test_closed_by_an_exception(self) -> None:
        def connect(message: Message) -> None:
            if message["path"] == "/accepted-before/":
                message.reply_channel.send({"accept": True})
            raise WebsocketCloseException(4000)

        client = WSClient()
        with apply_routes({"websocket.connect": connect}):
            with pytest.raises(AssertionError, match=r"Connection rejected: \{'close': 4000\} != "):
                client.send_and_consume("websocket.connect")
            assert client.receive() == {"close": 4000}
            client.send_and_consume("websocket.connect", path="/accepted-before/")
            assert client.receive() == {"close": 4000}

    def test_put_back(self) -> None:
        """Whether the socket is accepted is a question for the time when the consumer has done its work."""

        def connect(message: Message) -> Any:
            if message.get("__retries__", 0) < 2:
                raise ConsumeLater
            if message["path"] == "/deny/":
                raise DenyConnection
            return message["__retries__"]

        client = WSClient()
        with apply_routes({"websocket.connect": connect}):
            assert client.send_and_consume("websocket.connect") is None
            assert client.consume("websocket.connect") is None
            assert client.receive() is None
            assert client.consume("websocket.connect") == 2
            assert client.receive() is None
            client.send_and_consume("websocket.connect", path="/deny/")
            client.consume("websocket.connect")
            with pytest.raises(DenyConnection):
                client.consume("websocket.connect")

    def test_put_back_too_often(self) -> None:
        def connect(message: Message) -> None:
            raise ConsumeLater

        client = WSClient()
        with apply_routes({"websocket.connect": connect}):
            client.send_and_consume("websocket.connect")
            for _ in range(9):
                client.consume("websocket.connect")
            with pytest.raises(AssertionError, match="so often that a worker drops the message"):
                client.consume("websocket.connect")
        assert client.receive() is None

    def test_no_consumer_for_the_connect(self) -> None:
        client = WSClient()
        assert client.consume("websocket.connect", fail_on_none=False) is None
        assert client.send_and_consume("websocket.connect", fail_on_none=False) is None

    def test_unchecked(self) -> None:
        assert self.connect(check_accept=False).receive() == {"accept": True}
        assert self.connect("/?deny", check_accept=False).receive() == {"close": True}
        assert self.connect("/?accept=False", check_accept=False).receive() == {"accept": False}

    def test_a_subprotocol_has_to_be_offered(self) -> None:
        def connect(message: Message) -> None:
            message.reply_channel.send({"accept": True, "subprotocol": "chat"})

        with apply_routes({"websocket.connect": connect}):
            client = WSClient()
            client.set_header("Sec-WebSocket-Protocol", "other, chat")
            client.send_and_consume("websocket.connect")
            assert client.receive() is None
            with pytest.raises(AssertionError, match="did not offer the subprotocol 'chat'"):
                WSClient().send_and_consume("websocket.connect")

    @apply_routes({"websocket.receive": echo})
    def test_text(self) -> None:
        client = WSClient()
        client.send_and_consume("websocket.receive", text={"a": [1, None]})
        assert client.receive() == {"a": [1, None]}
        client.send_and_consume("websocket.receive", text="plain")
        assert client.receive(json=False) == "plain"
        client.send_and_consume("websocket.receive", {"text": "in the content"})
        assert client.receive(json=False) == "in the content"

    def test_replies_without_text(self) -> None:
        client = WSClient()
        client.send(client.reply_channel, {"bytes": b"\x00"})
        assert client.receive()["bytes"] == b"\x00"

    def test_a_text_that_is_not_a_str(self) -> None:
        """No server would send it, but a consumer under test may."""
        client = WSClient()
        for json in (True, False):
            channel_layers["default"].send(client.reply_channel, {"text": {"a": 1}})
            assert client.receive(json=json) == {"a": 1}

    def content(self, to: str, client: WSClient | None = None, **options: Any) -> dict[str, Any]:
        client = client or WSClient()
        client.send(to, **options)
        message = self.get_next_message(to, require=True)
        assert message.content.pop("reply_channel") == client.reply_channel
        content: dict[str, Any] = message.content
        return content

    def test_the_messages_of_a_socket(self) -> None:
        path = "/room/?token=%C3%BC"
        client = WSClient()
        headers = [[name.encode(), value] for name, value in client.headers.items()]
        assert self.content("websocket.connect", client, path=path) == {
            "path": "/room/",
            "query_string": b"token=%C3%BC",
            "headers": headers,
        }
        assert self.content("websocket.receive", client, path=path, text="hi") == {
            "path": "/room/",
            "headers": headers,
            "text": "hi",
        }
        assert self.content("websocket.disconnect", client, path=path) == {
            "path": "/room/",
            "headers": headers,
            "code": 1000,
        }
        own = {"code": 1006, "path": "/x", "headers": []}
        assert self.content("websocket.disconnect", client, content=own) == own

    def test_keys_that_the_test_gives(self) -> None:
        content = {"path": b"/\xc3\xbc", "query_string": "a=b", "headers": {"Origin": "http://a", "x": b"\xe4"}}
        assert self.content("websocket.connect", content=content) == {
            "path": "/\u00fc",
            "query_string": b"a=b",
            "headers": [[b"origin", b"http://a"], [b"x", b"\xe4"]],
        }
        assert content["query_string"] == "a=b"

    def test_order(self) -> None:
        client = WSClient(ordered=True)
        numbers = [
            self.content(f"websocket.{kind}", client)["order"] for kind in ("connect", "receive", "disconnect")
        ]
        assert numbers == [0, 1, 2]
        with pytest.raises(ValueError, match="leave 'order' out"):
            client.send("websocket.receive", {"order": 5})
        assert self.content("websocket.receive", content={"order": 5})["order"] == 5
        assert "order" not in self.content("websocket.receive")

    def test_headers_and_cookies(self) -> None:
        client = WSClient()
        client.set_cookie("foo", "bar")
        client.set_cookie("qux", "qu;x")
        client.set_header("Origin", "http://testserver")
        client.set_header("x-bytes", b"\xe4")
        headers = dict(self.content("websocket.connect", client)["headers"])
        assert headers.pop(b"cookie").decode() == client.headers["cookie"].decode()
        assert headers == {b"host": b"testserver", b"origin": b"http://testserver", b"x-bytes": b"\xe4"}
        assert (
            parse_cookie(client.headers["cookie"].decode())
            == {"foo": "bar", "qux": "qu;x", "sessionid": client.session.session_key}
            == client.get_cookies()
        )
        with pytest.raises(ValueError, match="set_cookie"):
            client.set_header("Cookie", "foo=bar")

    def test_a_request_for_a_view(self) -> None:
        layer = channel_layers["default"]
        layer.router.check_default()
        client = WSClient()
        client.send_and_consume("http.request", path="/hello/?a=b")
        assert client.receive()["content"] == b"hello"

    def test_the_session(self) -> None:
        client = WSClient()
        assert client.get_cookies() == client.get_cookies() != WSClient().get_cookies()
        assert Session.objects.count() == 0
        client.session["room"] = "lobby"
        client.session.save()
        assert Session.objects.get(session_key=client.get_cookies()["sessionid"]).get_decoded() == {
            "room": "lobby"
        }

    def test_login(self) -> None:
        user = get_user_model().objects.create_user("ada", password="secret")
        client = WSClient()
        assert not client.login(username="ada", password="wrong")
        assert "_auth_user_id" not in client.session
        assert client.login(username="ada", password="secret")
        assert self.user_of(client) == user.pk
        get_user_model().objects.update(is_active=False)
        assert not client.login(username="ada", password="secret")

    def test_force_login(self) -> None:
        ada = get_user_model().objects.create_user("ada")
        bob = get_user_model().objects.create_user("bob")
        client = WSClient()
        client.force_login(ada)
        first = client.get_cookies()
        assert self.user_of(client) == ada.pk
        client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
        assert self.user_of(client) == bob.pk
        assert client.get_cookies() != first

    def test_consumers_see_the_user_and_the_session(self) -> None:
        def name(message: Message) -> str:
            return str(message.user.username)

        routes = {
            "websocket.connect": channel_session_user_from_http(name),
            "websocket.receive": channel_session_user(name),
            "http": http_session(lambda message: message.http_session.get("room")),
        }
        client, stranger = WSClient(ordered=True), WSClient(ordered=True)
        client.force_login(get_user_model().objects.create_user("ada"))
        client.session["room"] = "lobby"
        client.session.save()
        with apply_routes(routes):
            for to in ("websocket.connect", "websocket.receive"):
                assert client.send_and_consume(to) == "ada"
                assert stranger.send_and_consume(to) == ""
            assert client.send_and_consume("http") == "lobby"
            assert stranger.send_and_consume("http") is None
            client.session.flush()  # logged out
            assert client.send_and_consume("websocket.receive") == ""
            assert "sessionid" not in client.get_cookies()

    def test_the_session_in_every_engine(self) -> None:
        for engine in ("db", "cache", "cached_db", "file", "signed_cookies"):
            with override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}"):
                client = WSClient()
                routes = {"http": http_session(lambda message: message.http_session.get("room"))}
                with apply_routes(routes):
                    assert client.send_and_consume("http") is None
                    client.session["room"] = engine
                    client.session.save()
                    assert client.send_and_consume("http") == engine

    def test_without_sessions(self) -> None:
        with self.modify_settings(INSTALLED_APPS={"remove": "django.contrib.sessions"}):
            assert WSClient().get_cookies() == {}

    def test_the_channel_session(self) -> None:
        @channel_session
        def count(message: Message) -> int:
            message.channel_session["count"] = message.channel_session.get("count", 0) + 1
            return int(message.channel_session["count"])

        client = WSClient()
        with apply_routes({"go": count}):
            assert [client.send_and_consume("go") for _ in range(2)] == [1, 2]
            session = client.channel_session
            assert session["count"] == 2
            session["count"] = 10
            session.save_changes()
            assert client.send_and_consume("go") == 11
            assert WSClient().send_and_consume("go") == 1

    def test_order_is_enforced(self) -> None:
        """What comes early waits in the layer, and comes back when its turn has come."""

        @enforce_ordering
        def consumer(message: Message) -> Any:
            return message["order"]

        client = WSClient(ordered=True)
        with apply_routes({"websocket.connect": consumer, "websocket.receive": consumer}):
            client.send("websocket.connect")
            for _ in range(3):
                client.send("websocket.receive", text="")
            assert [client.consume("websocket.receive") for _ in range(3)] == [None] * 3
            assert client.consume("websocket.receive", fail_on_none=False) is None
            assert client.consume("websocket.connect") == 0
            assert [client.consume("websocket.receive") for _ in range(3)] == [1, 2, 3]
            assert client.send_and_consume("websocket.receive", text="") == 4

    def user_of(self, client: WSClient) -> int:
        session = Session.objects.get(session_key=client.get_cookies()["sessionid"])
        return int(session.get_decoded()["_auth_user_id"])
