"""The site of these tests, running: an interface server, and workers, in processes of their own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.programs import completed, running
from tests.project import Running

DEADLINE = 1200  # seconds after which what should happen has not happened

OURS = "channels_classic.session_engine"


@contextmanager
def served(site: dict[str, str], folder: Path, **worker_options: int) -> Iterator[tuple[str, Running]]:
    """The interface server and the workers of a site: the address of its sockets, and the workers."""
    site = {**site, "DJANGO_SETTINGS_MODULE": "tests.ordering.settings"}
    done = completed([sys.executable, "-m", "django", "migrate"], folder, site)
    assert done.returncode == 0, done.stderr
    port = free_port()
    interface = [sys.executable, "-m", "interface_server", "--redis", site["LOAD_REDIS"], "--port", port]
    workers = [sys.executable, "-m", "worker"]
    for name, value in worker_options.items():
        workers += [f"--{name}", str(value)]
    with (
        running(interface, folder, "interface.txt", site) as server,
        running(workers, folder, "workers.txt", site) as worker,
    ):
        server.wait("listens")
        worker.wait(lambda: worker.log.count("Worker ") >= worker_options.get("processes", 1))
        yield f"ws://127.0.0.1:{port}/", worker


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
