"""The conformance suite on fakeredis: a server in this process, for those who have no Redis for their tests.

Nothing in the layer knows of fakeredis: all it takes is another place for the connections to come from.
"""

from __future__ import annotations

from typing import Any
from unittest import TestCase

import fakeredis
import redis

from channels_classic.layers import BaseChannelLayer, RedisChannelLayer
from channels_classic.layers.conformance import ConformanceTests


class FakeSource:
    """Where the connections to a fakeredis come from."""

    def __init__(self, server: fakeredis.FakeServer) -> None:
        self._server = server

    def pool(self, module: Any) -> Any:
        kind = fakeredis.FakeRedisConnection if module is redis else fakeredis.FakeAsyncRedisConnection
        return module.ConnectionPool(connection_class=kind, server=self._server, protocol=2)

    def __str__(self) -> str:
        return "fakeredis"


class TestFakeRedis(ConformanceTests, TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = fakeredis.FakeServer(version=(7,))

    def make_layer(self, **config: Any) -> BaseChannelLayer:
        return RedisChannelLayer(lambda: [FakeSource(self.server)], **config)
