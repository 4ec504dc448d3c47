"""The ledger: a record of what consumers do, which outlives their process.

Each process appends lines to its own file. A written line is in the memory of the system, so it is not lost if the
process dies.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER_VARIABLE = "CHAOS_LEDGER"


class Entry(NamedTuple):
    """A line of the ledger.

    Arguments:
        time: seconds of the monotonic clock, which all processes of a machine share.
        what: ``connect``, ``run`` or ``disconnect``.
        name: the name of the socket.
        number: the number of the frame, or the code of the disconnect; 0 for a connect.
    """

    time: float
    what: str
    name: str
    number: int


def note(what: str, name: str, number: object = 0) -> None:
    """Write a line into the ledger of this process."""
    os.write(_file(), f"{time.monotonic()} {what} {name} {number}\n".encode())


def read(folder: Path) -> Iterator[Entry]:
    """Read the lines of all processes, in the order of their times."""
    lines = [line.split() for path in folder.iterdir() for line in path.read_text().splitlines()]
    return iter(sorted(Entry(float(line[0]), line[1], line[2], int(line[3])) for line in lines))


@functools.cache
def _file() -> int:
    path = Path(os.environ[FOLDER_VARIABLE], f"{os.getpid()}.txt")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
