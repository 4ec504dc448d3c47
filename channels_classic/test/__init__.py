"""Helpers for the tests of projects (specification, section 11): layers in memory, clients, a live server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic.lazy import lazy_names

if TYPE_CHECKING:
    from channels_classic.test.cases import ChannelTestCase as ChannelTestCase
    from channels_classic.test.cases import ChannelTestCaseMixin as ChannelTestCaseMixin
    from channels_classic.test.cases import TransactionChannelTestCase as TransactionChannelTestCase
    from channels_classic.test.client import Client as Client
    from channels_classic.test.layers import in_memory_layers as in_memory_layers
    from channels_classic.test.liveserver import ChannelLiveServerTestCase as ChannelLiveServerTestCase
    from channels_classic.test.routes import apply_routes as apply_routes
    from channels_classic.test.websocket import HttpClient as HttpClient
    from channels_classic.test.websocket import WSClient as WSClient

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "ChannelTestCaseMixin",
    "Client",
    "HttpClient",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
    "in_memory_layers",
]

# Imported when first used, because most tests need no server.
__getattr__ = lazy_names(
    __name__,
    {
        "ChannelLiveServerTestCase": "channels_classic.test.liveserver",
        "ChannelTestCase": "channels_classic.test.cases",
        "ChannelTestCaseMixin": "channels_classic.test.cases",
        "Client": "channels_classic.test.client",
        "HttpClient": "channels_classic.test.websocket",
        "TransactionChannelTestCase": "channels_classic.test.cases",
        "WSClient": "channels_classic.test.websocket",
        "apply_routes": "channels_classic.test.routes",
        "in_memory_layers": "channels_classic.test.layers",
    },
)
