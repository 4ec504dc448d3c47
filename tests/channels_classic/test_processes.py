"""The supervisor, with processes that do not even start; what it does for ours is tested with the programs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.programs import running
from tests.project import DEADLINE

PROGRAM = """\
import logging
import sys
from channels_classic.processes import Supervisor

def fail(ready):
    sys.exit(3)

if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    Supervisor(fail, (), 2, "test").run()
    print("ended", flush=True)
"""


def test_what_never_gets_ready_is_tried_less_and_less_often(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with running([sys.executable, "program.py"], tmp_path) as program:
        program.wait("A test process ended with status 3; another starts in 1 s.")
        program.wait("A test process ended with status 3; another starts in 4 s.")
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 0
        assert program.log.endswith("ended\n")
        assert "Traceback" not in program.log
