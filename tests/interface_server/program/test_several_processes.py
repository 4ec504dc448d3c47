"""``--processes``: one that dies is replaced, SIGHUP renews them, a signal ends them all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from channels_classic.processes.signals import HURRY
from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually
from tests.interface_server.program.served import Serve, Served, in_a_thread
from tests.programs import children_of, is_alive
from tests.project import DEADLINE


def test_several_processes(serve: Serve, backend: Backend) -> None:
    served = serve("--processes", 2, "--access-log", "-", processes=2)
    first, second = served.pids
    assert set(children_of(served.program.process.pid)) >= {first, second}

    # Both serve: while one is stopped, the other one answers all.
    for stopped in (first, second):
        os.kill(stopped, signal.SIGSTOP)
        try:
            eventually(lambda: answers_at_once(served))
        finally:
            os.kill(stopped, signal.SIGCONT)

    os.kill(first, signal.SIGKILL)
    served.program.wait("another starts")
    served.program.wait(lambda: len(served.pids) == 3)
    assert served.get("/").status_code == 200
    assert is_alive(second)
    os.kill(second, signal.SIGKILL)
    served.program.wait(lambda: len(served.pids) == 4)
    assert served.get("/").status_code == 200
    assert served.stop() == 0
    assert not any(is_alive(pid) for pid in served.pids)


def answers_at_once(served: Served) -> bool:
    """Whether a connection was taken by a process that runs."""
    try:
        return httpx.get(served.url, timeout=1, trust_env=False, verify=False).status_code == 200
    except httpx.TimeoutException:
        return False


def test_sighup_renews_the_processes(serve: Serve, backend: Backend) -> None:
    served = serve("--processes", 2, processes=2)
    former = served.pids
    with in_a_thread(lambda: served.get("/later/")) as response, served.connect() as client:
        backend.wait_for("http.request")
        served.program.process.send_signal(signal.SIGHUP)
        served.program.wait("The interface server processes are renewed.")
        assert served.get("/").status_code == 200
        with pytest.raises(ConnectionClosed):
            client.recv(DEADLINE)
        backend.go.set()
        assert response().text == "at last"
    eventually(lambda: not any(is_alive(pid) for pid in former))
    assert len([pid for pid in served.pids if is_alive(pid)]) == 2
    assert served.stop() == 0


def test_processes_do_not_outlive_their_supervisor(serve: Serve) -> None:
    served = serve("--processes", 2, processes=2)
    served.stop(signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in served.pids))


def test_a_process_that_ends_early_leaves_the_unix_socket_to_the_others(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "interface.socket"
    served = serve("--processes", 2, "--unix-socket", path, port=(), processes=2)
    first = served.pids[0]
    os.kill(first, HURRY)
    served.program.wait("One interface server process ended")  # later, it would count as a failure to stop
    assert path.exists()
    assert served.stop() == 0
    assert not path.exists()
