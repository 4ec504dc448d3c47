"""What any test may ask for. Fixtures of one subject stand in the ``conftest.py`` beside its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for all tests that leave it running; one that stops it starts a ``RedisServer`` of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of that Redis, with nothing in it."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def redis_servers(redis_server: RedisServer) -> Iterator[list[str]]:
    """The URLs of three servers, the first of them that of ``redis_server``."""
    with RedisServer() as second, RedisServer() as third:
        yield [redis_server.url, second.url, third.url]
