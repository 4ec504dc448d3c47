"""``Finding``: a place in a project that has to change."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """A place that has to change.

    Arguments:
        file: its path, from the folder of the project.
        line: counted from 1.
        rule: the name of the kind of finding.
        cause: the problem, and why it will not work.
        remedy: what to do.
    """

    file: str
    line: int
    rule: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.cause}\n    {self.remedy} [{self.rule}]"
