"""``signals_in_a_thread``; the tests of the programs show that no signal is missed."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from queue import SimpleQueue
from typing import Any

import pytest

from channels_classic.processes.signals import signals_in_a_thread
from tests.project import DEADLINE


def test_the_handler_runs_in_a_thread_of_its_own() -> None:
    came: list[tuple[str, str]] = []
    both = threading.Event()

    def note(name: str) -> None:
        came.append((name, threading.current_thread().name))
        if len(came) == 2:
            both.set()

    former = signal.getsignal(signal.SIGTERM)
    with signals_in_a_thread({signal.SIGTERM: lambda: note("term"), signal.SIGUSR1: lambda: note("user")}):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert both.wait(DEADLINE)
    assert sorted(came) == [("term", "signals"), ("user", "signals")]
    assert signal.getsignal(signal.SIGTERM) is former
    assert "signals" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_a_fork_is_none_to_its_parent(number: signal.Signals) -> None:
    """A consumer may fork, as ``multiprocessing`` does, and end its own process by a signal."""
    events: SimpleQueue[Any] = SimpleQueue()

    def fork() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are several threads
            child = os.fork()
        if not child:
            while True:
                signal.pause()
        events.put(child)
        os.kill(child, number)
        events.put(os.waitpid(child, 0)[1])

    thread = threading.Thread(target=fork)
    with signals_in_a_thread({number: lambda: events.put("mine"), signal.SIGUSR2: lambda: events.put("other")}):
        thread.start()
        child = events.get(timeout=DEADLINE)
        try:
            assert events.get(timeout=DEADLINE) == number  # it has died of it
        finally:
            if thread.is_alive():
                os.kill(child, signal.SIGKILL)
            thread.join()
        os.kill(os.getpid(), signal.SIGUSR2)
        assert events.get(timeout=DEADLINE) == "other"
        os.kill(os.getpid(), number)
        assert events.get(timeout=DEADLINE) == "mine"
