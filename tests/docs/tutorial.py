"""Reads ``docs/getting-started.md`` like somebody who types everything in."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.forked import REPOSITORY
from tests.project import Project

PAGE = Path(__file__).resolve().parents[2] / "docs" / "getting-started.md"

HEADING = re.compile(r"#+ (?P<heading>.+)")
FENCE = re.compile(r"```(?:\{code-block\} )?(?P<language>\w*)")
CAPTION = re.compile(r":caption: (?P<file>[\w/.]+)(?:, (?:(?P<end>at its end)|instead of (?P<name>\w+)))?")

LANGUAGES = {"python", "html", "sh", "js"}
PREPARATIONS = {"startapp", "makemigrations", "migrate", "createsuperuser"}
"""The commands that change the project. Others are for when the section is complete."""


QUICK_HASHES = """\
from mysite.settings import *
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
"""The settings of the project, but for hashes that cost a third of a second at each log-in."""


@dataclass(frozen=True)
class Block:
    """A piece of code of the page.

    Arguments:
        caption: what stands above it: the file, and where in it, if not the whole.
    """

    language: str
    caption: str
    text: str

    def commands(self) -> list[list[str]]:
        """The lines of a terminal, split into words."""
        return (
            [shlex.split(line, comments=True) for line in self.text.splitlines()] if self.language == "sh" else []
        )


def read(page: Path = PAGE) -> dict[str, list[Block]]:
    """The sections that have code, in the order of the page."""
    sections: dict[str, list[Block]] = {}
    heading = ""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if match := HEADING.fullmatch(line):
            heading = match["heading"]
        elif line.startswith("```{index}"):  # It is for the search of the documentation.
            next(lines)
        elif match := FENCE.match(line):
            if match["language"] not in LANGUAGES:
                raise ValueError(f"The page has a block that begins with {line!r}; only {LANGUAGES} are tried.")
            inside = list(iter(lambda: next(lines), "```"))
            caption = inside.pop(0) if inside[0].startswith(":caption:") else ""
            block = Block(match["language"], caption, "\n".join(inside).lstrip("\n") + "\n")
            sections.setdefault(heading, []).append(block)
    return sections


class Reader:
    """Somebody who types in one section after another.

    Arguments:
        folder: where to begin; an empty one.
        redis: ``host:port`` of the Redis that there is.
        password: what to answer when a command asks for one.
    """

    def __init__(self, folder: Path, redis: str, password: str) -> None:
        self.project = Project(folder, {"quick.py": QUICK_HASHES})
        self.project.environment |= {
            "DJANGO_SETTINGS_MODULE": "quick",
            "DJANGO_SUPERUSER_PASSWORD": password,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(folder)]),
        }
        self._redis = redis
        self.servers: list[list[str]] = []
        """The options of the programs that the page last told to start."""

    def type_in(self, blocks: list[Block]) -> None:
        servers = []
        for block in blocks:
            if block.language in ("python", "html"):
                self._write(block)
            for command in block.commands():
                if command[0] == "python" and command[2] in ("runserver", "runworker"):
                    servers.append(command[2:])
                else:
                    self._run(command)
        self.servers = servers or self.servers

    def _write(self, block: Block) -> None:
        place = CAPTION.fullmatch(block.caption)
        if place is None:
            raise ValueError(f"Nobody knows where to type this, by its caption {block.caption!r}:\n{block.text}")
        file = self.project.folder / place["file"]
        text = block.text.replace("127.0.0.1:6379", self._redis)
        before = file.read_text() if place["end"] or place["name"] else ""
        if place["name"]:
            before, found = re.subn(rf"^{place['name']} = \{{\n.*?^\}}\n", "", before, flags=re.S | re.M)
            assert found == 1, f"{file} has {found} times {place['name']}."
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(before + text)

    def _run(self, command: list[str]) -> None:
        match command:
            case ["django-admin", *arguments]:
                done = self.project.python("-m", "django", *arguments)
                assert done.returncode == 0, done.stderr
            case ["cd", folder]:
                self.project.folder /= folder
            case ["python", "manage.py", "createsuperuser", *arguments]:
                self.project.manage("createsuperuser", "--noinput", *arguments)
            case ["python", "manage.py", name, *arguments] if name in PREPARATIONS:
                self.project.manage(name, *arguments)
            case ["python", "manage.py", *_] | ["docker" | "sudo" | "brew", *_]:
                pass  # as for the latter: there is a Redis
            case _:
                raise ValueError(f"Nobody knows how to run {command}.")
