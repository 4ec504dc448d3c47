"""``manage.py channels`` shows the layers, the routing, and the default routes."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.table import Table
from rich.text import Text

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.http.staticfiles import default_http_consumer
from channels_classic.log import printable
from channels_classic.management.description import describe_layer
from channels_classic.management.routing_table import Row, rows
from channels_classic.management.terminal import console_for, table_with


class Command(BaseCommand):
    """Shows which consumer gets which message. It asks no server, so it works while Redis is away."""

    help = "Shows the channel layers and their routing: channel, filter, consumer, file and line."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options: the layer, and the format."""
        parser.add_argument("--layer", help="Show only this entry of CHANNEL_LAYERS.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the tables."""
        try:
            aliases = [options["layer"]] if options["layer"] else list(channel_layers.configs)
            layers = [channel_layers[alias] for alias in aliases]
        except InvalidChannelLayerError as error:
            raise CommandError(str(error)) from None
        for layer in layers:
            # The defaults are added to a copy of the routing, as runserver and runworker add them to theirs.
            layer.router.check_default(default_http_consumer())
        if options["json"]:
            self.stdout.write(json.dumps({"layers": [as_json(layer) for layer in layers]}, indent=2))
            return
        console = console_for(self.stdout, options)
        for layer in layers:
            console.print(Text(describe_layer(layer)))
            console.print(table(rows(layer.router)))


def table(found: list[Row]) -> Table:
    """The rows as a table for people. The default routes are at the end, and are marked."""
    table = table_with(["channel", "filter", "consumer", "defined in"])
    for row in found:
        filters = ", ".join(f"{key}={' + '.join(patterns)}" for key, patterns in row.filters.items())
        where = "not routed" if row.default else f"{row.file}:{row.line}" if row.file else ""
        cells = [row.channel, filters, row.consumer, where]
        table.add_row(*(Text(printable(cell)) for cell in cells), style="dim" if row.default else "")
    return table


def as_json(layer: ChannelLayerWrapper) -> dict[str, Any]:
    """The facts about a layer."""
    backend = type(layer.channel_layer)
    return {
        "alias": layer.alias,
        "backend": f"{backend.__module__}.{backend.__qualname__}",
        "servers": layer.channel_layer.describe_servers(),
        "routing": layer.routing if isinstance(layer.routing, str) else None,
        "routes": [vars(row) for row in rows(layer.router)],
    }
