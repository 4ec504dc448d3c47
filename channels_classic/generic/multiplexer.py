"""Frames that name the stream they belong to (specification, section 10)."""

from __future__ import annotations

from typing import Any

from channels_classic.channel import Channel, Group
from channels_classic.generic import frames

__all__ = ["WebsocketMultiplexer"]


class WebsocketMultiplexer:
    """Sends frames for the consumer of one stream, when several streams share a socket.

    Arguments:
        stream: the name of the stream.
        reply_channel: of the socket.
    """

    def __init__(self, stream: str, reply_channel: Channel | None) -> None:
        self.stream = stream
        self.reply_channel = reply_channel

    def send(self, payload: Any) -> None:
        """Send ``payload`` to the client, in a frame of this stream."""
        assert self.reply_channel is not None
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send ``payload``, in a frame of ``stream``, to each socket of a group on the default channel layer.

        Arguments:
            close: close the sockets after the frame: ``True``, or a close code.
        """
        message = cls.encode(stream, payload)
        if close:
            message["close"] = close
        Group(name).send(message)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """The message, for a reply channel or a group, with ``payload`` in a frame of ``stream``."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """``content`` as the text of a frame."""
        return frames.encode(content)
