"""``BaseConsumer``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from channels_classic import route, route_class
from channels_classic.generic import BaseConsumer
from channels_classic.message import Message
from channels_classic.test import ChannelTestCase, Client, apply_routes


class Counter(BaseConsumer):
    method_mapping = {"count.up": "up", "count.down": "down"}
    step = 1

    def up(self, message: Message, **kwargs: Any) -> None:
        self.called = ("up", self.step, kwargs)

    def down(self, message: Message, **kwargs: Any) -> None:
        self.called = ("down", -self.step, kwargs)


class TestBaseConsumer(ChannelTestCase):
    def test_each_channel_has_its_method(self) -> None:
        client = Client()
        with apply_routes([route_class(Counter)]):
            up, down = client.send_and_consume("count.up"), client.send_and_consume("count.down")
        assert (up.called, down.called) == (("up", 1, {}), ("down", -1, {}))
        assert up is not down
        assert up.message.channel.name == "count.up"

    def test_other_channels_are_not_routed(self) -> None:
        client = Client()
        client.send("count.sideways")
        with apply_routes([route_class(Counter)]):
            message = client.get_next_message("count.sideways")
            assert client.channel_layer.router.match(message) is None

    def test_kwargs_come_from_the_route(self) -> None:
        client = Client()
        with apply_routes([route_class(Counter, name=r"^(?P<first>\w)(?P<rest>\w*)$")]):
            counter = client.send_and_consume("count.up", {"name": "abc"})
        assert counter.kwargs == {"first": "a", "rest": "bc"}
        assert counter.called == ("up", 1, counter.kwargs)

    def test_a_message_from_elsewhere_is_a_clear_error(self) -> None:
        client = Client()
        expected = r"Counter handles \['count.down', 'count.up'\], but .* 'other'"
        with apply_routes([route("other", Counter)]), pytest.raises(ValueError, match=expected):
            client.send_and_consume("other")

    def test_as_route_with_attributes_leaves_the_class_as_it_is(self) -> None:
        first = Counter.as_route(attrs={"step": 10}, name="^first$")
        second = Counter.as_route({"step": 20}, name="^second$")
        plain = Counter.as_route()
        assert plain.consumer is Counter
        client = Client()
        with apply_routes([first, second, plain]):
            steps = [
                client.send_and_consume("count.up", {"name": name}).called[1]
                for name in ("first", "second", "third", "first")
            ]
        assert steps == [10, 20, 1, 10]
        assert Counter.step == 1
        assert (first.consumer.__name__, first.consumer.__module__) == ("Counter", __name__)

    def test_as_route_may_bring_the_mapping(self) -> None:
        class Bare(BaseConsumer):
            def handle(self, message: Message, **kwargs: Any) -> None:
                message.reply_channel.send({"handled": True})

        client = Client()
        with apply_routes([Bare.as_route({"method_mapping": {"mychannel": "handle"}})]):
            client.send_and_consume("mychannel")
        assert client.receive() == {"handled": True}
        assert Bare.channel_names() == set()

    def test_channel_names_and_dispatch_can_be_overridden(self) -> None:
        class Any_(BaseConsumer):
            @classmethod
            def channel_names(cls) -> set[str]:
                return {"a", "b"}

            def dispatch(self, message: Message, **kwargs: Any) -> None:
                self.called = message.channel.name

        client = Client()
        with apply_routes([route_class(Any_)]):
            assert [client.send_and_consume(name).called for name in "ab"] == ["a", "b"]

    def test_get_handler_decorates(self) -> None:
        calls: list[str] = []

        def noted(handler: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(handler)
            def decorated(message: Message, **kwargs: Any) -> Any:
                calls.append(message.channel.name)
                return handler(message, **kwargs)

            return decorated

        class Noted(Counter):
            def get_handler(self, message: Message, **kwargs: Any) -> Callable[..., Any]:
                return noted(super().get_handler(message, **kwargs))

        client = Client()
        with apply_routes([route_class(Noted)]):
            assert client.send_and_consume("count.up").called[0] == "up"
        assert calls == ["count.up"]

    def test_sessions_and_users(self) -> None:
        class WithSession(Counter):
            channel_session = True

            def up(self, message: Message, **kwargs: Any) -> None:
                message.channel_session["count"] = message.channel_session.get("count", 0) + 1
                self.count = message.channel_session["count"]
                self.has_user = hasattr(message, "user")

        class WithUser(WithSession):
            channel_session = False
            channel_session_user = True

        client = Client()
        with apply_routes([route_class(WithSession)]):
            assert [client.send_and_consume("count.up").count for _ in range(3)] == [1, 2, 3]
            assert not client.send_and_consume("count.up").has_user
        with apply_routes([route_class(WithUser)]):
            consumer = client.send_and_consume("count.up")
        assert consumer.count == 5
        assert consumer.message.user == AnonymousUser()


class TestAsyncMethods(ChannelTestCase):
    def test_each_method_may_be_asynchronous(self) -> None:
        class Mixed(Counter):
            async def up(self, message: Message, **kwargs: Any) -> None:
                await asyncio.sleep(0)
                self.message.reply_channel.send({"text": "up"})

        with apply_routes([route_class(Mixed)]):
            client = Client()
            assert isinstance(client.send_and_consume("count.up"), Mixed)
            assert client.receive() == {"text": "up"}
            client.send_and_consume("count.down")

    def test_the_awaitable_of_a_method_is_awaited(self) -> None:
        async def refuse() -> None:
            raise ZeroDivisionError

        class Returns(Counter):
            def up(self, message: Message, **kwargs: Any) -> Any:
                return refuse()

        with apply_routes([route_class(Returns)]), pytest.raises(ZeroDivisionError):
            Client().send_and_consume("count.up")

    def test_the_session_is_saved_after_the_consumer(self) -> None:
        class Saves(Counter):
            channel_session = True

            async def up(self, message: Message, **kwargs: Any) -> None:
                await asyncio.sleep(0)
                count = message.channel_session["count"] = message.channel_session.get("count", 0) + 1
                message.reply_channel.send({"count": count})

        with apply_routes([route_class(Saves)]):
            client = Client()
            for count in (1, 2):
                client.send_and_consume("count.up")
                assert client.receive() == {"count": count}

    def test_methods_whose_results_are_used_at_once_have_to_be_synchronous(self) -> None:
        async def method(self: Any, *args: Any, **kwargs: Any) -> Any: ...

        with pytest.raises(TypeError, match="must be a plain def"):
            type("Wrong", (Counter,), {"get_handler": method})

    def test_helpers_may_be_async(self) -> None:
        class Fine(Counter):
            async def helper(self) -> None:
                pass

        assert Fine.channel_names() == {"count.up", "count.down"}
