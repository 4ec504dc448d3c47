"""The configuration of the Redis layer, and its reaction to what it cannot use."""

from __future__ import annotations

import logging
from typing import Any

import msgpack
import pytest
import redis

from channels_classic.layers import LayerUnavailable, RedisChannelLayer
from tests.channels_classic.layers.redis.connections.resp_server import RespServer
from tests.conftest import LayerOn
from tests.ports import free_port
from tests.redis_server import RedisServer

FAR_FUTURE = b"9" * 16
"""The time of expiry that stands before every value."""


def works(layer: RedisChannelLayer) -> bool:
    layer.send("test", {"number": 1})
    return layer.receive(["test"]) == ("test", {"number": 1})


# Where the servers are.


def test_hosts_may_be_urls_pairs_and_dicts(redis_server: RedisServer, layer_on: LayerOn) -> None:
    host, port, url = redis_server.host, redis_server.port, redis_server.url
    for server in (
        url,
        (host, port),
        [host, port],
        {"host": host, "port": port},
        {"host": host, "port": port, "db": 1},
        {"url": url},
        {"address": url, "socket_timeout": 10},
        f"{url}?socket_timeout=10",
    ):
        assert works(layer_on([server])), server


def test_a_unix_socket(tmp_path: Any, layer_on: LayerOn) -> None:
    path = f"{tmp_path}/redis.sock"
    with RedisServer(unixsocket=path):
        for server in (f"unix://{path}", {"path": path}, {"unix_socket_path": path, "db": 2}):
            assert works(layer_on([server])), server


def test_connection_kwargs_reach_redis_py(layer_on: LayerOn) -> None:
    with RedisServer(password="secret") as server:
        assert works(layer_on([(server.host, server.port)], connection_kwargs={"password": "secret"}))


def test_databases_of_one_server_are_independent(redis_server: RedisServer, layer_on: LayerOn) -> None:
    first = layer_on([{"host": redis_server.host, "port": redis_server.port, "db": 3}])
    second = layer_on([{"host": redis_server.host, "port": redis_server.port, "db": 4}])
    first.send("test", {})
    assert second.receive(["test"]) == (None, None)
    assert first.receive(["test"]) == ("test", {})


@pytest.mark.parametrize(
    "hosts", ["redis://localhost:6379/0", b"redis://localhost:6379/0", {"host": "localhost"}, {"url": "redis://x"}]
)
def test_a_bare_host_is_refused(hosts: Any) -> None:
    with pytest.raises(ValueError, match=r"hosts must be a list.*\[.*\]"):
        RedisChannelLayer(hosts)


@pytest.mark.parametrize("host", [None, 6379, ("localhost",), ("a", 1, 2), b"redis://localhost"])
def test_an_invalid_host(host: Any) -> None:
    with pytest.raises(ValueError, match="hosts must be a list of URLs"):
        RedisChannelLayer([host])


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost:6379", "", "redis://localhost:port/0"])
def test_a_bad_url_shows_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"redis://|[Pp]ort"):
        RedisChannelLayer([url])


@pytest.mark.parametrize("path", ["/sessions", "/0/1", "/0x1", "/-1", "/1 "])
def test_the_path_of_a_url_is_the_number_of_a_database(path: str) -> None:
    with pytest.raises(ValueError, match="must be the number of a database") as error:
        RedisChannelLayer([f"redis://:secret@localhost{path}"])
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["redis://localhost", "redis://localhost/", "rediss://localhost/15", "unix:///run/redis"]
)
def test_urls_without_a_database_and_with_one(url: str) -> None:
    RedisChannelLayer([url]).close()


# Servers that say no.


def refusal(layer: RedisChannelLayer) -> LayerUnavailable:
    with pytest.raises(LayerUnavailable) as error:
        layer.send("test", {})
    assert "\n" not in str(error.value)
    return error.value


def test_no_server_listens(layer_on: LayerOn) -> None:
    port = free_port()
    error = refusal(layer_on([f"redis://127.0.0.1:{port}/0"]))
    assert str(error).startswith(f"Cannot connect to Redis at 127.0.0.1:{port}, database 0: ")
    assert error.nothing_done


@pytest.mark.parametrize("login", [":wrong@", "", "stranger:secret@"])
def test_wrong_and_missing_passwords(login: str, layer_on: LayerOn) -> None:
    with RedisServer(password="secret") as server:
        layer = layer_on([f"redis://{login}{server.host}:{server.port}/0"])
        error = refusal(layer)
        assert ("Check user and password in hosts." if login else "Write redis://:PASSWORD@HOST") in str(error)
        assert "secret" not in str(error)
        assert error.nothing_done
        with server.client() as administrator:  # found and put right while we run
            administrator.config_set("requirepass", "")
            administrator.acl_setuser("stranger", True, nopass=True, commands=["+@all"], keys=["*"])
        if login != ":wrong@":
            assert works(layer)


def test_a_database_that_does_not_exist(redis_server: RedisServer, layer_on: LayerOn) -> None:
    error = refusal(layer_on([f"redis://{redis_server.host}:{redis_server.port}/99"]))
    assert "database 99" in str(error)
    assert "it has no database of this number. Correct the number in hosts" in str(error)
    assert error.nothing_done


def test_a_redis_that_is_too_old(layer_on: LayerOn) -> None:
    def answer(command: list[bytes]) -> bytes:
        if command[0].upper() == b"INFO":
            information = b"# Server\r\nredis_version:5.0.14\r\nredis_mode:standalone\r\n"
            return b"$%d\r\n%s\r\n" % (len(information), information)
        if command[0].upper() == b"SCRIPT":
            return b"$40\r\n" + b"0" * 40 + b"\r\n"
        if command[0].upper() == b"SELECT":
            return b"+OK\r\n"
        return b"-ERR unknown command `%s`, with args beginning with: \r\n" % command[0]

    with RespServer(answer) as server:
        # In RESP2, the only one that so old a Redis knows; later versions of redis-py try the other one first.
        error = refusal(layer_on([server.url], connection_kwargs={"protocol": 2}))
    assert "is version 5.0.14; the channel layer needs 6.2 or newer" in str(error)
    assert error.nothing_done


def test_a_server_that_is_not_redis(layer_on: LayerOn) -> None:
    with RespServer(lambda command: b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        assert "Redis at 127.0.0.1" in str(refusal(layer_on([server.url])))


def test_another_program_uses_our_keys(
    client: redis.Redis, redis_url: str, layer_on: LayerOn, caplog: pytest.LogCaptureFixture
) -> None:
    client.set("asgi:queue:test", "not a list")
    layer = layer_on([redis_url])
    with pytest.raises(LayerUnavailable, match=r"WRONGTYPE.*Does another program use keys"):
        layer.send("test", {})
    assert layer.receive(["test"]) == (None, None)
    assert "Nothing can be received from 'test': the key asgi:queue:test holds something else." in caplog.text
    assert works(layer_on([redis_url], prefix="other:"))


def test_a_user_without_the_right_to_ask_for_the_version(layer_on: LayerOn) -> None:
    with RedisServer() as server, server.client() as administrator:
        administrator.acl_setuser("site", True, passwords=["+secret"], commands=["+@all", "-info"], keys=["asgi*"])
        assert works(layer_on([f"redis://site:secret@{server.host}:{server.port}/0"]))


def test_a_redis_that_is_out_of_memory(layer_on: LayerOn) -> None:
    with RedisServer(maxmemory="1", maxmemory_policy="noeviction") as server:
        error = refusal(layer_on([server.url]))
    assert error.nothing_done
    assert "is full: its memory has reached maxmemory" in str(error)


# Values that are not messages.

ENVELOPES = {
    "nothing": b"",
    "garbage": b"\x00\xff\xfegarbage",
    "only a kind": b"m",
    "unknown kind": b"x\x00\x80",
    "a name cut short": b"m\x09abc",
    "a name of all that there is": b"m\xff" + msgpack.packb({"a": 1}),
    "a name that is not ASCII": b"m\x02\xc3\xa4\x80",
    "no payload": b"m\x00",
    "a payload cut short": b"m\x00" + msgpack.packb({"key": "value"})[:-2],
    "a list": b"m\x00" + msgpack.packb([1, 2]),
    "a number": b"m\x00" + msgpack.packb(7),
    "two messages": b"m\x00" + msgpack.packb({}) + msgpack.packb({}),
    "a group message cut short": b"g\xff",
    "a join that is not ASCII": b"j\x01g\xff\xff",
}


@pytest.mark.parametrize("stamped", [True, False], ids=["stamped", "bare"])
@pytest.mark.parametrize("channel", ["test", "test?one", "test.process!"])
def test_foreign_entries_are_dropped(
    stamped: bool, channel: str, redis_servers: list[str], layer_on: LayerOn, caplog: pytest.LogCaptureFixture
) -> None:
    for hosts in (redis_servers[:1], redis_servers):
        layer = layer_on(hosts, prefix=f"stranger{len(hosts)}:", stats_prefix=f"stranger-meta{len(hosts)}:")
        values = [FAR_FUTURE * stamped + body for body in ENVELOPES.values()]
        for url in hosts:
            with redis.Redis.from_url(url) as client:
                client.rpush(f"{layer.prefix}queue:{channel}", *values)
        ours = channel + "local" if channel.endswith("!") else channel
        layer.send(ours, {"number": 1})
        layer.channel_statistics(ours)
        with caplog.at_level(logging.ERROR, "django.channels"):
            assert layer.receive([channel], block=True) == (ours, {"number": 1})
        assert all(record.exc_info is None for record in caplog.records)
        if stamped:
            assert repr(channel) in caplog.text
        layer.flush()


def test_foreign_entries_do_not_end_a_wait(
    client: redis.Redis, redis_url: str, layer_on: LayerOn, caplog: pytest.LogCaptureFixture
) -> None:
    layer = layer_on([redis_url])
    for body in ENVELOPES.values():
        client.rpush("asgi:queue:test", body)
        client.rpush("asgi:queue:test", FAR_FUTURE + body)
        assert layer.receive_batch(["test"], 1, timeout=0.01) == []
    assert works(layer)


# Encryption.


def test_messages_are_not_readable(redis_url: str, client: redis.Redis, layer_on: LayerOn) -> None:
    layer = layer_on([redis_url], symmetric_encryption_keys=["key"])
    layer.send("test", {"text": "a secret text"})
    layer.send("test.process!local", {"text": "a secret text"})
    layer.group_add("people", "test.process!local")
    layer.send_group("people", {"text": "a secret text"})
    stored = [value for key in client.scan_iter("asgi:queue:test*") for value in client.lrange(key, 0, -1)]
    assert len(stored) == 4
    for value in stored:
        for word in (b"secret", b"text", b"local", b"people"):
            assert word not in value[16:]
    assert layer.receive(["test"]) == ("test", {"text": "a secret text"})
    for _ in range(2):
        assert layer.receive(["test.process!"]) == ("test.process!local", {"text": "a secret text"})


def test_keys_can_be_changed_without_losing_a_message(redis_url: str, client: Any, layer_on: LayerOn) -> None:
    before = layer_on([redis_url], symmetric_encryption_keys=["old"])
    between = layer_on([redis_url], symmetric_encryption_keys=["new", "old"])
    after = layer_on([redis_url], symmetric_encryption_keys=["new"])
    before.send("test", {"by": "old"})
    between.send("test", {"by": "new"})
    assert between.receive(["test"]) == ("test", {"by": "old"})
    assert after.receive(["test"]) == ("test", {"by": "new"})


@pytest.mark.parametrize("keys", [["another"], None])
def test_a_message_under_an_unknown_key_is_dropped(
    keys: list[str] | None,
    redis_url: str,
    client: redis.Redis,
    layer_on: LayerOn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader = layer_on([redis_url], symmetric_encryption_keys=keys)
    layer_on([redis_url], symmetric_encryption_keys=["key"]).send("test", {})
    assert reader.receive(["test"]) == (None, None)
    assert works(reader)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "A message on 'test' was dropped" in caplog.text


def test_a_layer_with_keys_drops_a_plain_message(
    redis_url: str, client: redis.Redis, layer_on: LayerOn, caplog: pytest.LogCaptureFixture
) -> None:
    layer_on([redis_url]).send("test", {})
    assert layer_on([redis_url], symmetric_encryption_keys=["key"]).receive(["test"]) == (None, None)
    assert "symmetric_encryption_keys" in caplog.text


@pytest.mark.parametrize("keys", ["key", b"key", [1]])
def test_encryption_keys_that_are_not_a_list_of_strings(keys: Any) -> None:
    with pytest.raises(ValueError, match="symmetric_encryption_keys must be a list of strings"):
        RedisChannelLayer(symmetric_encryption_keys=keys)


# Prefixes.


def test_two_prefixes_are_independent(redis_url: str, client: redis.Redis, layer_on: LayerOn) -> None:
    first = layer_on([redis_url], prefix="one:", stats_prefix="one-meta:", capacity=1)
    second = layer_on([redis_url], prefix="two:", stats_prefix="two-meta:", capacity=1)
    for layer in (first, second):
        layer.send("test", {"prefix": layer.prefix})
        layer.group_add("group", f"test.{layer.prefix[:-1]}!local")
        layer.send_group("group", {"prefix": layer.prefix})
    assert first.group_channels("group") == ["test.one!local"]
    assert first.receive(["test", "test.two!"]) == ("test", {"prefix": "one:"})
    assert first.receive(["test", "test.two!"]) == (None, None)
    assert second.channel_statistics("test")["messages_pending"] == 1


@pytest.mark.parametrize("fresh", [0, 1, 3])
@pytest.mark.parametrize("old", [0, 1, 2, 5])
def test_expired_messages_do_not_wait(
    redis_url: str, client: redis.Redis, layer_on: LayerOn, old: int, fresh: int
) -> None:
    layer = layer_on([redis_url])
    for _ in range(old + fresh):
        layer.send("test", {})
    for position in range(old):
        value = client.lindex("asgi:queue:test", position)
        client.lset("asgi:queue:test", position, b"%016d" % 1 + value[16:])
    statistics = layer.channel_statistics("test")
    assert statistics["messages_pending"] == fresh
    assert bool(statistics["messages_max_age"]) == bool(fresh)
    assert statistics["messages_max_age"] < layer.expiry


@pytest.mark.parametrize("prefix", ["as*gi:", "as[gi]:", "as?gi:", "as\\gi:", "as"])
def test_flush_removes_its_prefix_only(
    prefix: str, redis_url: str, client: redis.Redis, layer_on: LayerOn
) -> None:
    others = {"asXgi:test", "asg:test", "ab", "asgi-meta:test", "xas:test"} - (
        {"asXgi:test", "asg:test", "asgi-meta:test"} if prefix == "as" else set()
    )
    for key in others:
        client.set(key, "")
    layer = layer_on([redis_url], prefix=prefix, stats_prefix=f"{prefix}meta:")
    for number in range(50):
        layer.send(f"test{number}", {})
    layer.group_add("group", "test.process!local")
    layer.flush()
    left = {key.decode() for key in client.scan_iter()}
    assert left == others | {f"{prefix}epoch"}
    assert layer.global_statistics() == {"messages_count": 0, "channel_full_count": 0}
