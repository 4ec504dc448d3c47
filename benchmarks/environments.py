"""Virtual environments for the stacks and for the client. They are made once, and kept under ``.bench/``.

This module runs before anything is installed, so it uses the standard library only.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The root of the repository."""

WORKSPACE = ROOT / ".bench"
"""The folder of the environments and the logs; not under version control."""


class SetupError(Exception):
    """An environment cannot be made on this machine. The text says why."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    :param name: its folder under ``.bench/``.
    :param requirements: what pip installs into it, as pip's arguments.
    :param python: the version of Python it needs as ``"3.6"``, or ``None`` for the one that runs the suite.
    :param pip: the pip to upgrade to first, for a Python whose own pip is too old.
    """

    name: str
    requirements: tuple[str, ...]
    python: str | None = None
    pip: str | None = None

    @property
    def folder(self) -> Path:
        """The folder of the environment."""
        return WORKSPACE / self.name

    def executable(self, name: str = "python") -> str:
        """The path of one of the environment's commands."""
        return str(self.folder / "bin" / name)

    def ensure(self) -> None:
        """Make the environment, unless it already exists with exactly these requirements.

        :raises SetupError: the Python it needs is not on this machine, or pip failed.
        """
        interpreter = find_python(self.python)
        stamp = self.folder / "requirements.sha256"
        wanted = self._fingerprint(interpreter)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"Setting up {self.folder.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._run([interpreter, "-m", "venv", str(self.folder)])
        install = [self.executable(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if self.pip:
            self._run([*install, f"pip=={self.pip}"])
        self._run([*install, *self.requirements])
        stamp.write_text(wanted)

    def versions(self, *packages: str) -> dict[str, str]:
        """The version of each installed package."""
        listing = subprocess.run(
            [self.executable(), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        installed = dict(line.split("==", 1) for line in listing.splitlines() if "==" in line)
        installed = {name.lower().replace("_", "-"): version for name, version in installed.items()}
        return {name: installed[name] for name in packages if name in installed}

    def python_version(self) -> str:
        """The version of the environment's Python, as ``3.12.1``."""
        program = "import platform; print(platform.python_version())"
        return subprocess.run(
            [self.executable(), "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()

    def _fingerprint(self, interpreter: str) -> str:
        declared = "\n".join([interpreter, *self.requirements])
        if str(ROOT) in self.requirements:
            declared += (ROOT / "setup.cfg").read_text()
        return hashlib.sha256(declared.encode()).hexdigest()

    def _run(self, command: list[str]) -> None:
        finished = subprocess.run(command, capture_output=True, text=True)
        if finished.returncode:
            words = (finished.stderr or finished.stdout).strip().splitlines()[-3:]
            raise SetupError(f"{' '.join(command)}: {' / '.join(words) or finished.returncode}")


def find_python(version: str | None) -> str:
    """Find a Python of this version: by ``PYTHON36`` in the environment (for 3.6), on the PATH, or in pyenv.

    :param version: as ``"3.6"``; ``None`` is the Python that runs this program.
    :raises SetupError: there is none; the text says how to help.
    """
    if version is None:
        return os.path.realpath(sys.executable)
    variable = "PYTHON" + version.replace(".", "")
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    candidates = [
        os.environ.get(variable, ""),
        shutil.which(f"python{version}") or "",
        *sorted(glob.glob(f"{pyenv}/versions/{version}*/bin/python"), reverse=True),
    ]
    for candidate in filter(None, candidates):
        if _answers_as(candidate, version):
            return candidate
    raise SetupError(
        f"no Python {version} on this machine (install one, e.g. with pyenv, or set {variable} to its path)"
    )


def _answers_as(interpreter: str, version: str) -> bool:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([interpreter, "-c", program], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version
