"""One Redis for all stacks, on a free port and without persistence. It ends with the run."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator

import redis

from benchmarks.processes import Process, StackError, free_port

START_TIMEOUT = 10.0
"""Seconds within which Redis has to answer."""


class RedisServer:
    """The shared Redis, for the suite.

    :param url: where it listens.
    """

    def __init__(self, url: str) -> None:
        """Make the connection that the suite itself uses."""
        self.url = url
        self._client = redis.Redis.from_url(url, decode_responses=True)

    def wait_until_ready(self, process: Process) -> None:
        """Wait until Redis answers.

        :raises StackError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with contextlib.suppress(redis.ConnectionError):
                self._client.ping()
                return
            process.check_alive()
            if time.monotonic() > deadline:
                raise StackError(f"Redis did not answer on {self.url} within {START_TIMEOUT:g} s")
            time.sleep(0.05)

    def cpu_seconds(self) -> float:
        """The CPU time Redis has used so far, user and system, in seconds."""
        used = self._client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def empty(self) -> None:
        """Delete every key, so that no stack finds what another one has left."""
        self._client.flushall()

    def version(self) -> str:
        """The version of the server."""
        return str(self._client.info("server")["redis_version"])


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run the ``redis-server`` on the PATH until the end of the block."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        options = [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            folder,
        ]
        with Process("redis", [_executable(), *options]) as process:
            server = RedisServer(f"redis://127.0.0.1:{port}/0")
            server.wait_until_ready(process)
            yield server


def _executable() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise StackError("no redis-server on the PATH: install Redis, or let `make bench` bring one along")
    return found
