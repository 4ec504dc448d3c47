"""``Spool``: bytes that wait for a slow reader, first in memory, and beyond that in a temporary file."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Callable
from typing import IO, Any, TypeVar

T = TypeVar("T")

PIECE = 256 * 1024
"""Bytes that are written to a file, or read from one, in one call."""

SMALL_PIECE = 16 * 1024
"""Bytes that are written in one call if memory is short."""

BEHIND = 4 * PIECE
"""The most bytes that should wait to be written."""


class Storage:
    """The bytes that all spools of a process hold.

    Arguments:
        limit: the most bytes, in memory and in files.
        memory_limit: the most bytes in memory. Bytes beyond that go to a file at once.
    """

    def __init__(self, limit: int, memory_limit: int) -> None:
        self.limit = limit
        self.memory_limit = memory_limit
        self.size = 0
        self.memory = 0

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self.size >= self.limit


class Spool:
    """Bytes that come out in the order in which they were put in.

    A thread handles the file, because a disk can take long.

    Arguments:
        storage: counts the bytes.
        memory_limit: bytes that this spool keeps in memory.
    """

    def __init__(self, storage: Storage, memory_limit: int) -> None:
        self.size = 0
        """The number of bytes in it."""
        self._storage = storage
        self._memory_limit = memory_limit
        # In the order in which they come out: the bytes in memory, those in the file, those to be written.
        self._front: deque[bytearray] = deque()
        self._front_size = 0
        self._file: IO[bytes] | None = None
        self._start = self._end = 0  # the position in the file
        self._back = bytearray()
        self._writing: asyncio.Task[None] | None = None
        self._error: OSError | None = None
        self._in_threads = 0
        self._is_closed = False

    @property
    def is_behind(self) -> bool:
        """Whether too much waits to be written to the file. Call ``catch_up`` before you put more in."""
        return len(self._back) >= BEHIND

    @property
    def is_in_memory(self) -> bool:
        """Whether all bytes are in memory, so that ``take_from_memory`` gives them."""
        return self._start == self._end and self._writing is None

    def put(self, data: bytes) -> None:
        """Append ``data``."""
        self._count(len(data), len(data))
        storage = self._storage
        if (
            self.is_in_memory
            and not self._back
            and self._front_size + len(data) <= self._memory_limit
            and storage.memory <= storage.memory_limit
        ):
            self._put_in_front(data)
            return
        self._back += data
        enough = PIECE if storage.memory <= storage.memory_limit else SMALL_PIECE
        if self._writing is None and len(self._back) >= enough:
            self._writing = asyncio.create_task(self._write(enough))

    async def catch_up(self) -> None:
        """Wait until it is no longer behind.

        Raises:
            OSError: the file could not be written.
        """
        while self.is_behind and self._writing is not None:
            await asyncio.shield(self._writing)
        self._check()

    async def take(self) -> bytes:
        """Take the next bytes, up to ``PIECE``; ``b""`` if it is empty.

        Raises:
            OSError: the file could not be written, or cannot be read.
        """
        while self.size:
            self._check()
            if data := self.take_from_memory():
                return data
            if self._start < self._end:
                return await self._read()
            assert self._writing is not None
            await asyncio.shield(self._writing)
        return b""

    def take_from_memory(self) -> bytes:
        """Take the next bytes from memory; ``b""`` if there are none, or they are in the file."""
        if self._front:
            piece = self._front.popleft()
            self._front_size -= len(piece)
        elif self.is_in_memory:
            piece = self._back[:PIECE]
            del self._back[:PIECE]
        else:
            return b""
        self._count(-len(piece), -len(piece))
        return bytes(piece)

    def close(self) -> None:
        """Drop all bytes, and the file."""
        if self._is_closed:
            return
        self._is_closed = True
        self._count(-self.size, self._end - self._start - self.size)
        if not self._in_threads:
            self._close_file()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _count(self, size: int, in_memory: int) -> None:
        self.size += size
        self._storage.size += size
        self._storage.memory += in_memory

    def _put_in_front(self, data: bytes) -> None:
        # Many small pieces would take much more memory than their bytes.
        if self._front and len(self._front[-1]) + len(data) <= PIECE:
            self._front[-1] += data
        else:
            self._front.append(bytearray(data))
        self._front_size += len(data)

    async def _read(self) -> bytes:
        size = min(PIECE, self._end - self._start)
        assert self._file is not None
        data = await self._in_thread(os.pread, self._file.fileno(), size, self._start)
        if self._is_closed:
            return b""
        if len(data) < size:
            raise OSError("the temporary file is shorter than what was written to it")
        self._start += size
        self._count(-size, 0)
        return data

    async def _write(self, enough: int) -> None:
        """Write waiting bytes to the file, while there are at least ``enough`` of them."""
        try:
            while len(self._back) >= enough and not self._is_closed:
                data, self._back = self._back, bytearray()
                if self._start == self._end:
                    self._start = self._end = 0  # the file is used again
                await self._in_thread(self._append, data)
                self._end += len(data)
                if not self._is_closed:
                    self._count(0, -len(data))
        except OSError as error:
            self._error = error
        finally:
            self._writing = None

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        future = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
        self._in_threads += 1
        future.add_done_callback(self._thread_done)
        return await asyncio.shield(future)

    def _thread_done(self, future: asyncio.Future[Any]) -> None:
        self._in_threads -= 1
        if self._is_closed and not self._in_threads:
            self._close_file()

    def _append(self, data: bytearray) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="channels-", buffering=0)  # noqa: SIM115
        position = self._end
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file.fileno(), rest, position)
            position += written
            rest = rest[written:]

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                # A thread does this, because freeing the blocks of a large file takes time, too.
                asyncio.get_running_loop().run_in_executor(None, file.close)
            except RuntimeError:  # the event loop is ending, and has no threads any more
                file.close()
