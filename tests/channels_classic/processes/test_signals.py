"""``signals_in_a_thread``; the tests of the programs show that no signal is missed."""

from __future__ import annotations

import os
import signal
import threading

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
