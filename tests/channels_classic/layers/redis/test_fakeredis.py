"""The conformance suite on fakeredis, a server in this process, for projects whose tests have no Redis.

The layer does not know fakeredis: it only needs another source of connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import TestCase, skip

import redis

from channels_classic.layers import BaseChannelLayer, RedisChannelLayer
from channels_classic.layers.conformance import ConformanceTests

if TYPE_CHECKING:
    import fakeredis  # with NumPy, so the processes that only collect these tests do without it


class FakeSource:
    """The source of connections to a fakeredis."""

    def __init__(self, server: fakeredis.FakeServer) -> None:
        self._server = server

    def pool(self, module: Any) -> Any:
        import fakeredis

        kind = fakeredis.FakeRedisConnection if module is redis else fakeredis.FakeAsyncRedisConnection
        return module.ConnectionPool(connection_class=kind, server=self._server, protocol=2)

    def __str__(self) -> str:
        return "fakeredis"


class TestFakeRedis(ConformanceTests, TestCase):
    def setUp(self) -> None:
        import fakeredis

        super().setUp()
        self.server = fakeredis.FakeServer(version=(7,))

    def make_layer(self, **config: Any) -> BaseChannelLayer:
        return RedisChannelLayer(lambda: [FakeSource(self.server)], **config)

    @skip("BLMOVE of fakeredis waits for the whole timeout, although there is an entry.")
    def test_a_process_receives_on_its_own_channel(self) -> None: ...
