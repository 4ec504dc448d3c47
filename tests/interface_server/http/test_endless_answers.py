"""An endless answer whose client leaves: the worker learns it, and its thread is free again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, StreamingHttpResponse

from channels_classic.handler import AsgiHandler, ViewConsumer
from channels_classic.layers import BaseChannelLayer, ChannelFull, InMemoryChannelLayer
from channels_classic.message import Message
from tests.conftest import LayerOn
from tests.http_messages import http_request
from tests.interface_server.hosted import DEADLINE, Hosted, eventually

# The database is for the signals of a request: Django looks then whether its connections are any good.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["memory", "redis"])
def layer(request: pytest.FixtureRequest, layer_on: LayerOn) -> BaseChannelLayer:
    if request.param == "memory":
        return InMemoryChannelLayer()
    return layer_on([request.getfixturevalue("redis_url")])


class Endless:
    """A consumer whose view streams until ``given_up``, and then, or when it is stopped, says ``closed``."""

    def __init__(self, pause: float = 0, send_timeout: float = 60) -> None:
        self.given_up = threading.Event()
        self.closed = threading.Event()

        class Handler(AsgiHandler):
            def get_response(handler, request: HttpRequest) -> Any:
                return StreamingHttpResponse(self.parts(pause))

        self.consumer = ViewConsumer()
        self.consumer.handler_class = Handler
        self.consumer.send_timeout = send_timeout

    def parts(self, pause: float) -> Iterator[bytes]:
        try:
            while not self.given_up.wait(pause):
                yield b"tick\n"
        finally:
            self.closed.set()


@pytest.mark.parametrize("pause", [0, 0.05])
def test_a_client_that_leaves(start: Callable[..., Hosted], layer: BaseChannelLayer, pause: float) -> None:
    hosted = start(layer)
    endless = Endless(pause)
    client = hosted.raw(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
    message = Message(hosted.receive("http.request"), "http.request", layer)
    consuming = hosted.call(endless.consumer, message)
    try:
        received = b""
        while received.count(b"tick") < 2:
            received += client.recv(4096)
        client.close()
        assert endless.closed.wait(DEADLINE)
        consuming.result(DEADLINE)
        eventually(lambda: hosted.server.context.reader.clients == 0)
    finally:
        endless.given_up.set()


def test_an_interface_server_that_was_killed(redis_url: str, layer_on: LayerOn) -> None:
    """Nobody reads its queue any more, so the queue fills up, and the stream ends."""
    layer = layer_on([redis_url], channel_capacity={"interface.*": 20})
    endless = Endless(send_timeout=0.1)
    with pytest.raises(ChannelFull, match=r"'interface\.test!1' is full"):
        endless.consumer(http_request("/endless", layer=layer))
    assert endless.closed.is_set()
