"""What the tests of the test helpers share."""

from __future__ import annotations

from typing import Any

from channels_classic import channel_layers
from channels_classic.message import Message

MEMORY = "channels_classic.layers.InMemoryChannelLayer"
TWO_LAYERS = {
    "default": {"BACKEND": MEMORY, "CONFIG": {"capacity": 3, "expiry": 7}, "ROUTING": {}},
    "other": {"BACKEND": MEMORY, "ROUTING": {}},
}


def echo(message: Message) -> str:
    message.reply_channel.send({"text": message["text"]})
    return "echoed"


def layers() -> list[Any]:
    return [channel_layers[alias].channel_layer for alias in ("default", "other")]
