"""Exceptions by which a consumer tells the worker what to do (specification, section 7)."""

from __future__ import annotations

from channels_classic.layer_settings.entries import InvalidChannelLayerError
from channels_classic.message import Message

__all__ = [
    "ChannelSocketException",
    "ConsumeLater",
    "DenyConnection",
    "InvalidChannelLayerError",
    "RequestAborted",
    "RequestTimeout",
    "ResponseLater",
    "SendNotAvailableOnDemultiplexer",
    "WebsocketCloseException",
]


class ConsumeLater(Exception):
    """Put the message back on its channel, because it cannot be handled yet."""


class RequestTimeout(Exception):
    """The body of a request did not arrive in time; the client gets 408."""


class RequestAborted(Exception):
    """The client left before its request was complete, so there is nobody to answer."""


class ResponseLater(Exception):
    """Raised by a view that returns no response: other code answers on ``request.reply_channel``."""


class ChannelSocketException(Exception):
    """The base of exceptions that end a consumer and then act on its message."""

    def run(self, message: Message) -> None:
        """Act on the message whose consumer raised this."""
        raise NotImplementedError(f"{type(self).__name__} has to define run(message).")


class WebsocketCloseException(ChannelSocketException):
    """Close the WebSocket that the message came from.

    Arguments:
        code: the close code, 1000 or 3000 to 4999; without one, 1000.

    Raises:
        ValueError: the code is another one: only the protocol itself may use those.
    """

    def __init__(self, code: int | None = None) -> None:
        if code is not None and code != 1000 and not 3000 <= code <= 4999:
            raise ValueError(f"A close code must be 1000 or between 3000 and 4999, not {code!r}.")
        super().__init__(code)
        self.code = code

    def run(self, message: Message) -> None:
        """Send the close."""
        if message.reply_channel is None:
            raise ValueError(f"WebsocketCloseException needs a message with a reply channel, not {message!r}.")
        message.reply_channel.send({"close": True if self.code is None else self.code})


class DenyConnection(Exception):
    """Refuse the WebSocket whose ``websocket.connect`` message is being handled.

    Messages that were sent to it before are sent first. If one of them accepts the socket, it is opened and then
        closed.
    """


class SendNotAvailableOnDemultiplexer(Exception):
    """A consumer on a shared socket tried to send a frame that names no stream."""
