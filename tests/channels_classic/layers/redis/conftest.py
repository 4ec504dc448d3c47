"""A Redis server of a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channels_classic.layers import RedisChannelLayer
from tests.redis_server import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that the test may stop, or configure."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def layer(server: RedisServer) -> Iterator[RedisChannelLayer]:
    """A layer on that server."""
    layer = RedisChannelLayer([server.url])
    yield layer
    layer.close()
