"""Describes a channel layer in one line, for people who start a process."""

from __future__ import annotations

from typing import Any

from channels_classic.asgi import ChannelLayerWrapper


def describe_layer(layer: ChannelLayerWrapper) -> str:
    """The name of a layer, its class, the addresses of its servers and its routing, without passwords."""
    bare = layer.channel_layer
    where = bare.describe_servers()
    kind = f"{type(bare).__name__} at {where}" if where else type(bare).__name__
    channels = routed_channels(layer)
    count = "1 channel" if len(channels) == 1 else f"{len(channels) or 'no'} channels"
    return f"Channel layer {layer.alias!r}: {kind}. Routing{_name_of(layer.routing)}: {count}."


def routed_channels(layer: ChannelLayerWrapper) -> list[str]:
    """The channels that the project itself routes, sorted, without those that have only default routes."""
    defaults = set(map(id, layer.router.defaults))
    channels: set[str] = set()
    for route in layer.router.root.routing:
        if id(route) not in defaults:
            channels |= route.channel_names()
    return sorted(channels)


def _name_of(routing: Any) -> str:
    return f" {routing}" if isinstance(routing, str) else ""
