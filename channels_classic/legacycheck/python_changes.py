"""Finds what Python 3 has changed: syntax, and imports of neighbouring modules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.project import Project, SourceFile


def check(project: Project) -> Iterator[Finding]:
    """Look at all modules of the project."""
    for file in project.modules:
        error = file.syntax_error
        if error is not None:
            yield file.finding(
                error.lineno or 1,
                "python-3",
                f"This is not a Python 3: {error.msg}.",
                "Let 2to3 or pyupgrade do most of it.",
            )
        yield from _check_imports(project, file)


def _check_imports(project: Project, file: SourceFile) -> Iterator[Finding]:
    package = file.name.rpartition("/")[0].replace("/", ".")
    if not package or project.module(package) is None:
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            beside = project.module(f"{package}.{top}")
            if beside is not None and project.module(top) is None and top not in sys.stdlib_module_names:
                yield file.finding(
                    node.lineno,
                    "python-3",
                    f"In Python 3 {name!r} is not the module beside this one.",
                    f"Write 'from . import {top}', or 'from .{name} import …'.",
                )
