"""The collector of cyclic garbage in a process that serves."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import gc
from channels_classic.processes.garbage import collect_less_often
{before}
frozen = gc.get_freeze_count()  # from Python 3.12 on there are some from the start
collect_less_often()
print(gc.isenabled(), gc.get_threshold()[0], gc.get_freeze_count() > frozen)
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "True 20000 True"),
        ("gc.disable()", "False"),
        ("gc.set_threshold(50_000)", "True 50000 False"),
        ("gc.set_threshold(0)", "True 0 False"),
    ],
)
def test_it_runs_less_often_unless_the_project_has_set_it(before: str, after: str) -> None:
    """In a process of its own, because the settings are those of a process."""
    program = PROGRAM.format(before=before)
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip().startswith(after)
