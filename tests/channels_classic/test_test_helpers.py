"""Test cases and clients for the tests of projects; here their tests are run by pytest-django."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http import parse_cookie
from django.test import TestCase, override_settings

import channels_classic.test
import channels_classic.tests
from channels_classic import Channel, Group, channel_layers, include, route
from channels_classic.auth import channel_session_user, channel_session_user_from_http
from channels_classic.exceptions import (
    ConsumeLater,
    DenyConnection,
    InvalidChannelLayerError,
    WebsocketCloseException,
)
from channels_classic.layers import ChannelFull, InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.sessions import channel_session, enforce_ordering, http_session
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.test import (
    ChannelTestCase,
    Client,
    HttpClient,
    TransactionChannelTestCase,
    WSClient,
    apply_routes,
    in_memory_layers,
)

MEMORY = "channels_classic.layers.InMemoryChannelLayer"
TWO_LAYERS = {
    "default": {"BACKEND": MEMORY, "CONFIG": {"capacity": 3, "expiry": 7}, "ROUTING": {}},
    "other": {"BACKEND": MEMORY, "ROUTING": {}},
}


def echo(message: Message) -> str:
    message.reply_channel.send({"text": message["text"]})
    return "echoed"


def layers() -> list[Any]:
    return [channel_layers[alias].channel_layer for alias in ("default", "other")]


def test_the_older_name() -> None:
    assert channels_classic.tests is channels_classic.test
    assert HttpClient is WSClient


def test_names() -> None:
    for name in channels_classic.test.__all__:
        assert getattr(channels_classic.test, name).__name__.lower().replace("_", "")
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        channels_classic.test.Klient  # noqa: B018


class TestInMemoryLayers:
    @pytest.fixture(autouse=True)
    def two_layers(self, settings: Any) -> None:
        settings.CHANNEL_LAYERS = TWO_LAYERS

    def test_all_are_replaced_and_come_back(self) -> None:
        outside = layers()
        with in_memory_layers():
            assert not {*layers()} & {*outside}
            Channel("queue").send({"number": 1})
        assert layers() == outside
        assert channel_layers["default"].receive(["queue"]) == (None, None)

    def test_only_some(self) -> None:
        default, other = layers()
        with in_memory_layers(["other"]):
            assert layers()[0] is default
            assert layers()[1] is not other
        assert layers() == [default, other]

    def test_one_that_was_not_made_is_not_made_for_it(self, settings: Any) -> None:
        backend = {"BACKEND": "no.such.Backend", "CONFIG": {"hosts": ["somewhere"], "capacity": 5}, "ROUTING": {}}
        settings.CHANNEL_LAYERS = {"default": backend}
        with in_memory_layers():
            assert channel_layers["default"].capacity == 5
        with pytest.raises(InvalidChannelLayerError, match=r"no\.such\.Backend"):
            channel_layers["default"]

    def test_their_limits_are_those_of_the_settings(self) -> None:
        with in_memory_layers():
            assert (layers()[0].capacity, layers()[0].expiry) == (3, 7)
            assert layers()[1].capacity == InMemoryChannelLayer().capacity

    def test_an_unknown_one(self) -> None:
        with (
            pytest.raises(InvalidChannelLayerError, match="no 'third'; it has: 'default', 'other'"),
            in_memory_layers(["default", "third"]),
        ):
            pass


class TestCases:
    """What a class of tests sees; run as the runner of Django would."""

    def run(self, cls: type[unittest.TestCase]) -> unittest.TestResult:
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(cls).run(result)
        for _, trace in (*result.errors, *result.failures):
            pytest.fail(trace, pytrace=False)
        return result

    @pytest.mark.parametrize("base", [ChannelTestCase, TransactionChannelTestCase])
    @pytest.mark.django_db(transaction=True)
    @override_settings(CHANNEL_LAYERS=TWO_LAYERS)
    def test_each_test_has_layers_of_its_own(self, base: Any) -> None:
        seen: list[Any] = layers()

        class Example(base):  # type: ignore[misc]
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                seen.extend(layers())

            def setUp(self) -> None:  # without super().setUp(), as many are written
                seen.extend(layers())
                Channel("queue").send({"number": 1})

            def test_one(self) -> None:
                assert self.get_next_message("queue")["number"] == 1
                assert self.get_next_message("queue") is None

            test_two = test_one

        outside = layers()
        assert self.run(Example).testsRun == 2
        assert len({id(layer) for layer in seen}) == len(seen) == 8
        assert layers() == outside

    @override_settings(CHANNEL_LAYERS=TWO_LAYERS)
    def test_which_layers(self) -> None:
        _, other = layers()

        class Example(ChannelTestCase):
            test_channel_aliases = ["default"]
            databases = set()

            def test(self) -> None:
                assert layers()[1] is other

        class Wrong(ChannelTestCase):
            test_channel_aliases = ["third"]

            def test(self) -> None:
                pass

        assert self.run(Example).testsRun == 1
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(Wrong).run(result)
        assert "no 'third'" in result.errors[0][1]

    def test_settings_of_a_test(self) -> None:
        class Example(ChannelTestCase):
            databases = set()

            @override_settings(CHANNEL_LAYERS=TWO_LAYERS)
            def test(self) -> None:
                Channel("queue", alias="other").send({"number": 1})
                assert self.get_next_message("queue") is None
                assert self.get_next_message("queue", alias="other")["number"] == 1

        assert self.run(Example).testsRun == 1

    def test_debugging(self) -> None:
        outside = channel_layers["default"]

        class Example(ChannelTestCase):
            databases = set()

            def test(self) -> None:
                assert channel_layers["default"] is not outside
                raise LookupError("seen by the debugger")

        with pytest.raises(LookupError):
            Example("test").debug()
        assert channel_layers["default"] is outside


class TestGetNextMessage(ChannelTestCase):
    def test_a_message(self) -> None:
        Channel("queue").send({"number": 33, "reply_channel": "replies!1"})
        message = self.get_next_message("queue", require=True)
        assert isinstance(message, Message)
        assert message.content == {"number": 33, "reply_channel": "replies!1"}
        assert message.channel.name == "queue"
        assert message.reply_channel.name == "replies!1"

    def test_a_consumer_of_the_test_s_own_call(self) -> None:
        Channel("queue").send({"text": "hi", "reply_channel": "replies!1"})
        echo(self.get_next_message("queue"))
        assert self.get_next_message("replies!1")["text"] == "hi"

    def test_none(self) -> None:
        assert self.get_next_message("queue") is None
        with pytest.raises(AssertionError, match="expected on channel 'queue', but there is none"):
            self.get_next_message("queue", require=True)

    def test_one_client_among_several_of_a_process(self) -> None:
        for number, name in enumerate("abab"):
            Channel(f"replies!{name}").send({"number": number})
        numbers = [self.get_next_message(f"replies!{name}")["number"] for name in "bbaa"]
        assert numbers == [1, 3, 0, 2]

    def test_a_group(self) -> None:
        for member in ("queue", "replies!a", "replies!b"):
            Group("group").add(member)
        Group("group").send({"number": 42})
        for member in ("queue", "replies!b", "replies!a"):
            assert self.get_next_message(member, require=True)["number"] == 42
            assert self.get_next_message(member) is None

    def test_a_channel_for_its_name(self) -> None:
        channel = Channel("queue")
        channel.send({})
        assert self.get_next_message(channel) is not None


class TestClient(ChannelTestCase):
    @apply_routes({"echo": echo})
    def test_there_and_back(self) -> None:
        client = Client()
        assert client.send_and_consume("echo", {"text": "hi"}) == "echoed"
        assert client.receive() == {"text": "hi"}
        assert client.receive() is None

    @apply_routes({"echo": echo})
    def test_one_after_the_other(self) -> None:
        client, other = Client(), Client()
        client.send("echo", {"text": "1"})
        other.send("echo", {"text": "2"})
        client.send("echo", {"text": "3", "reply_channel": other.reply_channel})
        for _ in range(3):
            client.consume("echo")
        assert [client.receive(), client.receive()] == [{"text": "1"}, None]
        assert [other.receive(), other.receive()] == [{"text": "2"}, {"text": "3"}]

    def test_nothing_there(self) -> None:
        client = Client()
        with pytest.raises(AssertionError, match="expected on channel 'echo', but there is none"):
            client.consume("echo")
        assert client.consume("echo", fail_on_none=False) is None
        with pytest.raises(AssertionError, match="No route matches"):
            client.send_and_consume("echo")
        assert client.send_and_consume("echo", fail_on_none=False) is None

    @apply_routes(route("hello", lambda message, **kwargs: kwargs, path=r"^/(?P<room>\w+)"))
    def test_what_the_route_found(self) -> None:
        assert Client().send_and_consume("hello", {"path": "/lobby"}) == {"room": "lobby"}

    def test_sends_wait_for_the_end_of_the_consumer(self) -> None:
        seen = []

        def consumer(message: Message) -> None:
            message.reply_channel.send({"number": 2})
            message.reply_channel.send({"number": 1}, immediately=True)
            seen.append(channel_layers["default"].receive([message.reply_channel.name])[1])

        with apply_routes({"go": consumer}):
            client = Client()
            client.send_and_consume("go")
        assert seen == [{"number": 1}]
        assert client.receive() == {"number": 2}

    def test_an_error_is_the_test_s(self) -> None:
        """And what was sent before it goes out, as from a worker."""

        def consumer(message: Message) -> None:
            message.reply_channel.send({"text": "before"})
            raise LookupError("a mistake")

        with apply_routes({"go": consumer}):
            client = Client()
            with self.assertNoLogs("django.channels"), pytest.raises(LookupError, match="a mistake"):
                client.send_and_consume("go")
        assert client.receive() == {"text": "before"}

    def test_denied_where_nothing_can_be(self) -> None:
        def consumer(message: Message) -> None:
            raise DenyConnection

        with apply_routes({"go": consumer}), pytest.raises(DenyConnection):
            Client().send_and_consume("go")

    def test_an_exception_that_acts(self) -> None:
        def consumer(message: Message) -> None:
            raise WebsocketCloseException(4000)

        with apply_routes({"websocket.receive": consumer}):
            client = Client()
            client.send_and_consume("websocket.receive")
        assert client.receive() == {"close": 4000}

    def test_later(self) -> None:
        results = iter([ConsumeLater, None])

        def consumer(message: Message) -> Any:
            if error := next(results):
                raise error
            return message["__retries__"], message["text"]

        with apply_routes({"go": consumer}):
            client = Client()
            assert client.send_and_consume("go", {"text": "hi"}) is None
            assert client.consume("go") == (1, "hi")

    def test_a_full_channel(self) -> None:
        def consumer(message: Message) -> None:
            for _ in range(channel_layers["default"].capacity + 1):
                Channel("full").send({})
            message.reply_channel.send({"text": "sent all the same"})

        with apply_routes({"go": consumer}):
            client = Client()
            with pytest.raises(ChannelFull, match="'full' is full: it holds 100 messages"):
                client.send_and_consume("go")
        assert client.receive() == {"text": "sent all the same"}

    def test_signals_and_no_broken_transaction(self) -> None:
        seen = []

        def started(sender: Any, **kwargs: Any) -> None:
            seen.append((sender, kwargs["environ"]))

        def finished(sender: Any, **kwargs: Any) -> None:
            seen.append(sender)

        def consumer(message: Message) -> None:
            User.objects.create(username="made by a consumer")

        consumer_started.connect(started)
        consumer_finished.connect(finished)
        with apply_routes({"go": consumer}):
            Client().send_and_consume("go")
        assert seen == [(Client, {}), Client]
        assert User.objects.get().username == "made by a consumer"

    def test_groups(self) -> None:
        client, other = Client(), Client()
        client.join_group("group")
        Group("group").send({"text": "hi"})
        assert client.receive() == {"text": "hi"}
        assert other.receive() is None

    def test_the_content_stays_the_test_s(self) -> None:
        content: dict[str, Any] = {"list": [1]}
        Client().send("queue", content)
        assert content == {"list": [1]}

    @apply_routes({"echo": echo})
    def test_the_consumer_of_a_channel(self) -> None:
        assert Client().get_consumer_by_channel("echo") is echo
        assert Client().get_consumer_by_channel("nothing") is None

    @override_settings(CHANNEL_LAYERS=TWO_LAYERS)
    def test_another_layer(self) -> None:
        with apply_routes({"echo": echo}, aliases=["other"]):
            client = Client(alias="other")
            client.send_and_consume("echo", {"text": "hi"})
            assert client.receive() == {"text": "hi"}
            client.join_group("group")
            assert channel_layers["other"].group_channels("group") == [client.reply_channel]


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

    def test_accepted_with_data(self) -> None:
        assert self.connect("/?text=hello").receive(json=False) == "hello"
        client = self.connect("/?text=1&accept=True&text=2&accept=True&text=3")
        assert [client.receive(), client.receive(), client.receive(), client.receive()] == [1, 2, 3, None]

    def test_rejected(self) -> None:
        for path in ("/?close=True", "/?accept=False"):
            with pytest.raises(AssertionError, match=r"The connection was rejected: \{"):
                self.connect(path)
        with pytest.raises(DenyConnection):
            self.connect("/?deny")

    def test_not_answered(self) -> None:
        unanswered = pytest.raises(AssertionError, match="did not answer, and with CHANNELS_EXPLICIT_ACCEPT")
        with override_settings(CHANNELS_EXPLICIT_ACCEPT=True), unanswered:
            self.connect()
        with pytest.raises(AssertionError, match="the first message to a socket"):
            self.connect("/?nothing=known")

    def test_nobody_to_accept(self) -> None:
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

    def content(self, to: str, client: WSClient | None = None, **options: Any) -> dict[str, Any]:
        client = client or WSClient()
        client.send(to, **options)
        message = self.get_next_message(to, require=True)
        assert message.content.pop("reply_channel") == client.reply_channel
        content: dict[str, Any] = message.content
        return content

    def test_the_messages_of_a_socket(self) -> None:
        path = "/room/?token=%C3%BC"
        assert self.content("websocket.connect", path=path) == {
            "path": "/room/",
            "query_string": b"token=%C3%BC",
            "headers": [[b"host", b"testserver"]],
        }
        assert self.content("websocket.receive", path=path, text="hi") == {"path": "/room/", "text": "hi"}
        assert self.content("websocket.disconnect", path=path) == {"path": "/room/", "code": 1000}
        assert self.content("websocket.disconnect", content={"code": 1006, "path": "/x"}) == {
            "path": "/x",
            "code": 1006,
        }

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
            == {"foo": "bar", "qux": "qu;x"}
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
        assert client.get_cookies() == {}
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
            "http": http_session(lambda message: message.http_session and message.http_session["room"]),
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


class TestApplyRoutes(TestCase):
    """On the layers of the settings, where ``ChannelTestCase`` has not replaced them."""

    def setUp(self) -> None:
        self.usual = channel_layers["default"].router

    def tearDown(self) -> None:
        assert channel_layers["default"].router is self.usual

    def channels(self) -> set[str]:
        router = channel_layers["default"].router
        return set() if router is self.usual else router.channels

    def test_forms(self) -> None:
        one, two = route("one", echo), route("two", echo)
        for routes, channels in [
            (one, {"one"}),
            ([one, two], {"one", "two"}),
            ([[one], [two]], {"one", "two"}),
            ([include([one]), two], {"one", "two"}),
            ({"one": echo}, {"one"}),
            (f"{__name__}.ROUTES", {"dotted"}),
            ([], set()),
        ]:
            with apply_routes(routes) as applied:
                assert self.channels() == channels
                assert len(channel_layers["default"].routing) == len(applied.routes)
            assert self.channels() == set()

    def test_inside_one_another(self) -> None:
        outer = apply_routes({"outer": echo})
        with outer, apply_routes({"inner": echo}), outer:
            assert self.channels() == {"outer"}
        assert self.channels() == set()

    def test_after_an_error(self) -> None:
        with pytest.raises(LookupError), apply_routes({"one": echo}):
            raise LookupError

    def test_an_unknown_layer(self) -> None:
        with pytest.raises(InvalidChannelLayerError), apply_routes({"one": echo}, aliases=["default", "third"]):
            pass

    def test_something_else(self) -> None:
        with pytest.raises(ValueError, match="A routing must be a dict"):
            apply_routes(5)  # type: ignore[arg-type]

    def test_functions(self) -> None:
        @apply_routes({"one": echo})
        def function(argument: str) -> Any:
            """Its own."""
            return argument, self.channels()

        @apply_routes({"one": echo})
        async def asynchronous(argument: str) -> Any:
            await asyncio.sleep(0)
            return argument, self.channels()

        assert function("argument") == ("argument", {"one"})
        assert function.__doc__ == "Its own."
        assert asyncio.run(asynchronous("argument")) == ("argument", {"one"})


ROUTES = [route("dotted", echo)]


@apply_routes({"one": echo})
class TestApplyRoutesToAClass(ChannelTestCase):
    def setUp(self) -> None:
        assert channel_layers["default"].router.channels == {"one"}

    def test_one(self) -> None:
        assert channel_layers["default"].router.channels == {"one"}

    def test_two(self) -> None:
        self.test_one()


@apply_routes({"one": echo})
class TestApplyRoutesToAClassOfPytest:
    def test_one(self) -> None:
        assert channel_layers["default"].router.channels == {"one"}

    def helper(self) -> set[str]:
        channels: set[str] = channel_layers["default"].router.channels
        return channels

    def test_two(self, channel_layer: Any) -> None:
        assert self.helper() == {"one"}
