"""The journal of a worker process: which messages of its batches it has started.

It is a small file in memory that survives ``kill -9``. The process that sweeps a dead one on the same host reads
it: what had not been started can safely run elsewhere.

The file holds whole numbers of 64 bits in the byte order of the machine: ``MAGIC``, the number of takers, and for
each taker two: its *mark*, which is the number of its last batch, times 65,536, and how many messages of it were
started; and a bit for each message of that batch that is done although the batch as a whole is not. The name of
the process follows. Each number is written in one step, so no reader ever sees half of one.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import struct
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from channels_classic.layers.takers import taker_name
from channels_classic.layers.tracking import Progress
from channels_classic.layers.types import Process
from channels_classic.log import logger

MAGIC = 0x63_63_6A_6F_75_72_6E_02
"""The first eight bytes of the file. The last of them is the version of the format."""

NUMBER = struct.Struct("=Q")

PER_TAKER = 2
"""How many numbers a taker has."""

COUNT_BITS = 16
"""The bits of a mark that hold the count of messages. A batch has 64 at most."""

LARGEST_FILE = 2**20
"""Bytes. A larger file is not a journal."""

MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder in it is used, and that belongs to the user
"""A file system in memory, where there is one. Elsewhere the system may write the marks to a disk."""

STALE_SECONDS = 3600.0
"""The age at which the journal of a process that has ended is removed. Until then a late sweep can read it."""

NAME = re.compile(r"[0-9]+-[A-Za-z0-9._-]+\.journal")
"""The names of the files: the process's number, then its name in the layer."""


class Page:
    """The part of a journal that belongs to one taker. One thread writes its mark, and one what is done.

    Arguments:
        marks: of the whole file.
        position: of this taker's mark.
    """

    __slots__ = ("_done", "_mark", "_marks", "_position")

    def __init__(self, marks: memoryview, position: int) -> None:
        self._marks = marks
        self._position = position
        self._mark = 0
        self._done = 0

    @property
    def started(self) -> int:
        """How many messages of the batch were started."""
        return self._mark & (1 << COUNT_BITS) - 1

    def begin(self, batch: int) -> None:
        """A batch has come; nothing of it is started yet."""
        if self._done:  # before the mark: until that is written, nobody takes the bits for those of this batch
            self._done = 0
            self._marks[self._position + 1] = 0
        self._mark = batch << COUNT_BITS
        self._marks[self._position] = self._mark

    def start(self) -> None:
        """The next message of the batch is started."""
        self._mark += 1
        self._marks[self._position] = self._mark

    def take_back(self) -> None:
        """The last message was not started after all."""
        self._mark -= 1
        self._marks[self._position] = self._mark

    def done(self, *places: int) -> None:
        """Messages of the batch are done, and all that they sent is on its way.

        Arguments:
            places: in the order in which the messages were started, from 0.
        """
        for place in places:
            self._done |= 1 << place
        self._marks[self._position + 1] = self._done


class Journal:
    """Writes the journal of this process.

    Arguments:
        process: its name in the layer.
        takers: how many takers it has.

    Raises:
        OSError: the system has no place for it.
    """

    def __init__(self, process: str, takers: int) -> None:
        name = process.encode()
        size = NUMBER.size * (2 + PER_TAKER * takers) + len(name)
        folder = _own_folder()
        remove_stale_journals(folder)
        path = folder / f"{os.getpid()}-{process}.journal"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.path = str(path)
        """For those who read it."""
        try:
            os.ftruncate(descriptor, size)
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._memory[size - len(name) :] = name
        self._memory[NUMBER.size : 2 * NUMBER.size] = NUMBER.pack(takers)
        self._marks = memoryview(self._memory)[: NUMBER.size * (2 + PER_TAKER * takers)].cast("Q")
        # Last: a reader of a journal that is not complete must not take it for one.
        self._marks[0] = MAGIC
        self.pages = [Page(self._marks, 2 + PER_TAKER * number) for number in range(takers)]
        """One for each taker."""

    def keep(self) -> None:
        """Let nobody take the file for one that was left behind; called with each heartbeat."""
        with suppress(OSError):
            os.utime(self.path)

    def remove(self) -> None:
        """Remove the file; the pages can still be written, for nobody."""
        with suppress(OSError):
            os.unlink(self.path)


def read_journal(process: Process) -> dict[str, Progress] | None:
    """Read the journal of a dead process.

    Arguments:
        process: as the layer's registry has it.

    Returns:
        For each taker how far it has come with its last batch. ``None`` if there is no journal here that can be
        trusted: the process ran on another host, or as another user.
    """
    path = process.details.get("journal")
    if not isinstance(path, str) or not path:
        return None
    try:
        content = _read(Path(path))
    except (OSError, ValueError):
        return None
    if len(content) < 2 * NUMBER.size:
        return None
    magic, takers = struct.unpack_from("=QQ", content)
    start_of_name = NUMBER.size * (2 + PER_TAKER * takers)
    if magic != MAGIC or content[start_of_name:] != process.name.encode():
        return None
    marks = struct.unpack_from(f"={PER_TAKER * takers}Q", content, 2 * NUMBER.size)
    return {
        taker_name(process.name, number): Progress(mark >> COUNT_BITS, mark & (1 << COUNT_BITS) - 1, done)
        for number, (mark, done) in enumerate(zip(marks[::2], marks[1::2], strict=True))
    }


def remove_journal(process: Process) -> None:
    """Remove the journal of a process that was swept, if it is here."""
    path = process.details.get("journal")
    if isinstance(path, str) and read_journal(process) is not None:
        with suppress(OSError):
            os.unlink(path)


def remove_stale_journals(folder: Path) -> None:
    """Remove the journals of processes that ended long ago, and that nobody has swept.

    Arguments:
        folder: of journals.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            if NAME.fullmatch(entry.name) and not _is_running(int(entry.name.partition("-")[0])):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_SECONDS:
                        os.unlink(entry.path)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def _own_folder() -> Path:
    """The folder for journals, which nobody but this user can write to.

    Raises:
        OSError: there is none.
    """
    for place in (MEMORY, Path(tempfile.gettempdir())):
        folder = place / f"channels-classic-{os.geteuid()}"
        try:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            if _is_own(folder, stat.S_IFDIR, os.lstat(folder)):
                return folder
            logger.warning(
                "Journals of workers do not go to %s: others can write there, or it is no folder.", folder
            )
        except OSError:
            continue
    raise OSError(f"Neither {MEMORY} nor {tempfile.gettempdir()} has room for the journals of workers.")


def _is_own(path: Path, kind: int, status: os.stat_result) -> bool:
    """Whether it is of this kind, belongs to this user, and nobody else may do anything with it."""
    is_kind = stat.S_IFMT(status.st_mode) == kind
    return is_kind and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _read(path: Path) -> bytes:
    """The content of a journal.

    Raises:
        OSError: there is no such file.
        ValueError: it is not a journal, or somebody else can have written it.
    """
    if not NAME.fullmatch(path.name) or not _is_own(path.parent, stat.S_IFDIR, os.lstat(path.parent)):
        raise ValueError("not in a folder of this user")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not _is_own(path, stat.S_IFREG, os.fstat(file.fileno())):
            raise ValueError("not a file of this user")
        return file.read(LARGEST_FILE)
