"""The supervisor, with processes that do not even start. The tests of programs cover the rest."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from channels_classic.processes.supervisor import LONGEST_PAUSE, Supervisor
from tests.programs import is_alive, running
from tests.project import DEADLINE

SUPERVISES = ["--processes"]
"""What ``tests.fork_server`` knows a program by that supervises others. The programs here have no options."""

PROGRAM = """\
import logging
import sys
from channels_classic.processes.supervisor import Supervisor

def fail(supervised):
    sys.exit(3)

if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    Supervisor(fail, (), 2, "test").run()
    print("ended", flush=True)
"""


def test_a_process_that_never_gets_ready_is_started_with_back_off(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text(PROGRAM)
    with running([sys.executable, "manage.py", *SUPERVISES], tmp_path) as program:
        program.wait(lambda: len(pauses(program.log)) >= 4)
        assert sorted(pauses(program.log)[:4]) == pauses(program.log)[:4]
        assert pauses(program.log)[3] >= 2
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 0
        assert program.log.endswith("ended\n")
        assert "Traceback" not in program.log


def pauses(log: str) -> list[int]:
    return [int(seconds) for seconds in re.findall("ended with status 3; another starts in ([0-9]+) s", log)]


def test_an_outage_of_hours_does_not_end_the_supervisor() -> None:
    """Its back-off is bounded."""
    supervisor = Supervisor(print, (), 1, "test")
    child: Any = SimpleNamespace(is_ready=False)
    assert max(supervisor._pause_after(child) for _ in range(3000)) <= LONGEST_PAUSE


def test_processes_that_the_system_has_no_room_for_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor(print, (), 2, "test")

    def fail(*args: Any) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr("channels_classic.processes.supervisor.Child", fail)
    supervisor._fill()
    assert supervisor._start_at > 0
    supervisor._fill()  # too early: nothing is tried
    (record,) = caplog.records
    assert record.getMessage().startswith("No test process can be started; trying again in ")


def test_a_death_that_there_is_no_thread_for_ends_no_supervisor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its other processes go on."""

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    died: list[str] = []
    supervisor = Supervisor(print, (), 2, "test", died=died.append)
    child: Any = SimpleNamespace(look=lambda: None, identity="dead")
    supervisor._follow_up(child)
    assert died == []
    assert caplog.messages == ["A dead test process is left to other processes. can't start new thread"]


STUBBORN = """\
import logging
import signal
import sys
import time
from channels_classic.processes import child, signals, supervisor

HOW = sys.argv[1]
# Only the deaf are killed, however busy the machine is.
supervisor.GRACE = child.GRACE = 0.5 if HOW == "deaf" else 3600

def stay(supervised):
    signal.signal(signal.SIGTERM, lambda *_: print("told to stop", flush=True))
    if HOW == "listens":
        signal.signal(signals.HURRY, lambda *_: sys.exit(7))
    elif HOW == "deaf":
        signal.signal(signals.HURRY, signal.SIG_IGN)
    supervised.ready()
    print("ready", flush=True)
    while True:
        time.sleep(60)

if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    # The supervisor adds the grace to the timeout, so that a process can end by itself.
    timeout = float(sys.argv[2]) - child.GRACE
    status = supervisor.Supervisor(stay, (), 2, "test", stop_timeout=timeout).run()
    print("ended", flush=True)
    sys.exit(status)
"""


@pytest.mark.parametrize("how", ["listens", "does not care", "deaf"])
@pytest.mark.parametrize("signals", [1, 2, 5])
def test_stopping_always_works(tmp_path: Path, how: str, signals: int) -> None:
    """One signal works after the timeout, and a second one works soon. The status shows that it was not a proper
    end."""
    (tmp_path / "manage.py").write_text(STUBBORN)
    timeout = "0.3" if signals == 1 else "7200"
    with running([sys.executable, "manage.py", how, timeout, *SUPERVISES], tmp_path) as program:
        program.wait(lambda: program.log.count("ready") == 2)
        for number in range(signals):
            program.process.send_signal(signal.SIGTERM)
            if number == 0:
                program.wait(lambda: program.log.count("told to stop") == 2)
        # A signal that comes when the supervisor has done its work meets the default handler.
        late = {-signal.SIGTERM} if signals > 2 else set()
        assert program.process.wait(DEADLINE) in {1} | late
        assert program.log.count("does not end: it is killed.") == (2 if how == "deaf" else 0)
        assert program.log.endswith("ended\n") or program.process.returncode in late


FORKING = """\
import logging
import os
import signal
import sys
import time
from channels_classic.processes import supervisor

supervisor.SHORTEST_LIFE = 0

def fork(supervised):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if not (left := os.fork()):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(3600)
    supervised.ready()
    print(f"process {os.getpid()} left {left}", flush=True)
    while True:
        time.sleep(60)

if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    sys.exit(supervisor.Supervisor(fork, (), 1, "test").run())
"""


def test_the_end_of_a_process_is_noticed_although_its_forks_go_on(tmp_path: Path) -> None:
    """They have what it had open, and so have the files by which ``multiprocessing`` tells that it has ended."""
    (tmp_path / "manage.py").write_text(FORKING)
    with running([sys.executable, "manage.py", *SUPERVISES], tmp_path) as program:

        def pids() -> list[tuple[int, int]]:
            found = re.findall(r"process ([0-9]+) left ([0-9]+)\n", program.log)
            return [(int(process), int(left)) for process, left in found]

        try:
            program.wait(lambda: len(pids()) == 1)
            os.kill(pids()[0][0], signal.SIGKILL)
            program.wait(lambda: len(pids()) == 2)
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(DEADLINE) == 0
            assert all(is_alive(left) for _, left in pids())
        finally:
            for _, left in pids():
                os.kill(left, signal.SIGKILL)
