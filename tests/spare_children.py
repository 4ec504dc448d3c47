"""Forks for the children of a program, which ``multiprocessing`` would give a new interpreter each.

A program that supervises others first forks some spare processes, before it imports or changes anything.
What ``multiprocessing`` would start becomes one of them, while there is one, with the environment, the folder, the
files and the signals that it would have. It is as a new interpreter, but has the imports of the fork server.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
from collections.abc import Sequence
from multiprocessing import util
from typing import Any

MOST_BYTES = 2**20  # of a request
MOST_FILES = 16
FREE_NUMBERS = 1000
"""From here on no process has numbers of files."""

_new_interpreter = util.spawnv_passfds  # type: ignore[attr-defined]


def fork_spares(number: int) -> dict[str, Any] | None:
    """Fork the spare processes.

    Returns:
        ``None`` in the program. In a spare process that has become a child: what to run.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
    for _ in range(number):
        if not os.fork():
            ours.close()
            return _wait(theirs)
    theirs.close()

    def start(path: str | bytes, arguments: Sequence[str | bytes], files: Sequence[int]) -> int:
        code, *others = arguments[arguments.index("-c") + 1 :]
        child = {
            "code": code,
            "arguments": ["-c", *others],
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "files": sorted(set(files)),
            "blocked": [int(signal) for signal in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        }
        try:
            socket.send_fds(ours, [json.dumps(child).encode()], child["files"])
            return int.from_bytes(ours.recv(4), "little")
        except OSError:  # there is no spare process left
            return int(_new_interpreter(path, arguments, files))

    util.spawnv_passfds = start  # type: ignore[attr-defined]
    return None


def _wait(control: socket.socket) -> dict[str, Any]:
    """Wait for what to run. The process ends if the program does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    request, files, *_ = socket.recv_fds(control, MOST_BYTES, MOST_FILES)
    if not request:
        os._exit(0)
    child: dict[str, Any] = json.loads(request)
    # Some of these numbers may be taken by others of these files.
    moved = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, FREE_NUMBERS) for file in files]
    for file in files:
        os.close(file)
    answer = socket.socket(fileno=fcntl.fcntl(control.fileno(), fcntl.F_DUPFD_CLOEXEC, FREE_NUMBERS))
    control.close()
    for file, number in zip(moved, child["files"], strict=True):
        os.dup2(file, number)
        os.close(file)
    answer.send(os.getpid().to_bytes(4, "little"))
    answer.close()
    signal.pthread_sigmask(signal.SIG_SETMASK, {*before, *child["blocked"]})
    return child
