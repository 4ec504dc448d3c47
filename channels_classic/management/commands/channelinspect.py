"""``manage.py channelinspect`` shows one group, one channel or one socket."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_classic.asgi import channel_layers
from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layers import BaseChannelLayer
from channels_classic.layers.names import check_channel, check_group
from channels_classic.log import printable
from channels_classic.log_context import client_id
from channels_classic.management.layers import using_layer


class Command(BaseCommand):
    """Shows what a layer knows about one group, channel or socket."""

    help = "Shows details of one group, channel or socket."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the argument: what to inspect."""
        parser.add_argument("kind", choices=["group", "channel", "socket"])
        parser.add_argument("name", help="The group, the channel, or the reply channel of the socket.")
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="The entry of CHANNEL_LAYERS to use.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the facts."""
        alias = options["layer"]
        try:
            with using_layer(alias):
                layer: BaseChannelLayer = channel_layers[alias].channel_layer
                found = INSPECT[options["kind"]](layer, options["name"])
        except (TypeError, ValueError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        for name, value in found.items():
            lines = value if isinstance(value, list) else [value]
            self.stdout.write(f"{name.replace('_', ' ')}: {', '.join(printable(str(line)) for line in lines)}")


def inspect_group(layer: BaseChannelLayer, name: str) -> dict[str, Any]:
    """The members of a group."""
    check_group(name)
    members = sorted(layer.group_channels(name))
    return {"group": name, "count": len(members), "members": members}


def inspect_channel(layer: BaseChannelLayer, name: str) -> dict[str, Any]:
    """What waits in a channel, and which workers receive on it."""
    check_channel(name)
    statistics = layer.channel_statistics(name)
    receivers = [process.name for process in layer.processes() if name in process.details.get("channels", ())]
    return {
        "channel": name,
        "waiting": int(statistics["messages_pending"]),
        "capacity": layer.capacity_of(name),
        "oldest_seconds": round(statistics["messages_max_age"], 1),
        "sent_so_far": int(statistics["messages_count"]),
        "refused_so_far": int(statistics["channel_full_count"]),
        "received_by": sorted(receivers),
    }


def inspect_socket(layer: BaseChannelLayer, name: str) -> dict[str, Any]:
    """The process that has a socket, and the groups that it is in."""
    check_channel(name)
    owner = name.partition("!")[0]
    found = {process.name: process for process in layer.processes()}
    process = found.get(owner)
    if process is None:
        raise CommandError(f"No process that is alive has a socket {name!r}. It has left, or was never there.")
    if name not in layer.clients(owner):
        raise CommandError(f"{owner} is alive, but has no socket {name!r}. It has left, or is no WebSocket.")
    details = process.details
    return {
        "socket": name,
        "client": client_id(name),
        "process": owner,
        "host": details.get("host"),
        "pid": details.get("pid"),
        "groups": sorted(layer.client_groups(name)),
    }


INSPECT = {"group": inspect_group, "channel": inspect_channel, "socket": inspect_socket}
