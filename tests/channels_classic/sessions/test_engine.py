"""Sessions in the channel layer: their place, their time, and their end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.core.management import call_command

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.session_engine import SessionStore
from channels_classic.sessions import channel_session, session_for_reply_channel
from tests.conftest import LayerOn
from tests.redis_server import RedisServer

CLIENT = "interface.abc!one"


@channel_session
def count(message: Message) -> int:
    message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    return int(message.channel_session["count"])


@channel_session
def look(message: Message) -> Any:
    return message.channel_session.get("count")


def frame() -> Message:
    return Message({"reply_channel": CLIENT}, "websocket.receive", channel_layers["default"])


@pytest.fixture(autouse=True)
def settings_for_it(settings: Any) -> Iterator[None]:
    settings.CHANNEL_SESSION_ENGINE = "channels_classic.session_engine"
    former = channel_layers.set("default", None)
    yield
    channel_layers.set("default", former)


def use(layer: BaseChannelLayer) -> BaseChannelLayer:
    channel_layers.set("default", ChannelLayerWrapper(layer, "default", {}))
    return layer


@pytest.fixture
def on_redis(redis_url: str, redis_server: RedisServer) -> Iterator[Any]:
    with redis_server.client() as client:
        yield client


def test_a_session_is_one_key_under_the_prefix_of_the_layer(
    redis_url: str, on_redis: Any, layer_on: LayerOn
) -> None:
    use(layer_on([redis_url], prefix="mine:", group_expiry=1000))
    assert [count(frame()) for _ in range(3)] == [1, 2, 3]
    [key] = on_redis.keys("*")
    assert key == f"mine:value:session:{session_for_reply_channel(CLIENT).session_key}"
    assert CLIENT not in key
    assert 990 < on_redis.ttl(key) <= 1000


def test_an_encrypted_layer_encrypts_sessions(redis_url: str, on_redis: Any, layer_on: LayerOn) -> None:
    use(layer_on([redis_url], symmetric_encryption_keys=["old"]))
    count(frame())
    [key] = on_redis.keys("*")
    assert on_redis.get(key).startswith("gAAAA")
    use(layer_on([redis_url], symmetric_encryption_keys=["new", "old"]))
    assert look(frame()) == 1


def test_a_session_under_another_key_counts_as_missing(
    redis_url: str, on_redis: Any, layer_on: LayerOn, caplog: pytest.LogCaptureFixture
) -> None:
    use(layer_on([redis_url], symmetric_encryption_keys=["old"]))
    count(frame())
    use(layer_on([redis_url], symmetric_encryption_keys=["new"]))
    assert look(frame()) is None
    assert "symmetric_encryption_keys" in caplog.text


def test_a_look_makes_the_time_whole_when_less_than_half_is_left(
    redis_url: str, on_redis: Any, layer_on: LayerOn
) -> None:
    use(layer_on([redis_url], group_expiry=1000))
    count(frame())
    [key] = on_redis.keys("*")
    for left, then in ((600, 600), (400, 1000)):  # one that has long to live is not bothered
        on_redis.expire(key, left)
        look(frame())
        assert then - 10 < on_redis.ttl(key) <= then


def test_an_expiry_of_its_own(redis_url: str, on_redis: Any, layer_on: LayerOn) -> None:
    @channel_session
    def expire_in(message: Message, expiry: Any) -> None:
        message.channel_session.set_expiry(expiry)

    use(layer_on([redis_url], group_expiry=1000))
    count(frame())
    [key] = on_redis.keys("*")
    for expiry in (100, timedelta(seconds=100)):
        expire_in(frame(), expiry=expiry)
        assert 90 < on_redis.ttl(key) <= 100
        look(frame())
        assert on_redis.ttl(key) <= 100
    expire_in(frame(), expiry=None)
    assert 990 < on_redis.ttl(key) <= 1000
    expire_in(frame(), expiry=timedelta(seconds=-1))
    assert on_redis.keys("*") == []


def test_in_memory_it_ends_as_well() -> None:
    use(InMemoryChannelLayer(group_expiry=0.5))
    count(frame())
    assert look(frame()) == 1
    time.sleep(0.55)
    assert look(frame()) is None
    assert count(frame()) == 1


def test_it_can_hold_http_sessions_too(settings: Any) -> None:
    settings.SESSION_ENGINE = "channels_classic.session_engine"
    use(InMemoryChannelLayer())
    session = SessionStore()
    session["colour"] = "blue"
    session.save()
    assert len(session.session_key or "") == 32
    assert SessionStore(session.session_key)["colour"] == "blue"
    former_key = session.session_key
    session.cycle_key()
    assert not session.exists(former_key)
    assert SessionStore(session.session_key)["colour"] == "blue"
    call_command("clearsessions")
    session.flush()
    assert not session.exists(former_key)
    assert session.session_key is None
    session.delete()


def test_creating_and_updating_are_told_apart() -> None:
    use(InMemoryChannelLayer())
    session = SessionStore()
    session.create()
    with pytest.raises(CreateError):
        SessionStore(session.session_key).save(must_create=True)
    session.delete()
    with pytest.raises(UpdateError):
        session.save()


def test_an_unknown_key_does_not_become_a_session() -> None:
    use(InMemoryChannelLayer())
    session = SessionStore("abcdefgh12345678")
    assert session.get("colour") is None
    assert session.session_key is None
