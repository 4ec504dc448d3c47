"""The retirement of worker processes."""

from __future__ import annotations

import itertools
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import retirement
from worker.retirement import Retirement, memory_of_this_process


@given(limit=st.integers(1, 300))
def test_after_its_number_of_messages_it_asks_once(limit: int) -> None:
    asked: list[int] = []
    handled = itertools.count()
    retiring = Retirement(lambda: asked.append(next(handled)), max_messages=limit)
    for _ in range(limit * 2):
        retiring.note()
        next(handled)
    [when] = asked
    assert 0.9 * limit - 0.5 <= when + 1 <= limit


def test_processes_do_not_all_ask_at_the_same_moment() -> None:
    def life() -> int:
        asked = threading.Event()
        retiring = Retirement(asked.set, max_messages=10_000)
        handled = 0
        while not asked.is_set():
            retiring.note()
            handled += 1
        return handled

    assert len({life() for _ in range(8)}) > 1


def test_when_it_takes_too_much_memory_it_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = itertools.count(0, 10)
    monkeypatch.setattr(retirement, "memory_of_this_process", lambda: next(memory))
    monkeypatch.setattr(retirement, "MEMORY_SECONDS", 0)
    asked: list[int] = []
    retiring = Retirement(lambda: asked.append(next(memory)), max_memory=1000)
    for _ in range(200):
        retiring.note()
    [when] = asked
    assert 900 <= when <= 1010


def test_it_does_not_ask_the_system_for_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(retirement, "memory_of_this_process", lambda: looks.append(1) or 0)
    retiring = Retirement(lambda: None, max_memory=1000)
    for _ in range(1000):
        retiring.note()
    assert len(looks) < 10


def test_memory_is_what_the_system_says() -> None:
    before = memory_of_this_process()
    block = bytearray(os.urandom(1)) * (64 * 2**20)
    assert memory_of_this_process() - before > 48 * 2**20
    assert len(block) == 64 * 2**20
