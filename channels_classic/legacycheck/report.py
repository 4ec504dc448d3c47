"""Collects all findings in a project, and formats them."""

from __future__ import annotations

import json
from pathlib import Path

from channels_classic.legacycheck import code, django_changes, old_imports, programs, python_changes, settings
from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.project import Project

CHECKS = (
    old_imports.check,
    settings.check,
    code.check,
    programs.check,
    python_changes.check,
    django_changes.check,
)


def find(folder: Path) -> list[Finding]:
    """Everything that has to change in a project, by file and line. The project is neither run nor changed.

    Arguments:
        folder: where its ``manage.py`` is.

    Raises:
        NotADirectoryError: there is no such folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder.")
    project = Project(folder)
    return sorted({finding for check in CHECKS for finding in check(project)})


def as_text(findings: list[Finding]) -> str:
    """The findings for people."""
    if not findings:
        return "Nothing was found that has to change."
    places = "1 place has" if len(findings) == 1 else f"{len(findings)} places have"
    return "\n".join([*map(str, findings), "", f"{places} to change."])


def as_json(findings: list[Finding]) -> str:
    """The findings for programs: a list of objects with ``file``, ``line``, ``rule``, ``cause`` and ``remedy``."""
    return json.dumps([finding._asdict() for finding in findings], indent=2, ensure_ascii=False)
