"""Channels 4 for tests, in a folder of its own, because the environment of the suite must not have it.

Many other tests need an environment without the package ``channels``. This module puts it on the path of the
programs that a test starts, or of one module of tests. The folder has only these packages, because the environment
of the suite has all that they require.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

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
    """Give the programs of ``project`` these packages, or Channels 4, and none of those that it had before."""
    folder = packages(*(requirements or CHANNELS_4))
    project.environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(folder)])


@contextmanager
def on_the_path() -> Iterator[None]:
    """Put Channels 4 on the path of this process until the end of the block.

    Other tests of this process may have imported ``channels_classic.legacy``, which hides Channels 4. The block
    undoes that.
    """
    folder = str(packages(*CHANNELS_4))
    finders = [finder for finder in sys.meta_path if type(finder).__module__ == "channels_classic.legacy.finder"]
    for finder in finders:
        sys.meta_path.remove(finder)
    of_legacy = _taken_out(("channels", "channels_classic.legacy"))
    sys.path.append(folder)
    installed_channels._version.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(folder)
        installed_channels._version.cache_clear()
        _taken_out(("channels", "channels_redis", "channels_classic.channels4"))
        sys.modules.update(of_legacy)
        sys.meta_path[:0] = finders


def _taken_out(packages: Sequence[str]) -> dict[str, ModuleType]:
    """Remove the imported modules of these packages, and return them."""
    names = [name for name in sys.modules if name.startswith(tuple(f"{package}." for package in packages))]
    return {name: sys.modules.pop(name) for name in [*names, *(set(packages) & sys.modules.keys())]}
