"""The programs of the show: starts them, sends them signals, and ends them in any case."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 45.0

PORTS = range(30_000, 32_000)
_ports = iter(random.sample(PORTS, len(PORTS)))


class StageError(Exception):
    """The show cannot go on. The text says why."""


class Program:
    """A program and its children.

    Arguments:
        name: the name of its log.
        command: the command line.
        folder: the folder where it runs, and where its log is.
        variables: environment variables on top of the present ones.
    """

    def __init__(
        self, name: str, command: Sequence[object], folder: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """The output so far."""
        return self._log.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds.

        Raises:
            StageError: the program ended, or it took too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if not self.is_alive:
                raise StageError(f"{self.name} ended before {what}:\n{self.log[-2000:]}")
            if time.monotonic() > deadline:
                raise StageError(f"{self.name}: {what} did not happen within {START_SECONDS:g} s.")
            time.sleep(0.05)

    def wait_for_lines(self, text: str, count: int) -> None:
        """Wait until it has printed ``count`` lines with a text; see ``wait_until``."""
        self.wait_until(lambda: self.log.count(text) >= count, f"it printed {text!r} {count} times")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, not to its children."""
        if self.is_alive:
            self._process.send_signal(number)

    def stop(self) -> int:
        """End it by SIGTERM, and wait for that. Returns its exit status.

        Raises:
            StageError: it did not end.
        """
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise StageError(f"{self.name} did not end within {STOP_SECONDS:g} s of SIGTERM.") from None

    def kill(self) -> None:
        """Kill it and its children at once."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


def free_port() -> int:
    """A free port of this machine. The system gives none of these to an outgoing connection."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise StageError("Every port from 30,000 to 32,000 is in use.")
