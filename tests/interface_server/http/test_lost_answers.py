"""The connection to Redis breaks after a message has arrived and before the answer: it is not sent again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from channels_classic.layers import RedisChannelLayer
from tests.interface_server.hosted import DEADLINE, Hosted, read_response, read_until_closed
from tests.redis_proxy import RedisProxy

BODY = b"".join(b"%7d," % number for number in range(200_000))
BODY_KEY = b"asgi:queue:http.request.body?"


@pytest.fixture
def proxy(redis_url: str) -> Iterator[RedisProxy]:
    with RedisProxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def far(proxy: RedisProxy, redis_url: str) -> Iterator[Hosted]:
    """A server behind the proxy; the test, in the place of the worker, is connected directly."""
    layer = RedisChannelLayer([redis_url])
    few = {"http.request.body*": 1}
    with Hosted(RedisChannelLayer([proxy.url], channel_capacity=few)) as hosted:
        hosted.layer = layer
        yield hosted
    layer.close()


def upload(far: Hosted) -> socket.socket:
    """A client that has sent a long body."""
    client = far.raw()
    client.sendall(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY))
    return client


def rest_of_body(far: Hosted, request: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The parts on the body channel, and the message that ended them."""
    content = b""
    while (part := far.receive(request["body_channel"])).get("more_content"):
        content += part["content"]
    return content, part


def test_a_part_of_a_body_that_may_have_arrived_ends_the_exchange(proxy: RedisProxy, far: Hosted) -> None:
    proxy.cut_after(BODY_KEY)
    client = upload(far)
    response, content = read_response(client)
    assert (response.status, content) == (503, b"The server lost a part of the request; try again in a moment.")
    request = far.receive("http.request")
    rest, end = rest_of_body(far, request)
    assert BODY.startswith(request["body"] + rest)
    assert end == {"closed": True}
    # The connection lives on, and so does the server.
    client.sendall(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    request = far.receive("http.request")
    far.send(request["reply_channel"], status=200, content=b"back")
    assert read_response(client)[1] == b"back"


def test_an_answer_that_has_begun_is_cut(proxy: RedisProxy, far: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    client = upload(far)
    request = far.receive("http.request")
    far.send(request["reply_channel"], status=200, content=b"so far", more_content=True)
    assert client.recv(65536)
    proxy.cut_after(BODY_KEY)
    assert rest_of_body(far, request)[1] == {"closed": True}
    assert not read_until_closed(client).endswith(b"0\r\n\r\n")
    assert "The answer to POST /up was cut: the channel layer lost a part" in caplog.text


def test_a_request_that_may_have_arrived(proxy: RedisProxy, far: Hosted) -> None:
    proxy.cut_after(b"asgi:queue:http.request")
    response, content = read_response(upload(far))
    assert (response.status, content) == (503, b"The server is busy; try again in a moment.")
    request = far.receive("http.request")
    assert rest_of_body(far, request)[1] == {"closed": True}


def test_a_connect_that_may_have_arrived(proxy: RedisProxy, far: Hosted) -> None:
    """The consumer of the disconnect can undo what the consumer of the connect did."""
    proxy.cut_after(b"asgi:queue:websocket.connect")
    dialled = far.dial()
    with pytest.raises(InvalidStatus) as refused:
        dialled.result(DEADLINE)
    assert refused.value.response.status_code == 503
    reply_channel = far.receive("websocket.connect")["reply_channel"]
    assert far.receive("websocket.disconnect")["reply_channel"] == reply_channel
