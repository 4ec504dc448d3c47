"""The console and the tables of the commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any, cast

from django.core.management.base import OutputWrapper
from rich import box
from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 240
"""Characters per line without a terminal. Lines stay whole, for ``grep``."""


def console_for(stdout: OutputWrapper, options: dict[str, Any]) -> Console:
    """Make a console on the output of a command.

    Arguments:
        options: the options of the command: ``force_color`` and ``no_color``.
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
    """Make an empty table with these columns."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
