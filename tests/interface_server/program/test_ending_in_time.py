"""``ending_in_time`` by itself: signals end a process whatever it does."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interface_server.hosted import eventually
from tests.programs import running
from tests.project import DEADLINE

PROGRAM = """
import logging, os, sys, threading
logging.basicConfig(format="%(message)s")
from interface_server.program.stopping import ending_in_time

told = threading.Event()
def prepare():
    pass
WORK

def end():
    print("told")
    told.set()

with ending_in_time(end, lambda: "GET /slow", TIMEOUT, lambda: print("cleaned up")):
    prepare()
    print("ready")
    work()
print("the end")
"""

# Python misses a signal that comes just before its main thread begins to wait, until that wakes up. So it does.
OBEYS = """
def work():
    while not told.wait(0.5):
        pass
"""
NEVER_ENDS = """
def work():
    while True:
        threading.Event().wait(0.5)
"""
BUSY = """
def work():
    while True:
        sum(range(1000))
"""
JOINS = """
def work():
    thread = threading.Thread(target=threading.Event().wait)
    thread.start()
    while True:
        thread.join(0.5)
"""
LOOP = """
import asyncio, uvloop
def work():
    async def wait():
        await asyncio.Event().wait()
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(wait())
"""
LEAVES_A_THREAD = """
def prepare():
    with ending_in_time(lambda: None, str, 60):
        pass
    threading.Thread(target=threading.Event().wait).start()

def work():
    while True:
        threading.Event().wait(0.5)
"""


def program(work: str, timeout: float = 60) -> list[str]:
    return [sys.executable, "-u", "-c", PROGRAM.replace("WORK", work).replace("TIMEOUT", str(timeout))]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with running(program(OBEYS), tmp_path) as server:
        server.wait("ready")
        server.process.send_signal(number)
        assert server.process.wait(DEADLINE) == 0
        assert server.log.splitlines() == ["ready", "told", "the end"]


@pytest.mark.parametrize("work", [NEVER_ENDS, BUSY, JOINS, LOOP, LEAVES_A_THREAD])
def test_a_second_signal(tmp_path: Path, work: str) -> None:
    with running(program(work), tmp_path) as server:
        server.wait("ready")
        server.process.send_signal(signal.SIGTERM)
        server.wait("told")
        assert eventually(lambda: ended_by(server.process, signal.SIGINT)) == 1
        assert server.log.splitlines()[2:] == ["Told to stop again. Not finished: GET /slow.", "cleaned up"]


def ended_by(process: subprocess.Popen[bytes], number: signal.Signals) -> int | None:
    """The status of a process after one more signal, once it has ended."""
    process.send_signal(number)
    try:
        return process.wait(1)
    except subprocess.TimeoutExpired:
        return None


@pytest.mark.parametrize("work", [NEVER_ENDS, BUSY, JOINS, LOOP])
def test_the_timeout(tmp_path: Path, work: str) -> None:
    with running(program(work, 0.2), tmp_path) as server:
        server.wait("ready")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(DEADLINE) == 1
        assert server.log.splitlines()[2:] == [
            "It did not stop within 0.2 s. Not finished: GET /slow.",
            "cleaned up",
        ]
