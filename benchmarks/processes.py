"""Server processes: started in their own process group, measured, and ended in any case."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from benchmarks.environments import WORKSPACE
from benchmarks.stacks import SITES, Stack

START_TIMEOUT = 30.0
"""Seconds within which a stack has to serve its first request."""

STOP_TIMEOUT = 5.0
"""Seconds a process gets between SIGTERM and SIGKILL."""


class StackError(Exception):
    """A stack cannot be measured. The text goes into the table."""


class Process:
    """One server process and its children, for the time of a ``with`` block.

    :param name: the name of its log under ``.bench/logs``.
    :param arguments: the command line.
    :param folder: where it starts in.
    :param environment: variables on top of the suite's own.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Declare the process; nothing is started yet."""
        self.log = WORKSPACE / "logs" / f"{name}.log"
        self._arguments = list(arguments)
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}

    def __enter__(self) -> Process:
        """Start the process in a process group of its own."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    self._arguments,
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise StackError(f"{self._arguments[0]} cannot be started: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process by SIGTERM, then by SIGKILL for all that is left of its group."""
        try:
            if self._process.poll() is None:
                self._process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_TIMEOUT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def check_alive(self) -> None:
        """Check that the process runs.

        :raises StackError: it has ended; the text has its exit code and its last words.
        """
        code = self._process.poll()
        if code is not None:
            raise StackError(f"{self.log.stem} ended with code {code}: {self.last_words()}")

    def last_words(self) -> str:
        """The last line of the log that is not empty."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "(it said nothing)"

    def cpu_seconds(self) -> float:
        """The CPU time used so far by the process and its children, user and system, in seconds."""
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                used = process.cpu_times()
                total += used.user + used.system + used.children_user + used.children_system
        return total

    def memory(self) -> int:
        """The resident memory of the process and its children, in bytes."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


class Servers:
    """The running processes of one stack.

    :param processes: all of them.
    :param port: where the stack listens, on 127.0.0.1.
    """

    def __init__(self, processes: Sequence[Process], port: int) -> None:
        """Hold the processes; they are started and ended by :func:`running`."""
        self.port = port
        self._processes = processes

    def cpu_seconds(self) -> float:
        """The CPU time of all processes so far, in seconds."""
        return sum(process.cpu_seconds() for process in self._processes)

    def memory(self) -> int:
        """The resident memory of all processes, in bytes."""
        return sum(process.memory() for process in self._processes)

    def check_alive(self) -> None:
        """Check that all processes run.

        :raises StackError: one has ended.
        """
        for process in self._processes:
            process.check_alive()

    def wait_until_ready(self, path: str | None) -> None:
        """Wait until a request to the path gets 200 or, with ``None``, until the port is open.

        :raises StackError: a process ended, or the time is over.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers(path):
            self.check_alive()
            if time.monotonic() > deadline:
                words = "; ".join(f"{process.log.stem}: {process.last_words()}" for process in self._processes)
                raise StackError(f"did not serve {path or 'its port'} within {START_TIMEOUT:g} s ({words})")
            time.sleep(0.1)

    def _answers(self, path: str | None) -> bool:
        try:
            if path is None:
                socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
                return True
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", path)
                return connection.getresponse().status == 200
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False


@contextlib.contextmanager
def running(stack: Stack, redis_url: str, kind: str) -> Iterator[Servers]:
    """Run the stack for a kind of load until the end of the block.

    :raises StackError: it does not come up.
    """
    port = free_port()
    fill = {"bin": stack.environment.folder / "bin", "port": port, "redis": redis_url}
    environment = site_environment(stack, redis_url)
    if kind in stack.capacities:
        environment["BENCH_CAPACITY"] = str(stack.capacities[kind])
    with contextlib.ExitStack() as started:
        servers = Servers(
            [
                started.enter_context(
                    Process(
                        f"{stack.name}-{command.name}",
                        command.arguments(**fill),
                        SITES / stack.site,
                        environment,
                    )
                )
                for command in stack.commands
            ],
            port,
        )
        servers.wait_until_ready(stack.ready_path)
        yield servers


def site_environment(stack: Stack, redis_url: str) -> dict[str, str]:
    """The variables that the site's settings read."""
    return {
        "BENCH_REDIS_URL": redis_url,
        "BENCH_LAYER": stack.layer or "",
        "DJANGO_SETTINGS_MODULE": "bench_site.settings",
        "PYTHONPATH": str(SITES / stack.site),
    }


def machine_cpu_seconds() -> float:
    """The CPU time that all programs of the machine have used so far, and that its host took from them."""
    used = psutil.cpu_times()
    return sum(getattr(used, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
