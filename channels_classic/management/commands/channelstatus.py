"""``manage.py channelstatus`` shows processes, channels, groups, consumers and errors, once or live."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from channels_classic.asgi import channel_layers
from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layers import LayerUnavailable
from channels_classic.log import printable
from channels_classic.management.layers import using_layer
from channels_classic.management.terminal import console_for, table_with
from channels_classic.monitoring.layer_view import LayerView
from channels_classic.monitoring.overview import Overview, overview

SECONDS = 2.0
"""Seconds between two looks. The numbers of processes come with their heartbeats, every 0.75 seconds."""

TABLES: dict[str, dict[str, str]] = {
    "processes": {
        "kind": "process",
        "host": "host",
        "pid": "pid",
        "age": "age",
        "sockets": "sockets",
        "received_per_second": "received/s",
        "sent_per_second": "sent/s",
        "full": "full",
    },
    "channels": {
        "channel": "channel",
        "waiting": "waiting",
        "oldest": "oldest",
        "per_second": "messages/s",
        "full": "full",
    },
    "consumers": {
        "consumer": "consumer",
        "calls": "calls",
        "mean_milliseconds": "mean ms",
        "seconds": "seconds in all",
        "errors": "errors",
    },
    "errors": {"time": "at", "consumer": "consumer that failed", "error": "error", "process": "in"},
    "groups": {"group": "group", "members": "members", "processes": "interface servers"},
}
"""The tables, each with its columns and their titles."""

ROWS = 15
"""The most rows of a table that is shown live, so that it fits a screen."""


class Command(BaseCommand):
    """Shows what happens in a channel layer."""

    help = "Shows what happens in a channel layer: processes, channels, groups, consumers, errors."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options: the layer, and the format."""
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="The entry of CHANNEL_LAYERS to use.")
        parser.add_argument("--watch", action="store_true", help="Refresh the tables until you press Ctrl-C.")
        parser.add_argument("--json", action="store_true", help="Print JSON; with --watch, one line per refresh.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look twice, and print. With ``--watch``, go on."""
        alias = options["layer"]
        with using_layer(alias):
            layer = channel_layers[alias]
        if layer.local_only():
            raise CommandError(
                f"CHANNEL_LAYERS[{alias!r}] is {type(layer.channel_layer).__name__}, which only the process that "
                "uses it can see. Give that process --monitor PORT, and look at its /metrics."
            )
        with using_layer(alias), suppress(KeyboardInterrupt):
            looks = Looks(LayerView(layer.channel_layer))
            if options["watch"]:
                self._watch(looks, options)
            else:
                self._print(looks.next(), options)

    def _watch(self, looks: Looks, options: dict[str, Any]) -> None:
        if options["json"]:
            while True:
                self.stdout.write(json.dumps(looks.next()))
                self.stdout.flush()
        with Live(console=console_for(self.stdout, options), screen=True, auto_refresh=False) as live:
            while True:
                try:
                    shown = tables(looks.next(), ROWS)
                except LayerUnavailable as error:
                    shown = Group(Text(printable(str(error)), style="bold red"))
                    time.sleep(SECONDS)
                live.update(shown, refresh=True)

    def _print(self, found: Overview, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
        else:
            console_for(self.stdout, options).print(tables(found))


class Looks:
    """Looks at a layer at regular intervals.

    Arguments:
        view: the view of the layer.
    """

    def __init__(self, view: LayerView) -> None:
        self._view = view
        self._before = view.look()
        self._at = time.monotonic()

    def next(self) -> Overview:
        """Look at the layer ``SECONDS`` after the last look.

        Raises:
            LayerUnavailable: the layer cannot be looked at.
        """
        time.sleep(max(0.0, self._at + SECONDS - time.monotonic()))
        now, at = self._view.look(), time.monotonic()
        found = overview(now, self._before, at - self._at)
        self._before, self._at = now, at
        return found


def tables(found: Overview, most: int | None = None) -> Group:
    """The tables of an overview, for people.

    Arguments:
        most: the most rows of each table.
    """
    letters = found["dead_letters"]
    parts: list[Text | Table] = [
        Text(f"Sockets: {found['sockets']}. Dead letters: {letters}.", style="bold red" if letters else "bold")
    ]
    if not any(process["kind"] == "worker" for process in found["processes"]):
        parts.append(Text("No worker is alive: nothing is answered.", style="bold red"))
    for name, columns in TABLES.items():
        if not found[name]:
            continue
        table = table_with(columns.values())
        for row in found[name][:most]:
            table.add_row(*(Text(printable(shown(column, row))) for column in columns))
        parts.append(table)
        count = found["group_count"] if name == "groups" else len(found[name])
        if count > table.row_count:
            at_least = "at least " if name == "groups" else ""
            parts.append(Text(f"... and {at_least}{count - table.row_count} more {name}", style="dim"))
    return Group(*parts)


def shown(column: str, row: dict[str, Any]) -> str:
    """The value of a row in a column, for people."""
    value = row[column]
    if column == "members" and row["at_least"]:
        return f"≥ {value}"
    if column == "time":
        return time.strftime("%H:%M:%S", time.localtime(value))
    if column == "age":
        return duration(value)
    if column == "oldest":
        return f"{value:g} s" if value else "-"
    return str(value)


def duration(seconds: float) -> str:
    """A duration for people: ``42 s``, ``7 min``, ``3 h`` or ``2 d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
