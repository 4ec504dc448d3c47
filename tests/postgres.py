"""A real PostgreSQL for tests: a cluster of its own on a free port of this machine, gone with the test.

Debian's if it is installed, or what is on the PATH. Where there is none the test skips, and with
``REQUIRE_POSTGRES=1`` in the environment it fails.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import pytest

from tests.ports import free_port

START_SECONDS = 60
USER = "tests"


def postgres_programs_or_skip() -> Path:
    """The folder with ``initdb`` and ``postgres``."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    folders += [Path(on_path).resolve().parent] if on_path else []
    folders = [folder for folder in folders if all((folder / name).exists() for name in ("initdb", "postgres"))]
    if not folders:
        reason = "No PostgreSQL: install Debian's package postgresql, or put initdb and postgres on the PATH."
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return folders[-1]


class PostgresServer:
    """One cluster, whose database ``postgres`` the test may use."""

    def __init__(self) -> None:
        self.programs = postgres_programs_or_skip()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._folder = tempfile.TemporaryDirectory(prefix="postgres-")
        self._options: dict[str, Any] = {"cwd": self._folder.name}
        if os.getuid() == 0:  # as whom PostgreSQL refuses to run
            somebody = pwd.getpwnam("nobody")
            os.chown(self._folder.name, somebody.pw_uid, somebody.pw_gid)
            self._options |= {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}

    @property
    def settings(self) -> dict[str, Any]:
        """For ``DATABASES``."""
        where = {"HOST": "127.0.0.1", "PORT": str(self.port), "USER": USER, "NAME": "postgres"}
        return {"ENGINE": "django.db.backends.postgresql", **where}

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection for the test itself, which commits each statement."""
        return psycopg.connect(host="127.0.0.1", port=self.port, user=USER, dbname=database, autocommit=True)

    def new_database(self) -> dict[str, Any]:
        """Make an empty database; gives its settings for ``DATABASES``."""
        name = f"tests{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return {**self.settings, "NAME": name}

    @property
    def log(self) -> str:
        """Its output."""
        return Path(self._folder.name, "log").read_text(errors="replace")

    def __enter__(self) -> PostgresServer:
        with Path(self._folder.name, "log").open("wb") as log:
            output = {"stdout": log, "stderr": log}
            make = [self.programs / "initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8"]
            subprocess.run([*make, "--no-locale", "--no-sync"], check=True, **output, **self._options)
            # Without waiting for the disk (-F): it is for a minute.
            serve = [
                self.programs / "postgres",
                "-D",
                "data",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-k",
                ".",
                "-F",
            ]
            self._process = subprocess.Popen(serve, **output, **self._options)
        deadline = time.monotonic() + START_SECONDS
        while "ready to accept connections" not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                pytest.fail(f"PostgreSQL does not start:\n{self.log}", pytrace=False)
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS)
        self._folder.cleanup()
