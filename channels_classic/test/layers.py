"""Replaces the layers of the settings by layers in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from channels_classic.asgi import channel_layers
from channels_classic.layers import BaseChannelLayer, InMemoryChannelLayer, Received
from channels_classic.layers.names import queue_name
from channels_classic.old_names import legacy_is_active
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


WAIT_PREFIX = "__wait__."
"""What came before the name of a client in the name of the channel that its early messages waited on."""


def next_received(layer: BaseChannelLayer, channel: str) -> Received | None:
    """Take the next message from ``channel``, which may be process-specific, with its full name.

    With ``channels_classic.legacy``, old tests find a message that waits for its turn too.
    """
    tell_changes()
    if legacy_is_active() and channel.startswith(WAIT_PREFIX):
        client = channel.removeprefix(WAIT_PREFIX)
        return _next_waiting(layer, client) or _next_waiting(layer, client.replace("?", "!"))
    queue = queue_name(channel)
    batch = layer.receive_batch([queue], limit=1 if queue == channel else layer.capacity_of(channel))
    position = next((number for number, received in enumerate(batch) if received.channel == channel), None)
    layer.give_back([received for number, received in enumerate(batch) if number != position])
    return None if position is None else batch[position]


def _next_waiting(layer: Any, client: str) -> Received | None:
    waiting: Received | None = layer.take_waiting(client)
    return waiting
