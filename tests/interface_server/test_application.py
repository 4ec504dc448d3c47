"""The life of an interface server: its start, its end, and what goes on while its layer is away."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

import interface_server
from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, LayerUnavailable, Received
from interface_server import InterfaceServer
from tests.interface_server.flaky import FlakyLayer
from tests.interface_server.hosted import DEADLINE, Hosted
from tests.interface_server.loops import until

Start = Callable[..., Hosted]


async def answer_one(layer: BaseChannelLayer, content: bytes) -> None:
    [request] = await layer.areceive_batch(["http.request"], 1, DEADLINE)
    await layer.asend_batch([layer.prepare(request.content["reply_channel"], {"status": 200, "content": content})])


def test_it_works_where_nobody_sends_lifespan_events_and_in_one_event_loop_after_another() -> None:
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
    """Another ASGI server may let them pass."""

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


def test_a_part_that_dies_is_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(InMemoryChannelLayer):
        async def areceive_batch(self, *args: Any) -> list[Received]:
            raise RuntimeError("a bug in the layer")

    async def scenario() -> None:
        server = InterfaceServer(Broken())
        server.start()
        await until(lambda: caplog.records)
        await server.stop()

    asyncio.run(scenario())
    [record] = caplog.records
    assert (record.levelname, record.name) == ("CRITICAL", "django.channels")
    assert "nothing will be served" in record.getMessage()


PACKAGE = Path(interface_server.__file__).parent


def test_it_never_imports_django() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path.stem != "__main__"]
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]
    imports = "".join(f"import {module.removesuffix('.__init__')}\n" for module in modules)
    program = f"import sys\n{imports}\nassert not [name for name in sys.modules if name.startswith('django')]"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE)
