"""A layer of a project may raise anything when a message is made. The client gets an error."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from channels_classic.layers import Delivery, InMemoryChannelLayer
from tests.interface_server.hosted import DEADLINE, Hosted, eventually


class BrokenLayer(InMemoryChannelLayer):
    """Cannot make messages for some channels."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = broken

    def prepare(self, channel: str, message: dict[str, Any], *, checked: bool = False) -> Delivery:
        if channel in self.broken:
            raise ZeroDivisionError("a mistake in a project's layer")
        return super().prepare(channel, message, checked=checked)


@pytest.mark.parametrize("content", [b"", b"a body", b"x" * 300_000])
def test_a_request(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Hosted(BrokenLayer("http.request")) as hosted:
        for _ in range(2):
            assert hosted.request("POST", "/page", content=content).result(DEADLINE).status_code == 500
        eventually(lambda: hosted.server.context.reader.clients == 0)
    assert "a mistake in a project's layer" in caplog.text


def test_the_rest_of_a_body(caplog: pytest.LogCaptureFixture) -> None:
    class NoBodies(InMemoryChannelLayer):
        def prepare(self, channel: str, message: dict[str, Any], *, checked: bool = False) -> Delivery:
            if channel.startswith("http.request.body"):
                raise ZeroDivisionError("a mistake in a project's layer")
            return super().prepare(channel, message, checked=checked)

    with Hosted(NoBodies()) as hosted:
        response = hosted.request("POST", "/page", content=b"x" * 700_000)
        assert response.result(DEADLINE).status_code == 500
        eventually(lambda: hosted.server.context.reader.clients == 0)


def test_the_end_of_a_request() -> None:
    with Hosted(BrokenLayer("http.disconnect")) as hosted:
        for _ in range(2):
            response = hosted.get()
            hosted.send(hosted.receive("http.request")["reply_channel"], status=200, content=b"all")
            assert response.result(DEADLINE).content == b"all"
        eventually(lambda: len(hosted.access) == 2)  # the line is written after the answer has gone out


def test_a_handshake() -> None:
    with Hosted(BrokenLayer("websocket.connect")) as hosted:
        error = hosted.dial().exception(DEADLINE)
        assert isinstance(error, InvalidStatus)
        assert error.response.status_code == 500
        eventually(lambda: hosted.server.context.reader.clients == 0)


def test_a_frame() -> None:
    layer = BrokenLayer("websocket.receive")
    with Hosted(layer) as hosted:
        socket, _ = hosted.open()
        other, _ = hosted.open()
        socket.send("hello")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        assert hosted.receive("websocket.disconnect")["code"] == 1011
        layer.broken = ()
        other.send("hello")
        assert hosted.receive("websocket.receive")["text"] == "hello"
