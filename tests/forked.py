"""Programs of this project as their users start them, for a small part of the CPU: forks of ``fork_server.py``.

``FRESH_PROGRAMS=1`` in the environment gives each program and its children new interpreters instead. What a fork
cannot be has one always: another executable, code after ``-c``, options of Python, another ``PYTHONPATH``.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[1]

MODULES = ("django", "interface_server", "worker")
"""Those that are run by ``-m`` in a fork."""

SCRIPTS = ("channels-interface", "channels-worker")
"""Those of this project, beside the interpreter."""

OF_EVERY_PROGRAM = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
"""The variables for Python that a fork follows."""


class Forked:
    """A program, with what the tests use of ``subprocess.Popen``.

    Arguments:
        status: the pipe with its pid, and its wait status at the end.
    """

    def __init__(self, args: Sequence[str], status: int) -> None:
        self.args = args
        self.returncode: int | None = None
        self._status = status
        self._lock = threading.Lock()
        self.pid = self._read()

    def poll(self) -> int | None:
        """The exit status, or minus the number of the signal that ended it; ``None`` while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        with self._lock:
            if self.returncode is None:
                poll = select.poll()
                poll.register(self._status, select.POLLIN)
                if not poll.poll(None if timeout is None else timeout * 1000):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                self.returncode = os.waitstatus_to_exitcode(self._read())
                os.close(self._status)
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _read(self) -> int:
        number = os.read(self._status, 4)
        assert len(number) == 4, f"{' '.join(self.args)} was not started, or whoever waits for it is gone"
        return int.from_bytes(number, "little")


class ForkServer:
    """The process that forks, for this process of the tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        not_for_it = ("DJANGO_SETTINGS_MODULE", "PYTHONPATH")  # each program has its own
        environment = {name: value for name, value in os.environ.items() if name not in not_for_it}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                cwd=REPOSITORY,
                env=environment,
                pass_fds=[theirs.fileno()],
            )

    def start(self, command: Sequence[str], program: Mapping[str, Any], output: int, errors: int) -> Forked:
        """Start a program."""
        ours, theirs = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._control, [json.dumps(program).encode()], [output, errors, theirs])
        finally:
            os.close(theirs)
        return Forked(command, ours)

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.wait()


Process = subprocess.Popen[bytes] | Forked


def start(
    command: Sequence[object],
    folder: Path,
    environment: Mapping[str, str],
    output: IO[bytes],
    errors: IO[bytes] | None = None,
    **options: Any,
) -> Process:
    """Start a program, in a fork if it can be one.

    Arguments:
        folder: its working directory.
        environment: all of it.
        output: the file for what it prints.
        errors: the file for its standard error. The default is ``output``.
        options: of ``subprocess.Popen``. A program that has some gets a new interpreter.
    """
    parts = [str(part) for part in command]
    errors = errors or output
    if not options and (program := _for_fork(parts, environment)):
        program |= {"command": parts, "folder": str(folder), "environment": dict(environment)}
        return _fork_server().start(parts, program, output.fileno(), errors.fileno())
    return subprocess.Popen(parts, cwd=folder, env=environment, stdout=output, stderr=errors, **options)


def completed(
    command: Sequence[object], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """A program that ends by itself, as ``subprocess.run`` has it.

    Raises:
        subprocess.TimeoutExpired: it does not end within so many seconds.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = start(command, folder, environment, output, errors)
        try:
            status = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(process.args, status, *texts)


def _for_fork(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any] | None:
    """What the fork server has to know of a command; ``None`` if it needs an interpreter of its own."""
    executable, *arguments = command
    script = Path(executable).name in SCRIPTS and Path(executable).parent == Path(sys.executable).parent
    if not (script or executable == sys.executable) or "FRESH_PROGRAMS" in os.environ:
        return None
    of_python = {name for name in environment if name.startswith("PYTHON")}
    if of_python != OF_EVERY_PROGRAM or str(REPOSITORY) not in environment["PYTHONPATH"].split(os.pathsep):
        return None
    if script:
        return {"module": None, "script": executable, "arguments": arguments}
    if arguments[0] == "-u":
        del arguments[0]
    if arguments[0] == "-m" and arguments[1] in MODULES:
        return {"module": arguments[1], "script": "", "arguments": arguments[2:]}
    if arguments[0].endswith("manage.py"):
        return {"module": None, "script": arguments[0], "arguments": arguments[1:]}
    return None


@cache
def _fork_server() -> ForkServer:
    server = ForkServer()
    atexit.register(server.close)
    return server
