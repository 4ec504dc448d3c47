"""Programs of this project as their users start them: in processes of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import forked
from tests.project import DEADLINE, FOR_PROGRAMS, NOT_HANDED_ON, Running


def environment_with(**variables: str) -> dict[str, str]:
    """This process's environment without what is meant for the tests, and with these variables."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON}
    return {**kept, **FOR_PROGRAMS, **variables}


@contextmanager
def running(
    command: Sequence[object],
    folder: Path,
    log: str = "log.txt",
    variables: dict[str, str] | None = None,
    **options: Any,
) -> Iterator[Running]:
    """A program until the end of the block; what it prints goes to the file ``log`` in ``folder``.

    Arguments:
        variables: of the environment, besides those there are.
        options: of ``subprocess.Popen``.
    """
    file = folder / log
    with file.open("wb") as output:
        process = forked.start(command, folder, environment_with(**(variables or {})), output, **options)
    program = Running(process, file)
    try:
        yield program
    finally:
        program.end()


def completed(
    command: Sequence[object], folder: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A program that ends by itself."""
    return forked.completed(command, folder, environment_with(**(variables or {})), DEADLINE)


def children_of(pid: int) -> list[int]:
    """The processes that this one started and that run; none if it is gone itself."""
    children = read_about(pid, f"task/{pid}/children").split()
    return [int(child) for child in children if is_alive(int(child))]


def is_alive(pid: int) -> bool:
    """Whether the process exists, and is not a zombie."""
    # The name of the program, in parentheses, may itself have spaces and parentheses.
    state = read_about(pid, "stat").rpartition(")")[2].split()
    return bool(state) and state[0] not in ("Z", "X")


def read_about(pid: int, file: str) -> str:
    """The content of a process's file in ``/proc``; nothing if the process is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        # A process may end between the opening of the file and its reading, and a new one may have its number.
        return ""
