"""The conformance suite on the Redis layer: one server and three, with and without encryption, and fakeredis."""

from __future__ import annotations

import itertools
from typing import Any
from unittest import TestCase

import pytest

from channels_classic.layers import BaseChannelLayer, RedisChannelLayer
from channels_classic.layers.conformance import ConformanceTests

_numbers = itertools.count()


class OnRedis(ConformanceTests):
    """On real servers, each test with a prefix of its own."""

    config: dict[str, Any] = {}

    @pytest.fixture(autouse=True)
    def _servers(self, redis_servers: list[str]) -> None:
        self.hosts = redis_servers[:1]

    def setUp(self) -> None:
        super().setUp()
        number = next(_numbers)
        self.prefixes = {"prefix": f"test{number}:", "stats_prefix": f"test-meta{number}:"}

    def make_layer(self, **config: Any) -> BaseChannelLayer:
        return RedisChannelLayer(self.hosts, **self.prefixes, **self.config, **config)


class TestOneServer(OnRedis, TestCase):
    """As most projects have it."""


class TestOneServerEncrypted(OnRedis, TestCase):
    """All that is said in secret."""

    config = {"symmetric_encryption_keys": ["new", "old"]}


class TestThreeServers(OnRedis, TestCase):
    """Shards."""

    @pytest.fixture(autouse=True)
    def _servers(self, redis_servers: list[str]) -> None:
        self.hosts = redis_servers


class TestThreeServersEncrypted(TestThreeServers):
    """Shards that say all in secret."""

    config = {"symmetric_encryption_keys": ["new", "old"]}
