"""The exceptions of a channel layer, besides ``TypeError`` for a bad name or a bad message."""

from __future__ import annotations

from channels_classic.layers.types import Received


class ChannelFull(Exception):
    """The channel holds as many messages as its capacity allows (specification, section 3)."""


class MessageTooLarge(Exception):
    """The message takes more than 1 MiB as JSON (specification, section 3)."""


class LayerUnavailable(ConnectionError):
    """The server behind the channel layer cannot be reached at the moment, or refuses to work.

    Arguments:
        text: what happened, and where.
        nothing_done: whether the call has certainly sent and changed nothing, so that you can repeat it.

    Attributes:
        repeatable: nobody knows how much the call has done, but the same taker may send the same messages again,
            before any others: no message arrives twice. Only ``send_and_receive`` sets it.
        received: the messages that the call took from its channels before it failed. Only ``send_and_receive`` and
            ``receive`` set it. Handle these messages as if the call had returned them.
    """

    def __init__(self, text: str, nothing_done: bool = False) -> None:
        super().__init__(text)
        self.nothing_done = nothing_done
        self.repeatable = False
        self.received: list[Received] = []


class Lapsed(LayerUnavailable):
    """The process was declared dead because its heartbeat had stopped, and others have taken over what it had.

    The call has done nothing, and must not be repeated: the process drops what it holds, and goes on under a new
    name.
    """

    def __init__(self, process: str) -> None:
        super().__init__(
            f"{process} was declared dead, because its heartbeat had stopped for too long. What it had taken runs "
            "elsewhere by now. Was the process stopped, or the machine asleep?",
            nothing_done=True,
        )
