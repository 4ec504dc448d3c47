"""``WebsocketDemultiplexer`` for old code: before Channels 1.0, streams had channels instead of consumers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channels_classic.channel import Channel
from channels_classic.generic import frames, websockets
from channels_classic.message import Message


class WebsocketDemultiplexer(websockets.WebsocketDemultiplexer):
    """A demultiplexer that may have a ``mapping`` of streams to channels, instead of ``consumers``.

    The payload of a frame is sent to the channel of its stream, with the reply channel of the socket.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        mapping = vars(cls).get("mapping") or (not cls.consumers and getattr(cls, "mapping", None))
        if mapping and "consumers" not in vars(cls):
            cls.consumers = {stream: _forwarding_to(channel) for stream, channel in mapping.items()}
        super().__init_subclass__(**kwargs)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """The message with ``payload`` in a frame of ``stream``."""
        return cls.multiplexer_class.encode(stream, payload)

    def send(self, *args: Any, **kwargs: Any) -> None:
        """With a ``mapping``: send a payload to the client: ``send(stream, payload)``."""
        if not hasattr(self, "mapping"):
            super().send(*args, **kwargs)
        self._reply_channel.send(self.encode(*args, **kwargs))

    @classmethod
    def group_send(cls, *args: Any, **kwargs: Any) -> None:
        """With a ``mapping``: send a payload to a group: ``group_send(name, stream, payload, close=False)``."""
        if not hasattr(cls, "mapping"):
            super().group_send(*args, **kwargs)
        cls.multiplexer_class.group_send(*args, **kwargs)


def _forwarding_to(channel: str) -> Callable[..., None]:
    """A consumer of a stream that sends the payloads to a channel."""

    def forward(message: Message, **kwargs: Any) -> None:
        if message.channel.name == "websocket.receive":
            payload = {**frames.decode(message["text"]), "reply_channel": message["reply_channel"]}
            Channel(channel, channel_layer=message.channel_layer).send(payload)

    return forward
