"""A spool gives out what was put in, from memory or from a file, and counts what it holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interface_server import spool as spool_module
from interface_server.spool import BEHIND, PIECE, Spool, Storage
from tests.interface_server.loops import until


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


async def end_of_threads() -> None:
    """Wait until all threads are done, and their results have arrived."""
    await asyncio.get_running_loop().shutdown_default_executor()
    for _ in range(5):
        await asyncio.sleep(0)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_few_bytes_stay_in_memory() -> None:
    storage = Storage(2**30, 2**20)
    spool = Spool(storage, 100)
    spool.put(b"one")
    spool.put(b"two")
    assert spool.is_in_memory
    assert (spool.size, storage.size, storage.memory) == (6, 6, 6)
    assert spool.take_from_memory() == b"onetwo"
    assert spool.take_from_memory() == b""
    assert (spool.size, storage.size, storage.memory) == (0, 0, 0)


def test_more_bytes_go_to_a_file_and_come_back() -> None:
    async def main() -> None:
        before = open_files()
        storage = Storage(2**30, 2**30)
        spool = Spool(storage, PIECE)
        data = bytes(range(256)) * (16 * PIECE // 256)
        for start in range(0, len(data), 65536):
            spool.put(data[start : start + 65536])
            if spool.is_behind:
                await spool.catch_up()
                assert not spool.is_behind
        assert storage.size == len(data)
        assert storage.memory <= PIECE + BEHIND + PIECE
        assert not spool.is_in_memory
        assert open_files() == before + 1
        received = b""
        while part := await spool.take():
            assert len(part) <= PIECE
            received += part
        assert received == data
        assert (storage.size, storage.memory) == (0, 0)
        spool.close()
        await until(lambda: open_files() == before)

    run(main())


def test_a_file_is_used_early_if_memory_is_short() -> None:
    async def main() -> None:
        storage = Storage(2**30, 1000)
        others = Spool(storage, 2**20)
        others.put(b"x" * 1000)
        spool = Spool(storage, 2**20)
        spool.put(b"y" * 100_000)
        await until(lambda: storage.memory == 1000)
        assert await spool.take() == b"y" * 100_000
        spool.close()
        others.close()
        assert (storage.size, storage.memory) == (0, 0)

    run(main())


def test_storage_is_full() -> None:
    storage = Storage(10, 10)
    spool = Spool(storage, 10)
    spool.put(b"x" * 9)
    assert not storage.is_full
    spool.put(b"x")
    assert storage.is_full


@pytest.mark.parametrize("delay", [0, 0.001, 0.01])
def test_a_spool_that_is_closed_while_a_file_is_written(delay: float) -> None:
    async def main() -> None:
        before = open_files()
        storage = Storage(2**30, 2**30)
        spool = Spool(storage, 0)
        spool.put(b"x" * 8 * PIECE)
        await asyncio.sleep(delay)
        spool.close()
        spool.close()
        assert (storage.size, storage.memory) == (0, 0)
        await end_of_threads()
        assert open_files() == before

    run(main())


def test_a_spool_that_is_closed_while_a_file_is_read() -> None:
    async def main() -> None:
        before = open_files()
        storage = Storage(2**30, 2**30)
        spool = Spool(storage, 0)
        spool.put(b"x" * 4 * PIECE)
        await until(lambda: storage.memory == 0)
        taking = asyncio.create_task(spool.take())
        await asyncio.sleep(0)
        spool.close()
        assert await taking == b""
        assert (storage.size, storage.memory) == (0, 0)
        await end_of_threads()
        assert open_files() == before

    run(main())


def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> int:
        raise OSError("no space left on device")

    async def main() -> None:
        spool = Spool(Storage(2**30, 2**30), 0)
        monkeypatch.setattr(spool_module.os, "pwrite", fail)
        spool.put(b"x" * 2 * BEHIND)
        with pytest.raises(OSError, match="no space left"):
            await spool.catch_up()
        with pytest.raises(OSError, match="no space left"):
            await spool.take()
        spool.close()

    run(main())


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.integers(1, 3 * PIECE), st.just("take"), st.just("wait")), max_size=12),
    st.sampled_from([0, 1000, PIECE, 100 * PIECE]),
    st.sampled_from([0, PIECE, 2**30]),
)
def test_all_bytes_come_out_in_order(steps: list[Any], memory_limit: int, shared_limit: int) -> None:
    async def main() -> None:
        storage = Storage(2**30, shared_limit)
        spool = Spool(storage, memory_limit)
        sent, received = bytearray(), bytearray()
        for number, step in enumerate(steps):
            if step == "take":
                received += await spool.take()
            elif step == "wait":
                await asyncio.sleep(0)
            else:
                data = bytes([number]) * step
                sent += data
                spool.put(data)
            assert spool.size == len(sent) - len(received) == storage.size
        while part := await spool.take():
            received += part
        assert received == sent
        assert (storage.size, storage.memory) == (0, 0)
        spool.close()

    run(main())
