"""``channels-interface`` in a process of its own, and clients for it."""

from __future__ import annotations

import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.programs import completed
from tests.project import DEADLINE, Running

MODULE = [sys.executable, "-m", "interface_server"]
SCRIPT = Path(sys.executable).with_name("channels-interface")

# To load the certificates that a client trusts takes longer than most requests.
HTTP: dict[str, Any] = {"timeout": DEADLINE, "trust_env": False, "verify": False}

LISTENS = re.compile(r"Interface server (\d+) listens on (\S+), channel layer (\w+)\.")


class Served:
    """An interface server in a process of its own, and clients for it."""

    def __init__(self, program: Running) -> None:
        self.program = program

    @property
    def pids(self) -> list[int]:
        """The processes that have logged their address, in order."""
        return [int(pid) for pid, _, _ in LISTENS.findall(self.program.log)]

    @property
    def url(self) -> str:
        found = LISTENS.search(self.program.log)
        assert found
        return found[2]

    def get(self, path: str = "/", **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, **(HTTP | options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, **(HTTP | options))

    def connect(self, path: str = "/", **options: Any) -> ClientConnection:
        options = {"compression": None, "proxy": None, "open_timeout": DEADLINE, **options}
        return connect(self.url.replace("http", "ws", 1) + path, **options)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.program.process.send_signal(number)
        return self.program.process.wait(DEADLINE)


Serve = Callable[..., Served]


def refused(folder: Path, *options: object, **variables: str) -> tuple[int, str]:
    """The status and the one line with which the program ends, given ``options``."""
    done = completed([*MODULE, *options], folder, variables)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


def is_refused(served: Served) -> bool:
    host, port = served.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) != 0


@contextmanager
def in_a_thread(function: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Runs ``function`` in a thread. Returns a function that waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()

    def result() -> Any:
        thread.join(DEADLINE)
        return results[0]

    yield result
    thread.join(DEADLINE)
