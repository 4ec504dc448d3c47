"""A small project in a folder of its own, whose ``manage.py`` runs in a new process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests import forked
from tests.forked import REPOSITORY, Process
from tests.ports import free_port

DEADLINE = 60  # seconds after which what should happen has not happened

# These variables are meant for the tests' own Django.
NOT_HANDED_ON = ("DJANGO_SETTINGS_MODULE", "PYTHONPATH", "REDIS_URL", "PYTEST_ADDOPTS", "PYTHONWARNINGS")

FOR_PROGRAMS = {
    # The programs run the code beside these tests, whatever is installed.
    "PYTHONPATH": str(REPOSITORY),
    "PYTHONUNBUFFERED": "1",
    # A test may write a module again within the second and at the same length, which to Python is the same module.
    "PYTHONDONTWRITEBYTECODE": "1",
}

MANAGE = """\
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
"""
"""The ``manage.py`` of a project whose package is ``myproject``."""

LEGACY_MANAGE = f"import channels_classic.legacy\n{MANAGE}"
"""The same of a project of long ago, which is what it was but for this line."""


class Project:
    """A folder with a project in it.

    Arguments:
        folder: where; it must exist.
        files: texts by path, which may be indented as a whole.
        executable: the Python that runs it.
    """

    def __init__(
        self, folder: Path, files: Mapping[str, str] | None = None, executable: str = sys.executable
    ) -> None:
        self.folder = folder
        self.executable = executable
        kept = {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON}
        self.environment = {**kept, **FOR_PROGRAMS}
        self.write(files or {})

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text))

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder, and wait for its end."""
        return forked.completed([self.executable, *arguments], self.folder, self.environment, DEADLINE)

    def manage(self, *arguments: str) -> str:
        """Run a command that has to succeed. Returns its output."""
        done = self.python("manage.py", *arguments)
        if done.returncode:
            pytest.fail(f"manage.py {' '.join(arguments)}:\n{done.stdout}{done.stderr}", pytrace=False)
        return done.stdout + done.stderr

    @contextmanager
    def running(
        self, *arguments: str, program: Sequence[str] = ("manage.py",), log: str = "log.txt"
    ) -> Iterator[Running]:
        """A program with these arguments, until the end of the block."""
        file = self.folder / log
        with file.open("wb") as output:
            command = [self.executable, "-u", *program, *arguments]
            process = forked.start(command, self.folder, self.environment, output)
        running = Running(process, file)
        try:
            yield running
        finally:
            running.end()

    @contextmanager
    def served(self, *options: str) -> Iterator[Site]:
        """``manage.py runserver``, answering, until the end of the block."""
        port = free_port()
        command = ["runserver", "--noreload", *options, f"127.0.0.1:{port}"]
        with self.running(*command, log="server.txt") as server, Site(port, server) as site:
            server.wait(site.listens)
            yield site


class Running:
    """A process, and what it has printed so far."""

    def __init__(self, process: Process, file: Path) -> None:
        self.process = process
        self._file = file

    @property
    def log(self) -> str:
        return self._file.read_text(errors="replace")

    def wait(self, condition: object) -> None:
        """Wait until ``condition()`` is true, or a text has been printed."""
        deadline = time.monotonic() + DEADLINE
        while not (condition() if callable(condition) else str(condition) in self.log):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Waited in vain for {condition}. Printed was:\n{self.log}", pytrace=False)
            time.sleep(0.02)

    def end(self) -> int:
        """Stop it as its developer would, by Ctrl-C."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Site:
    """A served project, for clients."""

    def __init__(self, port: int, server: Running) -> None:
        self.port = port
        self.server = server
        url = f"http://127.0.0.1:{port}"
        # To load the certificates that a client trusts takes longer than most requests.
        self.http = httpx.Client(base_url=url, timeout=DEADLINE, trust_env=False, verify=False)

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.http.close()

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @contextmanager
    def connect(self, path: str = "/", **headers: str) -> Iterator[Socket]:
        """A WebSocket with these headers, open until the end of the block."""
        with connect(
            f"ws://127.0.0.1:{self.port}{path}",
            additional_headers=headers,
            open_timeout=DEADLINE,
            compression=None,
            proxy=None,
        ) as connection:
            yield Socket(connection)


class Socket:
    """A WebSocket whose ``recv`` does not wait forever."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, data: str | bytes) -> None:
        self._connection.send(data)

    def recv(self) -> str | bytes:
        return self._connection.recv(DEADLINE)
