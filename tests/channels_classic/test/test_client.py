"""``Client``."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from channels_classic import Channel, Group, channel_layers, route
from channels_classic.exceptions import (
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from channels_classic.layers import ChannelFull
from channels_classic.message import Message
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.test import (
    ChannelTestCase,
    Client,
    apply_routes,
)
from tests.channels_classic.test.examples import TWO_LAYERS, echo


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
        with pytest.raises(AssertionError, match="^No message for channel echo"):
            client.consume("echo")
        assert client.consume("echo", fail_on_none=False) is None
        with pytest.raises(AssertionError, match="^Can't find consumer for message"):
            client.send_and_consume("echo")
        assert client.send_and_consume("echo", fail_on_none=False) is None

    @apply_routes(route("hello", lambda message, **kwargs: kwargs, path=r"^/(?P<room>\w+)"))
    def test_keyword_arguments_of_the_route(self) -> None:
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

    def test_denying_another_message_than_a_connect(self) -> None:
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
