"""Replaces the layers of the settings by layers in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from channels_classic.asgi import channel_layers
from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, Received
from channels_classic.layers.names import queue_name
from channels_classic.test.commits import tell_changes

KEPT = ("expiry", "group_expiry", "capacity", "channel_capacity")
"""The keys of ``CONFIG`` that a layer in memory takes from the layer that it replaces."""


@contextmanager
def in_memory_layers(aliases: Iterable[str] | None = None) -> Iterator[None]:
    """Within this block (or function), the channel layers are new ones in memory, with their usual routing.

    Arguments:
        aliases: the aliases in ``settings.CHANNEL_LAYERS`` to replace. The default is all.

    Raises:
        InvalidChannelLayerError: the setting has no such layer, or its routing cannot be made.
    """
    with ExitStack() as stack:
        for alias in channel_layers.configs if aliases is None else aliases:
            config = channel_layers.configs.get(alias, {}).get("CONFIG", {})
            layer = InMemoryChannelLayer(**{key: config[key] for key in KEPT if key in config})
            former = channel_layers.set(alias, channel_layers.wrap(alias, layer))
            stack.callback(channel_layers.set, alias, former)
        yield


def next_received(layer: BaseChannelLayer, channel: str) -> Received | None:
    """Take the next message from ``channel``, which may be process-specific, with its full name."""
    tell_changes()
    queue = queue_name(channel)
    batch = layer.receive_batch([queue], limit=1 if queue == channel else layer.capacity_of(channel))
    position = next((number for number, received in enumerate(batch) if received.channel == channel), None)
    layer.give_back([received for number, received in enumerate(batch) if number != position])
    return None if position is None else batch[position]
