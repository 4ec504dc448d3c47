"""A Redis server of a test's own, and a look into the one that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from channels_classic.layers import RedisChannelLayer
from tests.conftest import LayerOn
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """Three nodes, which tests share: each takes prefixes of its own."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that the test may stop, or configure."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def layer(server: RedisServer, layer_on: LayerOn) -> RedisChannelLayer:
    """A layer on that server."""
    return layer_on([server.url])


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Looks into the server that the layers of a test use; it is empty at first."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
