"""The journal of a worker process: which messages of its batches it has started.

It is a small file in memory, which survives ``kill -9``. A process on the same host that sweeps a dead one reads
it: messages that were not started can safely run elsewhere.

The file holds integers of 64 bits in the byte order of the machine: ``MAGIC``, the number of takers, and two
numbers for each taker. The first is its *mark*: the number of its last batch times 65,536, plus the number of its
messages that were started. The second has a bit for each message of that batch that is done although the whole
batch is not. The name of the process follows. Each number is written in one step, so no reader sees half of one.
"""

from __future__ import annotations

import errno
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
"""The number of integers per taker."""

COUNT_BITS = 16
"""The bits of a mark that hold the count of messages. A batch has at most 64 messages."""

NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors that do not tell whether a file is there."""

LARGEST_FILE = 2**20
"""Bytes. A larger file is not a journal."""

MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder in it is used, which belongs to the user
"""A file system in memory, if the system has one. Elsewhere the marks may be written to a disk."""

STALE_SECONDS = 3600.0
"""Seconds after which the journal of a process that has ended is removed. Until then a late sweep can read it."""

NAME = re.compile(r"[0-9]+-[A-Za-z0-9._-]+\.journal")
"""The form of file names: the process id, then the name of the process in the layer."""


class Page:
    """The part of a journal for one taker. One thread writes its mark, and one thread writes the done messages.

    Arguments:
        marks: the numbers of the whole file.
        position: the position of this taker's mark.
    """

    __slots__ = ("_done", "_mark", "_marks", "_position")

    def __init__(self, marks: memoryview, position: int) -> None:
        self._marks = marks
        self._position = position
        self._mark = 0
        self._done = 0

    @property
    def started(self) -> int:
        """The number of messages of the batch that were started."""
        return self._mark & (1 << COUNT_BITS) - 1

    @property
    def done_messages(self) -> tuple[int, int]:
        """The number of the batch, and the bits of the messages of it that are done although others are not."""
        return self._mark >> COUNT_BITS, self._done

    def begin(self, batch: int) -> None:
        """Note a new batch, of which nothing is started yet."""
        if self._done:  # this comes before the mark: until then nobody takes the bits for those of this batch
            self._done = 0
            self._marks[self._position + 1] = 0
        self._mark = batch << COUNT_BITS
        self._marks[self._position] = self._mark

    def start(self) -> None:
        """Note that the next message of the batch starts."""
        self._mark += 1
        self._marks[self._position] = self._mark

    def take_back(self) -> None:
        """Note that the last message was not started after all."""
        self._mark -= 1
        self._marks[self._position] = self._mark

    def done(self, *places: int) -> None:
        """Note that messages of the batch are done, and all that they sent is on its way.

        Arguments:
            places: their places in the order in which messages were started, from 0.
        """
        for place in places:
            self._done |= 1 << place
        self._marks[self._position + 1] = self._done


class Journal:
    """Writes the journal of this process.

    Arguments:
        process: the name of the process in the layer.
        takers: the number of its takers.

    Raises:
        OSError: there is no place for the file.
    """

    def __init__(self, process: str, takers: int) -> None:
        name = process.encode()
        size = NUMBER.size * (2 + PER_TAKER * takers) + len(name)
        folder = _own_folder()
        remove_stale_journals(folder)
        path = folder / f"{os.getpid()}-{process}.journal"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.path = str(path)
        """The path of the file."""
        try:
            # If the file had holes and the file system were full, SIGBUS would end the process.
            with open(descriptor, "wb", closefd=False) as file:
                file.write(bytes(size))
            self._memory = mmap.mmap(descriptor, size)
        except OSError:
            self.remove()
            raise
        finally:
            os.close(descriptor)
        self._memory[size - len(name) :] = name
        self._memory[NUMBER.size : 2 * NUMBER.size] = NUMBER.pack(takers)
        self._marks = memoryview(self._memory)[: NUMBER.size * (2 + PER_TAKER * takers)].cast("Q")
        # This is written last, so that no reader takes an incomplete file for a journal.
        self._marks[0] = MAGIC
        self.pages = [Page(self._marks, 2 + PER_TAKER * number) for number in range(takers)]
        """The pages, one for each taker."""

    def keep(self) -> None:
        """Keep others from taking the file for a stale one. It is called with each heartbeat."""
        with suppress(OSError):
            os.utime(self.path)

    def remove(self) -> None:
        """Remove the file. The pages can still be written, without effect."""
        with suppress(OSError):
            os.unlink(self.path)


def read_journal(process: Process) -> dict[str, Progress] | None:
    """Read the journal of a dead process.

    Arguments:
        process: the process, from the registry of the layer.

    Returns:
        The progress of each taker with its last batch. ``None`` if there is no journal here that can be trusted:
        the process ran on another host, or as another user.

    Raises:
        OSError: this process has no room for another open file now.
    """
    path = _path_of(process)
    if path is None:
        return None
    try:
        content = _read(path)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        return None
    except ValueError:
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
    """Remove the journal of a swept process, if it is on this host."""
    path = _path_of(process)
    with suppress(OSError):
        if path is not None and read_journal(process) is not None:
            path.unlink()


def is_elsewhere(process: Process) -> bool:
    """Whether a process has a journal that is not on this host."""
    path = _path_of(process)
    return path is not None and not os.path.exists(path)


def _path_of(process: Process) -> Path | None:
    """The path of the journal, from the registry of the layer, where anything may be."""
    path = process.details.get("journal")
    return Path(path) if path and isinstance(path, str) else None


def remove_stale_journals(folder: Path) -> None:
    """Remove the journals of processes that have ended long ago without a sweep.

    Arguments:
        folder: the folder with the journals.
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
    """The folder for journals, which only this user can write to.

    Raises:
        OSError: there is no such folder.
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
    """Whether a file has this kind, belongs to this user, and is closed to all others."""
    is_kind = stat.S_IFMT(status.st_mode) == kind
    return is_kind and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _read(path: Path) -> bytes:
    """Read the content of a journal.

    Raises:
        OSError: there is no such file.
        ValueError: it is not a journal, or another user may have written it.
    """
    if not NAME.fullmatch(path.name) or not _is_own(path.parent, stat.S_IFDIR, os.lstat(path.parent)):
        raise ValueError("not in a folder of this user")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not _is_own(path, stat.S_IFREG, os.fstat(file.fileno())):
            raise ValueError("not a file of this user")
        return file.read(LARGEST_FILE)
