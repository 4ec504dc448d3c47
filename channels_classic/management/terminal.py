"""The console and the form of tables, for the commands that show some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any, cast

from django.core.management.base import OutputWrapper
from rich import box
from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 240
"""Characters of a line where there is no terminal: lines stay whole, for ``grep``."""


def console_for(stdout: OutputWrapper, options: dict[str, Any]) -> Console:
    """A console on the output of a command.

    Arguments:
        options: of the command; ``force_color`` and ``no_color`` count.
    """
    console = Console(
        file=cast(IO[str], stdout),
        force_terminal=True if options["force_color"] else None,
        no_color=options["no_color"],
        highlight=False,
    )
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def table_with(titles: Iterable[str]) -> Table:
    """An empty table with these columns."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
