"""The end of the program: in order at the first signal, at once at the second, in time in any case."""

from __future__ import annotations

import signal

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


def test_a_second_signal_does_not_wait(serve: Serve, backend: Backend) -> None:
    served = serve("--processes", 2, processes=2)

    def get() -> object:
        try:
            return served.get("/later/")
        except httpx.TransportError as error:
            return error

    with in_a_thread(get) as result:
        backend.wait_for("http.request")
        served.program.process.send_signal(signal.SIGTERM)
        eventually(lambda: len([pid for pid in served.pids if is_alive(pid)]) == 1)
        assert served.stop() == 0
        assert isinstance(result(), httpx.TransportError)
