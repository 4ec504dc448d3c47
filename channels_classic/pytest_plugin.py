"""Fixtures for pytest (specification, section 11): layers in memory, clients, a live server.

pytest loads this module in every project where channels-classic is installed, so it imports nothing that takes
time or needs Django until a test requests it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from channels_classic.test.client import Client
    from channels_classic.test.liveserver import LiveServer
    from channels_classic.test.websocket import WSClient


@pytest.fixture
def channel_layer() -> Iterator[Any]:
    """The default channel layer. In this test, all layers are new and in memory, with their usual routing."""
    from channels_classic.asgi import channel_layers
    from channels_classic.test.layers import in_memory_layers

    with in_memory_layers():
        yield channel_layers["default"]


@pytest.fixture
def channel_client(channel_layer: Any) -> Client:
    """A ``channels_classic.test.Client`` on layers in memory."""
    from channels_classic.test.client import Client

    return Client()


@pytest.fixture
def ws_client(channel_layer: Any) -> WSClient:
    """A ``channels_classic.test.WSClient`` on layers in memory, with numbered messages like a socket."""
    from channels_classic.test.websocket import WSClient

    return WSClient(ordered=True)


@pytest.fixture
def channel_live_server(request: pytest.FixtureRequest, channel_layer: Any) -> Iterator[LiveServer]:
    """A real interface server with workers, on layers in memory: it has ``url`` and ``ws_url``.

    It requests the fixture ``transactional_db`` of pytest-django, because other threads see only committed data.
    """
    from channels_classic.test.liveserver import live_server

    if request.config.pluginmanager.has_plugin("django"):
        request.getfixturevalue("transactional_db")
    with live_server() as server:
        yield server
