"""``--mount``: applications in the process of the interface server, beside what workers serve."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.interface_server.backend import Backend
from tests.interface_server.program.served import Serve, refused
from tests.project import DEADLINE

APPLICATION = """\
import asyncio

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("application started", flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("application stopped", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        if scope["path"] == "/async/error":
            raise RuntimeError("this application fails")
        body = (await receive())["body"]
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(3):
            text = b"%d %s %s " % (number, scope["path"].encode(), body)
            await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        while (event := await receive())["type"] == "websocket.receive":
            if event["text"] == "fail":
                raise RuntimeError("this application fails")
            await send({"type": "websocket.send", "text": scope["path"] + " " + event["text"]})

not_callable = 1
"""


@pytest.fixture(autouse=True)
def application(tmp_path: Path) -> None:
    (tmp_path / "mounted.py").write_text(APPLICATION)


def test_both_worlds_in_one_process(serve: Serve, backend: Backend) -> None:
    served = serve("--mount", "/async=mounted:application")
    assert served.get("/asynchronous").json()["path"] == "/asynchronous"
    for path in ("/async", "/async/deep%20er"):
        answer = served.post(path, content=b"body").text
        assert answer == "".join(f"{number} {path.replace('%20', ' ')} body " for number in range(3))
    with served.connect("/async/ws", subprotocols=["chat"]) as mounted, served.connect("/ws") as classic:
        for number in range(3):
            mounted.send(f"hello {number}")
            classic.send(f"hello {number}")
            assert mounted.recv(DEADLINE) == f"/async/ws hello {number}"
            assert classic.recv(DEADLINE) == f"hello {number}"
    assert served.stop() == 0
    assert "application started" in served.program.log
    assert "application stopped" in served.program.log


def test_an_application_that_fails_ends_its_client_only(serve: Serve, backend: Backend) -> None:
    served = serve("--mount", "/async=mounted:application")
    with served.connect("/ws") as classic:
        assert served.get("/async/error").status_code == 500
        with served.connect("/async/ws") as mounted:
            mounted.send("fail")
            with pytest.raises(ConnectionClosed):
                mounted.recv(DEADLINE)
        classic.send("still there")
        assert classic.recv(DEADLINE) == "still there"
    assert "this application fails" in served.program.log


def test_without_a_worker_the_rest_is_refused_and_the_mounted_served(serve: Serve) -> None:
    served = serve("--mount", "/async=mounted:application", "--websocket-handshake-timeout", "0.2")
    assert served.get("/async/").status_code == 200
    with pytest.raises(InvalidStatus):
        served.connect("/ws")
    with served.connect("/async/ws") as mounted:
        mounted.send("hello")
        assert mounted.recv(DEADLINE) == "/async/ws hello"


def test_several_processes_have_it_each(serve: Serve, backend: Backend) -> None:
    served = serve("--mount", "/async=mounted:application", "--processes", "2", processes=2)
    for _ in range(4):
        assert served.get("/async/").text.startswith("0 /async/ ")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["async=mounted:application"], "--mount must be PATH=MODULE:APPLICATION"),
        (["/async"], "--mount must be PATH=MODULE:APPLICATION"),
        (
            ["/async=mounted"],
            "The application must be given as MODULE:APPLICATION, not 'mounted'.",
        ),
        (["/async=missing:application"], "--mount /async: Cannot import the application 'missing:application'"),
        (["/async=mounted:not_callable"], "should be an ASGI application, but is of type int."),
        (["/a=mounted:application", "/a=mounted:application"], "--mount /a is given twice"),
    ],
)
def test_what_cannot_be_mounted_is_said_in_one_line(tmp_path: Path, values: list[str], text: str) -> None:
    options = [option for value in values for option in ("--mount", value)]
    code, output = refused(tmp_path, "--redis", "redis://127.0.0.1", *options)
    assert code == 1
    assert text in output
    assert len(output.splitlines()) == 1
