"""The life of an interface server: its start, its end, and outages of its layer."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import interface_server
from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, LayerUnavailable
from interface_server import InterfaceServer
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import DEADLINE, Hosted

Start = Callable[..., Hosted]


async def answer_one(layer: BaseChannelLayer, content: bytes) -> None:
    [request] = await layer.areceive_batch(["http.request"], 1, DEADLINE)
    await layer.asend_batch([layer.prepare(request.content["reply_channel"], {"status": 200, "content": content})])


def test_it_works_without_lifespan_events_and_in_successive_event_loops() -> None:
    layer = InMemoryChannelLayer()
    server = InterfaceServer(layer)

    async def exchange() -> None:
        transport = httpx.ASGITransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answering = asyncio.create_task(answer_one(layer, b"hello"))
            response = await client.get("/")
            await answering
        assert response.text == "hello"
        await server.stop()
        await server.stop()

    for _ in range(2):
        asyncio.run(exchange())


def test_headers_that_no_message_can_carry() -> None:
    """Another ASGI server may accept them."""

    async def exchange() -> None:
        layer = InMemoryChannelLayer()
        server = InterfaceServer(layer)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://test") as client:
            response = await client.get("/", headers={"X-Large": "x" * 2**20})
        assert (response.status_code, response.text) == (431, "The headers of the request are too large.")
        assert layer.receive(["http.request", "http.disconnect"]) == (None, None)
        await server.stop()

    asyncio.run(exchange())


def test_a_layer_as_django_settings_make_it() -> None:
    class Wrapper:
        channel_layer = InMemoryChannelLayer()

    assert InterfaceServer(Wrapper()).context.layer is Wrapper.channel_layer  # type: ignore[arg-type]


def test_a_kind_of_connection_that_is_unknown() -> None:
    async def nothing(*args: Any) -> Any:
        pass

    with pytest.raises(ValueError, match="serves http, websocket and lifespan, not 'gopher'"):
        asyncio.run(InterfaceServer(InMemoryChannelLayer())({"type": "gopher"}, nothing, nothing))


def test_its_end_closes_sockets_and_tells_the_layer() -> None:
    with Hosted() as hosted:
        connection, reply_channel = hosted.open("/open")
        hosted.layer.group_add("everyone", reply_channel)
        hosted.stop()
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in (1001, 1012)
        assert hosted.receive("websocket.disconnect")["path"] == "/open"
        assert hosted.layer.group_channels("everyone") == []


class FullDisk(list[Any]):
    """Takes no line."""

    def append(self, line: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_access_log_that_cannot_be_written_ends_nobody(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    hosted = start()
    hosted.access = FullDisk()
    response = hosted.get()
    hosted.send(hosted.receive("http.request")["reply_channel"], status=200, content=b"page")
    assert response.result(DEADLINE).text == "page"
    connection, reply_channel = hosted.open()
    hosted.send(reply_channel, text="hello")
    assert connection.recv(timeout=DEADLINE) == "hello"
    connection.close()
    assert hosted.receive("websocket.disconnect")["code"] == 1000
    [line] = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert line.startswith("A line of the access log could not be written: OSError(28, ")


def test_its_end_lets_exchanges_finish() -> None:
    with Hosted() as hosted:
        response = hosted.get("/late")
        request = hosted.receive("http.request")
        stopping = hosted.call(hosted.stop)
        hosted.send(request["reply_channel"], status=200, content=b"in the end")
        assert response.result(DEADLINE).text == "in the end"
        stopping.result(DEADLINE)
        assert hosted.receive("http.disconnect")["path"] == "/late"


def test_an_outage_of_the_layer(start: Start) -> None:
    layer = FlakyLayer()
    hosted = start(layer)
    connection, reply_channel = hosted.open()
    layer.outage = LayerUnavailable("It is gone.", nothing_done=True)
    assert hosted.get().result(DEADLINE).status_code == 503
    connection.send("kept")
    assert hosted.get().result(DEADLINE).status_code == 503
    layer.outage = None
    assert hosted.receive("websocket.receive")["text"] == "kept"
    hosted.send(reply_channel, text="still there")
    assert connection.recv(timeout=DEADLINE) == "still there"
    response = hosted.get()
    hosted.send(hosted.receive("http.request")["reply_channel"], status=200, content=b"back")
    assert response.result(DEADLINE).text == "back"


class BrokenLayer(InMemoryChannelLayer):
    """A layer with a bug that appears on demand."""

    def __init__(self, broken: str) -> None:
        super().__init__()
        self.is_broken = False
        setattr(self, broken, partial(self._meet_the_bug, getattr(self, broken)))

    async def _meet_the_bug(self, call: Callable[..., Any], *args: Any) -> Any:
        while not self.is_broken:
            if (answer := await call(*args[:2], *(min(timeout, 0.01) for timeout in args[2:]))) or len(args) < 3:
                return answer
        raise RuntimeError("a bug in the layer")


@pytest.mark.parametrize("broken", ["areceive_batch", "asend_batch", "arelease"])
def test_nobody_waits_after_a_part_has_failed(start: Start, caplog: pytest.LogCaptureFixture, broken: str) -> None:
    layer = BrokenLayer(broken)
    hosted = start(layer)
    sockets = [hosted.open("/open"), hosted.open("/leaves")]
    waiting = [hosted.get("/waits"), hosted.get("/waits long")]
    for _ in waiting:
        hosted.receive("http.request")
    streaming = hosted.get("/streams")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    hosted.send(reply_channel, status=200, content=b"begin", more_content=True)
    handshake = hosted.dial("/undecided")
    hosted.receive("websocket.connect")
    time.sleep(1.2)  # from now on exchanges are on the slow path
    layer.is_broken = True
    if broken == "asend_batch":
        sockets[1][0].send("hello")
    elif broken == "arelease":
        sockets[1][0].close()
    with pytest.raises(ConnectionClosed) as closed:
        sockets[0][0].recv(timeout=DEADLINE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert [one.result(DEADLINE).status_code for one in waiting] == [503, 503]
    with pytest.raises(httpx.RemoteProtocolError):
        streaming.result(DEADLINE)
    for dialled in (handshake, hosted.dial("/new")):
        with pytest.raises(InvalidStatus) as refused:
            dialled.result(DEADLINE)
        assert refused.value.response.status_code == 503
    assert hosted.get("/new").result(DEADLINE).status_code == 503
    assert hosted.request("POST", "/new", content=b"body").result(DEADLINE).status_code == 503
    assert hosted.server.context.failed.is_set()
    [record] = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert record.name == "django.channels"
    assert "this process serves nothing any more" in record.getMessage()
    assert record.exc_info is not None
    assert "a bug in the layer" in str(record.exc_info[1])
    hosted.stop()


PACKAGE = Path(interface_server.__file__).parent


def test_it_never_imports_django() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path.stem != "__main__"]
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]
    imports = "".join(f"import {module.removesuffix('.__init__')}\n" for module in modules)
    program = f"import sys\n{imports}\nassert not [name for name in sys.modules if name.startswith('django')]"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE)
