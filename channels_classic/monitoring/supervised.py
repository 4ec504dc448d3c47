"""The status of all processes under a supervisor. Each of them listens on a socket in a private folder.

A process that ends leaves its last numbers in that folder. For one that was killed, the numbers of its last answer
count. So sums never fall.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from channels_classic.monitoring.metrics import FAMILIES
from channels_classic.monitoring.status import Samples, Status, added, from_json

ANSWER_SECONDS = 4.0
"""Seconds without an answer after which a process counts as dead. It may have to wait for its layer."""

SOCKET, LAST = ".socket", ".json"


def socket_in(folder: str) -> str:
    """The path of the socket on which this process listens for its supervisor."""
    return str(Path(folder, f"{os.getpid()}{SOCKET}"))


def leave_last(folder: str, status: Status) -> None:
    """Store the last numbers of this process, which ends."""
    part = Path(folder, f"{os.getpid()}.part")
    try:
        part.write_text(json.dumps(status.as_json()))
        part.rename(part.with_suffix(LAST))
    except OSError:
        pass  # the supervisor is gone


class Processes:
    """Asks the processes of a supervisor for their status, and adds it up.

    Arguments:
        count: how many processes there should be.
    """

    def __init__(self, count: int) -> None:
        self.folder = tempfile.mkdtemp(prefix="channels-")
        """The folder with the sockets of the processes. ``close`` removes it."""
        self._count = count
        self._asked: dict[str, Samples] = {}
        self._ended: Samples = {}

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def status(self) -> Status:
        """The present status: ready if as many processes are ready as there should be. It is not thread-safe."""
        sockets = sorted(Path(self.folder).glob(f"*{SOCKET}"))
        with ThreadPoolExecutor(max(1, len(sockets))) as pool:
            answers = dict(zip((path.stem for path in sockets), pool.map(_ask, sockets), strict=True))
        dead: list[str] = []
        unready: list[str] = []
        layer: Samples = {}
        ready = draining = 0
        for pid, answer in answers.items():
            if answer is None:
                continue
            if isinstance(answer, str):
                dead.append(f"process {pid}: {answer}")
                continue
            self._asked[pid] = answer.samples
            layer = layer or answer.layer
            dead += [f"process {pid}: {part}" for part in answer.dead]
            draining += answer.draining
            ready += answer.is_ready
            if not answer.draining:
                unready += [f"process {pid}: {why}" for why in answer.unready]
        self._fold_ended({pid for pid, answer in answers.items() if answer is not None})
        if not dead and not unready and ready < self._count:
            unready.append(f"{ready} of {self._count} processes are ready")
        samples = added([self._ended, *self._asked.values()])
        return Status(dead, unready, bool(draining) and not ready, samples, layer)

    def _fold_ended(self, alive: set[str]) -> None:
        """Keep the counters of processes that are gone."""
        for last in Path(self.folder).glob(f"*{LAST}"):
            if last.stem not in alive:
                self._asked[last.stem] = from_json(json.loads(last.read_text())).samples
                last.unlink(missing_ok=True)
        for pid in [pid for pid in self._asked if pid not in alive]:
            counted = {
                key: value for key, value in self._asked.pop(pid).items() if FAMILIES[key[0]].kind != "gauge"
            }
            self._ended = added([self._ended, counted])


class _Connection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(str(self._path))


def _ask(path: Path) -> Status | str | None:
    """The status of one process, or a text about what is wrong with it; ``None`` if it is gone."""
    connection = _Connection(path)
    try:
        connection.request("GET", "/status")
        return from_json(json.loads(connection.getresponse().read()))
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
        return None
    except TimeoutError:
        return f"it has not answered within {ANSWER_SECONDS:g} s"
    except (OSError, HTTPException, ValueError) as error:
        return f"it did not answer as it should: {error!r}"
    finally:
        connection.close()
