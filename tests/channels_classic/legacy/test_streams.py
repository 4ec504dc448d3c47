"""Demultiplexers whose streams have channels, as before Channels 1.0."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from channels_classic import old_forms, route
from channels_classic.exceptions import SendNotAvailableOnDemultiplexer
from channels_classic.generic.websockets import JsonWebsocketConsumer
from channels_classic.legacy.streams import WebsocketDemultiplexer
from channels_classic.message import Message
from channels_classic.test import ChannelTestCase, WSClient, apply_routes
from tests.channels_classic.binding.client import bind
from tests.channels_classic.binding.library.models import Book


class Streams(WebsocketDemultiplexer):
    mapping = {"stats": "internal.stats", "books": "binding.books"}

    def connection_groups(self) -> list[str]:  # type: ignore[override]
        return ["readers"]

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        self.send("stats", {"goodbye": True})


def stats(message: Message) -> None:
    message.reply_channel.send(WebsocketDemultiplexer.encode("stats", {"sum": sum(message["numbers"])}))


class TestMapping(ChannelTestCase):
    def connect(self) -> WSClient:
        client = WSClient()
        client.send_and_consume("websocket.connect")
        return client

    def test_payloads_go_to_the_channels_of_their_streams(self) -> None:
        with apply_routes([Streams.as_route(), route("internal.stats", stats)]):
            client = self.connect()
            payload = {"numbers": [1, 2], "reply_channel": "forged"}
            client.send_and_consume("websocket.receive", text={"stream": "stats", "payload": payload})
            client.consume("internal.stats")
            assert client.receive() == {"stream": "stats", "payload": {"sum": 3}}
            client.send_and_consume("websocket.receive", text={"stream": "other", "payload": {}})
            assert client.receive() == {"error": 'There is no stream "other" here.'}

    def test_frames_by_its_own_methods(self) -> None:
        with apply_routes([Streams.as_route()]):
            client = self.connect()
            Streams.group_send("readers", "stats", {"all": 1})
            assert client.receive() == {"stream": "stats", "payload": {"all": 1}}
            Streams.group_send("readers", "stats", {}, close=True)
            content = self.get_next_message(client.reply_channel)
            assert content["close"] is True
            client.send_and_consume("websocket.disconnect")
            assert client.receive() == {"stream": "stats", "payload": {"goodbye": True}}

    def test_a_binding_with_a_channel_of_its_own(self) -> None:
        seen = []

        def has_permission(self: Any, user: Any, action: str, pk: Any) -> bool:
            seen.append((user, action, pk))
            return True

        books = bind(has_permission=has_permission)

        class Reading(Streams):
            http_user = True

        reader = get_user_model().objects.create_user("reader")
        with (
            pytest.MonkeyPatch.context() as patch,
            apply_routes([Reading.as_route(), route("binding.books", books.consumer)]),
        ):
            patch.setattr(old_forms, "accepted", True)
            client = WSClient()
            client.force_login(reader)
            client.send_and_consume("websocket.connect")
            payload: dict[str, Any] = {"action": "create", "data": {"title": "Emma", "pages": 2}}
            client.send_and_consume("websocket.receive", text={"stream": "books", "payload": payload})
            client.consume("binding.books")
            client.send_and_consume("websocket.receive", text={"stream": "books", "payload": {"pk": 1}})
            client.consume("binding.books")
        assert client.receive()["payload"]["error"] == '"action" must be "create", "update" or "delete".'
        assert Book.objects.get().title == "Emma"
        assert seen == [(reader, "create", None)]

    def test_the_mapping_of_a_subclass(self) -> None:
        class More(Streams):
            mapping = {"more": "internal.more"}

        class New(Streams):
            consumers = {"new": stats}

        assert [sorted(each.consumers) for each in (Streams, More, New)] == [["books", "stats"], ["more"], ["new"]]

    def test_mappings_of_a_mixin(self) -> None:
        class Mixin:
            mapping = {"mixed": "internal.mixed"}

        class Mixed(Mixin, WebsocketDemultiplexer):
            pass

        assert sorted(Mixed.consumers) == ["mixed"]


class TestWithoutMapping(ChannelTestCase):
    def test_it_is_as_ever(self) -> None:
        class Echo(JsonWebsocketConsumer):
            def receive(self, content: Any, multiplexer: Any = None, **kwargs: Any) -> None:
                multiplexer.send(content)

        class New(WebsocketDemultiplexer):
            consumers = {"echo": Echo}

            def disconnect(self, message: Message, **kwargs: Any) -> None:
                self.send("echo", {})

        frame = {"stream": "echo", "payload": {"a": 1}}
        with apply_routes([New.as_route()]):
            client = WSClient()
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text=frame)
            assert client.receive() == frame
            with pytest.raises(SendNotAvailableOnDemultiplexer):
                client.send_and_consume("websocket.disconnect")
        with pytest.raises(SendNotAvailableOnDemultiplexer):
            New.group_send("readers", "echo", {})
