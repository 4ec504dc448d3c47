"""The options with which redis-py connects."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest
import redis
import redis.asyncio

from channels_classic.layers.redis.connections.addresses import Address

needs_driver_info = pytest.mark.skipif(
    not hasattr(redis, "DriverInfo"), reason="This version of redis-py looks for its own version once."
)
HOSTS = ["redis://localhost:6379/0", "unix:///tmp/redis.sock", ("localhost", 6379), {"unix_socket_path": "/tmp/s"}]


@needs_driver_info
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("module", [redis, redis.asyncio])
def test_a_connection_does_not_look_for_the_version_of_redis_py(
    host: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    monkeypatch.setattr(importlib.metadata, "version", lambda name: looked.append(name) or "0")
    pool = Address(host, {}).pool(module)
    driver = pool.connection_class(**pool.connection_kwargs).driver_info
    assert not looked
    assert driver.lib_version == redis.__version__


@needs_driver_info
@pytest.mark.filterwarnings("ignore:.*lib_name:DeprecationWarning")
@pytest.mark.parametrize("host", ["redis://localhost:6379/0?lib_name=ours", {"host": "h", "lib_name": "ours"}])
def test_a_name_that_the_project_gives_stays(host: Any) -> None:
    pool = Address(host, {}).pool(redis)
    assert pool.connection_class(**pool.connection_kwargs).driver_info.name == "ours"
