"""The files of a project, and its Python modules as syntax trees."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from channels_classic.legacycheck.finding import Finding

SKIPPED = {"__pycache__", "bower_components", "build", "dist", "env", "node_modules", "site-packages", "venv"}
"""Folders with code of others. Virtual environments, and folders whose names begin with a dot, count too."""

LARGEST = 1_000_000
"""Bytes; a larger file was not written by hand."""


class SourceFile:
    """A text file of the project.

    Arguments:
        path: where it is.
        name: its path from the folder of the project.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def finding(self, line: int, rule: str, cause: str, remedy: str) -> Finding:
        """A finding in this file."""
        return Finding(self.name, line, rule, cause, remedy)

    @functools.cached_property
    def text(self) -> str:
        """The content of the file."""
        return self.path.read_text(errors="replace")

    @functools.cached_property
    def lines(self) -> list[str]:
        """The lines of the file."""
        return self.text.splitlines()

    @functools.cached_property
    def syntax_error(self) -> SyntaxError | None:
        """The syntax error, if it is not Python 3."""
        try:
            self._parsed = ast.parse(self.text.lstrip("\ufeff"))
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError) as error:  # a NUL byte; nested too deep
            return SyntaxError(str(error))
        return None

    @property
    def tree(self) -> ast.Module:
        """The syntax tree; empty if the file is not Python 3."""
        return ast.Module([], []) if self.syntax_error else self._parsed


class Project:
    """A folder with a project in it.

    Arguments:
        folder: where ``manage.py`` is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = [SourceFile(path, path.relative_to(folder).as_posix()) for path in sorted(_files(folder))]
        self.modules = [file for file in self.files if file.name.endswith(".py")]

    def module(self, dotted: str) -> SourceFile | None:
        """The file of a module by its dotted name, starting from the folder of the project."""
        path = dotted.replace(".", "/")
        return next((file for file in self.modules if file.name in (f"{path}.py", f"{path}/__init__.py")), None)


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = [
            name
            for name in folders
            if name not in SKIPPED and not name.startswith(".") and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in names:
            path = here / name
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
                yield path
