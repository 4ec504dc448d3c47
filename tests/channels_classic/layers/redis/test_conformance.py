"""The conformance suite on the Redis layer: one server, three, and a cluster; with encryption and without."""

from __future__ import annotations

import itertools
from typing import Any
from unittest import TestCase

import pytest

from channels_classic.layers import BaseChannelLayer, RedisChannelLayer
from channels_classic.layers.conformance import ConformanceTests
from tests.redis_cluster import RedisCluster

_numbers = itertools.count()


class OnRedis(ConformanceTests):
    """On real servers, each test with a prefix of its own."""

    config: dict[str, Any] = {}

    @pytest.fixture(autouse=True)
    def _servers(self, redis_servers: list[str]) -> None:
        self.hosts = redis_servers[:1]

    @pytest.fixture(autouse=True)
    def _prefixes(self) -> None:
        number = next(_numbers)
        self.prefixes: dict[str, Any] = {"prefix": f"test{number}:", "stats_prefix": f"test-meta{number}:"}

    def make_layer(self, **config: Any) -> BaseChannelLayer:
        return RedisChannelLayer(self.hosts, **self.prefixes, **self.config, **config)


class TestOneServer(OnRedis, TestCase):
    """The set-up of most projects."""


class TestOneServerEncrypted(OnRedis, TestCase):
    """With encryption."""

    config = {"symmetric_encryption_keys": ["new", "old"]}


class TestThreeServers(OnRedis, TestCase):
    """Shards."""

    @pytest.fixture(autouse=True)
    def _servers(self, redis_servers: list[str]) -> None:
        self.hosts = redis_servers


class TestClusterEncrypted(OnRedis, TestCase):
    """The nodes of a cluster, each with a hash tag, and with encryption."""

    config = {"symmetric_encryption_keys": ["new", "old"]}

    @pytest.fixture(autouse=True)
    def _servers(self, redis_cluster: RedisCluster) -> None:
        self.hosts = redis_cluster.hosts
        self.prefixes = redis_cluster.prefixes(f"test{next(_numbers)}")
