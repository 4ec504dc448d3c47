"""Somebody who can write to Redis, but has no key, can do nothing with encrypted data."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from functools import partial

import pytest
import redis
from cryptography.fernet import Fernet

from channels_classic.layers.types import Turn
from tests.conftest import LayerOn

KEYS = ["one key", "an older key"]
FAR_FUTURE = b"%016d" % (4_000_000_000 * 1_000_000)


@pytest.fixture
def make_layer(redis_url: str, layer_on: LayerOn) -> LayerOn:
    return partial(layer_on, [redis_url], symmetric_encryption_keys=KEYS)


def outlive(seconds: float) -> None:
    end = time.monotonic() + seconds + 0.05
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)


CHANNELS = [
    ("queue", "queue"),
    ("body?x", "body?x"),
    ("interface.one!client", "interface.one!"),
    ("interface.two!client", "interface.two!"),
]


@pytest.mark.parametrize(("source", "read_source"), CHANNELS)
@pytest.mark.parametrize(("target", "read_target"), [*CHANNELS, ("other", "other")])
def test_a_message_cannot_be_moved(
    make_layer: LayerOn,
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    source: str,
    read_source: str,
    target: str,
    read_target: str,
) -> None:
    layer = make_layer()
    layer.send(source, {"secret": 1})
    client.rename(f"asgi:queue:{read_source}", f"asgi:queue:{read_target}")
    with caplog.at_level(logging.ERROR, "django.channels"):
        received = layer.receive([read_target])
    if source == target:
        assert received == (source, {"secret": 1})
    else:
        assert received == (None, None)
        assert "was dropped" in caplog.text
        assert "another place" in caplog.text


@pytest.mark.parametrize("given_back", [False, True], ids=["once", "given back"])
@pytest.mark.parametrize(("channel", "read"), CHANNELS)
def test_a_message_cannot_be_prolonged_or_put_back(
    make_layer: LayerOn, client: redis.Redis, channel: str, read: str, given_back: bool
) -> None:
    layer = make_layer(expiry=0.4)
    layer.send(channel, {"number": 1})
    key = f"asgi:queue:{read}"
    (value,) = client.lrange(key, 0, -1)
    prolonged = FAR_FUTURE + value[16:]
    client.lset(key, 0, prolonged)
    batch = layer.receive_batch([read], 10)
    assert [received.content for received in batch] == [{"number": 1}]
    if given_back:
        layer.give_back(batch)
        (value,) = client.lrange(key, 0, -1)
        prolonged = FAR_FUTURE + value[16:]
        client.delete(key)
    outlive(0.4)
    client.rpush(key, prolonged)
    assert layer.receive_batch([read], 10) == []
    client.rpush(key, prolonged)
    assert layer.receive_batch([read], 1, 0.2) == []


def test_a_message_to_a_group_stays_with_its_process(make_layer: LayerOn, client: redis.Redis) -> None:
    layer = make_layer(expiry=0.4)
    for process in ("one", "two"):
        layer.group_add("group", f"interface.{process}!client")
    layer.group_add("group", "queue")
    assert layer.receive_batch(["interface.one!", "interface.two!"], 10) == []
    layer.send_group("group", {"number": 1})
    values = {name: client.lrange(f"asgi:queue:{name}", 0, -1) for name in ("interface.one!", "queue")}
    assert len(layer.receive_batch(["interface.one!", "interface.two!", "queue"], 10)) == 3
    for source, target in (
        ("interface.one!", "interface.two!"),
        ("queue", "interface.two!"),
        ("interface.one!", "queue"),
    ):
        client.rpush(f"asgi:queue:{target}", *values[source])
        assert layer.receive_batch([target], 10) == []
    outlive(0.4)
    for name, of_queue in values.items():
        client.rpush(f"asgi:queue:{name}", *(FAR_FUTURE + value[16:] for value in of_queue))
        assert layer.receive_batch([name], 10) == []


def test_a_change_of_membership_cannot_be_moved(make_layer: LayerOn, client: redis.Redis) -> None:
    layer = make_layer()
    layer.group_add("group", "interface.one!client")
    client.rename("asgi:queue:interface.one!", "asgi:queue:interface.two!")
    assert layer.receive_batch(["interface.two!"], 10) == []
    assert layer.joined() == []


def test_a_message_that_waited_for_its_turn_arrives(make_layer: LayerOn) -> None:
    """It waits longer than messages live, and gets a new time of expiry in its queue."""
    layer = make_layer(expiry=0.3)
    assert layer.enter_turn(Turn("interface.one!client", 0, "frames"), {"order": 0})
    assert not layer.enter_turn(Turn("interface.one!client", 1, "frames"), {"order": 1})
    outlive(0.3)
    layer.send_batch([layer.end_of_turn("interface.one!client", 0)])
    assert layer.receive(["frames"]) == ("frames", {"order": 1})


def test_a_value_stays_under_its_name(
    make_layer: LayerOn, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer()
    layer.set_value("session of the admin", b"admin", 60, replace=False)
    layer.set_value("session of a guest", b"guest", 60, replace=False)
    client.copy("asgi:value:session of the admin", "asgi:value:session of a guest", replace=True)
    with caplog.at_level(logging.ERROR, "django.channels"):
        assert layer.get_value("session of a guest") is None
    assert "another place" in caplog.text
    assert layer.get_value("session of the admin") is not None


def test_values_and_messages_cannot_be_exchanged(make_layer: LayerOn, client: redis.Redis) -> None:
    layer = make_layer()
    layer.send("name", {})
    (value,) = client.lrange("asgi:queue:name", 0, -1)
    client.set("asgi:value:name", value[16:])
    assert layer.get_value("name") is None
    client.delete("asgi:queue:name", "asgi:value:name")
    layer.set_value("queue:name", b"m\x00\x80", 60, replace=False)
    client.rpush("asgi:queue:name", FAR_FUTURE + client.get("asgi:value:queue:name"))
    assert layer.receive(["name"]) == (None, None)


def test_tokens_of_older_versions_are_refused(
    make_layer: LayerOn, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(KEYS[0].encode()).digest()))
    client.rpush("asgi:queue:name", FAR_FUTURE + fernet.encrypt(b"m\x00\x80"))
    client.set("asgi:value:name", fernet.encrypt(b"value"))
    layer = make_layer()
    with caplog.at_level(logging.ERROR, "django.channels"):
        assert layer.receive(["name"]) == (None, None)
        assert layer.get_value("name") is None
    assert caplog.text.count("older version of channels-classic") == 2


def test_keys_can_be_exchanged(redis_url: str, make_layer: LayerOn, layer_on: LayerOn) -> None:
    old = layer_on([redis_url], symmetric_encryption_keys=KEYS[1:])
    old.send("test", {"number": 1})
    old.set_value("name", b"value", 60, replace=False)
    layer = make_layer()
    assert layer.receive(["test"]) == ("test", {"number": 1})
    assert (layer.get_value("name") or (None,))[0] == b"value"
