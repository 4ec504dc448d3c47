"""What a consumer may raise to tell the worker something (specification, section 7)."""

from __future__ import annotations

from channels_classic.layer_settings import InvalidChannelLayerError
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
    """Put this message back on its channel: it cannot be handled yet."""


class RequestTimeout(Exception):
    """The body of a request did not arrive in time; the client is told 408."""


class RequestAborted(Exception):
    """The client went away before its request was complete; nobody is left to answer."""


class ResponseLater(Exception):
    """Raised by a view that gives no response: someone else answers on ``request.reply_channel``."""


class ChannelSocketException(Exception):
    """The base of exceptions by which a consumer ends, and which then act on its message."""

    def run(self, message: Message) -> None:
        """Act on the message whose consumer raised this."""
        raise NotImplementedError(f"{type(self).__name__} has to define run(message).")


class WebsocketCloseException(ChannelSocketException):
    """Close the WebSocket that the message came from.

    Arguments:
        code: the close code, 1000 or 3000 to 4999; without one, 1000.

    Raises:
        ValueError: another code: those are the protocol's own, no application may send them.
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

    What was sent to it before goes out before: if that accepts it, it is opened and then closed.
    """


class SendNotAvailableOnDemultiplexer(Exception):
    """A frame for a socket that streams share was to be sent without naming its stream."""
