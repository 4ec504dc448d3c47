"""Channels 4 for tests, in a folder of its own: the suite's environment must not have it.

Much of what is tested elsewhere depends on there being no package ``channels``. Here it is put on the path of the
programs that a test starts, or of one module of tests. The folder has these packages only, because all that they
require is in the suite's environment already.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from channels_classic import installed_channels
from tests.project import REPOSITORY, Project

CHANNELS_4 = ("channels>=4.2,<5", "channels_redis>=4.2,<5")

KEPT_IN = REPOSITORY / ".test-packages"
"""Not under version control. To get newer versions, delete it."""


@functools.cache
def packages(*requirements: str) -> Path:
    """A folder with these packages, made once; skips the test where pip cannot get them."""
    folder = KEPT_IN / hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:12]
    if not folder.exists():
        KEPT_IN.mkdir(exist_ok=True)
        # Another process of the tests may do the same at this moment: whoever is first puts it in place.
        with tempfile.TemporaryDirectory(dir=KEPT_IN) as making:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", making]
            done = subprocess.run([*command, *requirements], capture_output=True, text=True, timeout=120)
            if done.returncode:
                pytest.skip(f"pip cannot get {' '.join(requirements)}: {done.stderr.strip().splitlines()[-1]}")
            try:
                os.rename(making, folder)
            except OSError:
                shutil.rmtree(making)
            os.makedirs(making, exist_ok=True)
    return folder


def add_to(project: Project, *requirements: str) -> None:
    """Let the programs of ``project`` have these packages, or Channels 4, and none that it was given before."""
    folder = packages(*(requirements or CHANNELS_4))
    project.environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(folder)])


@contextmanager
def on_the_path() -> Iterator[None]:
    """Channels 4 in this process, until the end of the block."""
    folder = str(packages(*CHANNELS_4))
    sys.path.append(folder)
    installed_channels._version.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(folder)
        installed_channels._version.cache_clear()
        ours = "channels_classic.channels4."
        for name in list(sys.modules):
            if name.partition(".")[0] in ("channels", "channels_redis") or name.startswith(ours):
                del sys.modules[name]
