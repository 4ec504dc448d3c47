"""Helpers for the tests of projects (specification, section 11): layers in memory, clients, a live server."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

# Handed on when first used: most tests need no server.
_HOMES = {
    "ChannelLiveServerTestCase": "liveserver",
    "ChannelTestCase": "cases",
    "ChannelTestCaseMixin": "cases",
    "Client": "client",
    "HttpClient": "websocket",
    "TransactionChannelTestCase": "cases",
    "WSClient": "websocket",
    "apply_routes": "routes",
    "in_memory_layers": "layers",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"channels_classic.test.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
