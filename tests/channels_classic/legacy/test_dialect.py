"""``@Channel.consumer``."""

from __future__ import annotations

from typing import Any

import pytest

from channels_classic import Channel, channel_layers
from channels_classic.message import Message
from channels_classic.routing import route
from channels_classic.test import Client, apply_routes, in_memory_layers

pytestmark = pytest.mark.usefixtures("registry", "channel_layer")


def consume(channel: str, **content: Any) -> Any:
    return Client().send_and_consume(channel, content)


def test_the_keys_come_as_keywords() -> None:
    @Channel.consumer("some.channel")
    def consumer(**kwargs: Any) -> Any:
        return kwargs

    client = Client()
    assert client.send_and_consume("some.channel", {"path": "/", "number": 1}) == {
        "path": "/",
        "number": 1,
        "reply_channel": client.reply_channel,
        "response_channel": client.reply_channel,
        "channel": "some.channel",
    }


def test_a_consumer_gets_what_it_takes_and_no_more() -> None:
    """Messages have more keys today than when the consumer was written."""

    @Channel.consumer("some.channel")
    def consumer(response_channel: str, path: str, missing: str = "default") -> Any:
        return response_channel, path, missing

    client = Client()
    sent = {"path": "/", "scheme": "http"}
    assert client.send_and_consume("some.channel", sent) == (client.reply_channel, "/", "default")


def test_a_message_without_a_reply_channel_has_no_response_channel() -> None:
    @Channel.consumer("some.channel")
    def consumer(response_channel: str | None = None, **kwargs: Any) -> Any:
        return response_channel

    assert consume("some.channel", reply_channel=None) is None


def test_the_function_stays_what_it_is() -> None:
    def consumer(**kwargs: Any) -> str:
        return "called"

    assert Channel.consumer("one", "two")(consumer) is consumer
    assert consumer() == "called"
    assert consume("one") == consume("two") == "called"


def test_the_old_name_of_http_requests() -> None:
    @Channel.consumer("django.wsgi.request")
    def consumer(response_channel: str, path: str, **kwargs: Any) -> None:
        Channel(response_channel).send({"status": 200, "content": path.encode()})

    client = Client()
    client.send_and_consume("http.request", {"path": "/hello"})
    assert client.receive() == {"status": 200, "content": b"/hello"}


def test_it_takes_precedence_over_the_routing(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
            "ROUTING": {"some.channel": lambda message: "routed", "other.channel": lambda message: "routed"},
        }
    }
    layer_there = channel_layers["default"]

    @Channel.consumer("some.channel")
    def consumer(**kwargs: Any) -> str:
        return "registered"

    assert channel_layers["default"] is layer_there
    assert consume("some.channel") == "registered"
    assert consume("other.channel") == "routed"
    with in_memory_layers():  # a layer that is made later
        assert consume("some.channel") == "registered"
        layer = channel_layers["default"]
        layer.router.check_default()
        assert layer.router.channels > {"some.channel", "other.channel", "http.request"}


def test_a_routing_for_a_test_replaces_it_too() -> None:
    @Channel.consumer("some.channel")
    def consumer(**kwargs: Any) -> str:
        return "registered"

    with apply_routes([route("some.channel", lambda message: "applied")]):
        assert consume("some.channel") == "applied"
    assert consume("some.channel") == "registered"


def test_another_layer(settings: Any) -> None:
    entry = {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}
    settings.CHANNEL_LAYERS = {"default": entry, "other": entry}

    @Channel.consumer("some.channel", alias="other")
    def consumer(**kwargs: Any) -> str:
        return "registered"

    assert Client("other").send_and_consume("some.channel") == "registered"
    assert channel_layers["default"].router.channels == set()


def test_a_channel_has_one_consumer_only() -> None:
    def first(**kwargs: Any) -> None:
        pass

    def second(**kwargs: Any) -> None:
        pass

    Channel.consumer("http.request")(first)
    Channel.consumer("http.request")(first)  # its module may be imported again
    with pytest.raises(ValueError, match=r"'http.request' can have one consumer only.*first.*second"):
        Channel.consumer("django.wsgi.request")(second)


def test_without_a_channel() -> None:
    with pytest.raises(TypeError, match="takes the names of channels"):
        Channel.consumer(lambda **kwargs: None)
    with pytest.raises(TypeError, match="takes the names of channels"):
        Channel.consumer()


def test_a_bad_name() -> None:
    with pytest.raises(TypeError, match="no such name"):
        Channel.consumer("no such name!")


def test_errors_name_the_function() -> None:
    @Channel.consumer("some.channel")
    def consumer(needed: str) -> None:
        pass

    with pytest.raises(TypeError, match="needed"):
        consume("some.channel")
    layer = channel_layers["default"]
    match = layer.router.match(Message({}, "some.channel", layer))
    assert match[0].__qualname__ == consumer.__qualname__
