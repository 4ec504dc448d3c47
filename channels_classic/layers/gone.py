"""Clients that are gone: a worker that streams an answer to such a client asks here, and stops."""

from __future__ import annotations

from collections.abc import Iterable

from channels_classic.layers import names
from channels_classic.layers.base import BaseChannelLayer

KNOWN_SECONDS = 300
"""Seconds for which this is known. A stream whose parts are further apart does not notice."""


def tell_gone(layer: BaseChannelLayer, reply_channels: Iterable[str]) -> None:
    """Announce that the clients of these channels are gone.

    A layer without the extension "values" cannot keep this, so senders go on.
    """
    if "values" in layer.extensions:
        for reply_channel in reply_channels:
            layer.set_value(_name(reply_channel), b"", KNOWN_SECONDS, replace=False)


def is_gone(layer: BaseChannelLayer, reply_channel: str) -> bool:
    """Whether the client of a reply channel, or its interface server, is known to be gone."""
    if "values" in layer.extensions and layer.get_value(_name(reply_channel)) is not None:
        return True
    return "processes" in layer.extensions and layer.has_ended(names.process_name(reply_channel))


def _name(reply_channel: str) -> str:
    return f"gone:{reply_channel}"
