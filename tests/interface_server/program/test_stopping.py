"""The end of the program: in order at the first signal, at once at the second, in time in any case."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually
from tests.interface_server.program.served import Serve, in_a_thread, is_refused
from tests.programs import is_alive
from tests.project import DEADLINE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_ends_it_when_what_runs_is_complete(
    serve: Serve, backend: Backend, number: signal.Signals, processes: int
) -> None:
    served = serve("--processes", processes, processes=processes)
    with served.connect("/socket/") as client, in_a_thread(lambda: served.get("/later/")) as response:
        client.send("hello")
        assert client.recv(DEADLINE) == "hello"
        backend.wait_for("http.request")
        served.program.process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        if processes == 1:
            eventually(lambda: is_refused(served))
        assert served.program.process.poll() is None
        backend.go.set()
        assert response().text == "at last"
        assert served.program.process.wait(DEADLINE) == 0
    disconnect = backend.wait_for("websocket.disconnect")
    assert (disconnect["path"], disconnect["order"]) == ("/socket/", 2)
    backend.wait_for("http.disconnect")
    assert "Traceback" not in served.program.log
    assert not any(is_alive(pid) for pid in served.pids)


def outcome(function: Callable[[], Any]) -> Any:
    """What a client got, or the error that it ended with."""
    try:
        return function()
    except httpx.TransportError as error:
        return error


@pytest.mark.parametrize("processes", [1, 2])
def test_a_second_signal_does_not_wait(serve: Serve, backend: Backend, processes: int) -> None:
    served = serve("--processes", processes, processes=processes)
    with in_a_thread(lambda: outcome(lambda: served.get("/later/"))) as result:
        backend.wait_for("http.request")
        served.program.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(served))
        assert served.stop() == 1
        assert isinstance(result(), httpx.TransportError)
    served.program.wait("Told to stop again")
    assert "GET /later/" in served.program.log
    assert not any(is_alive(pid) for pid in served.pids)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_does_not_finish_in_time_is_cut_off(serve: Serve, backend: Backend, processes: int) -> None:
    served = serve("--processes", processes, "--shutdown-timeout", "0.3", processes=processes)
    with served.connect("/socket/"), in_a_thread(lambda: outcome(lambda: served.get("/later/"))) as result:
        backend.wait_for("http.request")
        assert served.stop() == 1
        assert result().status_code == 503
    assert "Cut off after 0.3 s: GET /later/." in served.program.log
    assert "Traceback" not in served.program.log
    # Goodbyes are delivered all the same.
    backend.wait_for("websocket.disconnect")
    backend.wait_for("http.disconnect")


def test_a_failed_part_ends_the_process(serve: Serve, backend: Backend, tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "broken.py").write_text(
        "from channels_classic.layers import RedisChannelLayer\n"
        "class Broken(RedisChannelLayer):\n"
        "    async def asend_batch(self, deliveries):\n"
        "        if any('fail' in str(delivery) for delivery in deliveries):\n"
        "            raise OverflowError('(34, Numerical result out of range)')\n"
        "        return await super().asend_batch(deliveries)\n"
        f"layer = Broken(hosts=[{redis_url!r}])\n"
    )
    served = serve(layer=("broken:layer",))
    assert served.get("/").status_code == 200
    with served.connect("/socket/") as client:
        response = outcome(lambda: served.get("/fail/"))
        assert isinstance(response, httpx.TransportError) or response.status_code == 503
        with pytest.raises(ConnectionClosed):
            client.recv(DEADLINE)
    assert served.program.process.wait(DEADLINE) == 1
    assert "a part of the interface server failed" in served.program.log


def test_a_supervisor_replaces_a_process_whose_part_failed(
    serve: Serve, backend: Backend, tmp_path: Path, redis_url: str
) -> None:
    (tmp_path / "broken.py").write_text(
        "from channels_classic.layers import RedisChannelLayer\n"
        "class Broken(RedisChannelLayer):\n"
        "    async def asend_batch(self, deliveries):\n"
        "        if any('fail' in str(delivery) for delivery in deliveries):\n"
        "            raise ZeroDivisionError\n"
        "        return await super().asend_batch(deliveries)\n"
        f"layer = Broken(hosts=[{redis_url!r}])\n"
    )
    served = serve("--processes", 2, layer=("broken:layer",), processes=2)
    outcome(lambda: served.get("/fail/"))
    served.program.wait("ended with status 1; another starts")
    served.program.wait(lambda: len(served.pids) == 3)
    eventually(lambda: getattr(outcome(lambda: served.get("/")), "status_code", None) == 200)
    assert served.stop() == 0
