"""``python -m benchmarks``: enters the client's environment, then measures.

You can start it with any Python from 3.11 on. It installs everything that it needs under ``.bench/``.
"""

from __future__ import annotations

import os
import sys

from benchmarks.environments import ROOT, SetupError
from benchmarks.stacks import CLIENT


def main() -> None:
    """Run the suite in the client's environment."""
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
