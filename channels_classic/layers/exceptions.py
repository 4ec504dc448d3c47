"""What a channel layer may raise, next to ``TypeError`` for a bad name or a bad message."""

from __future__ import annotations


class ChannelFull(Exception):
    """The channel holds as many messages as its capacity allows (specification, section 3)."""


class MessageTooLarge(Exception):
    """The message is larger than a channel layer carries: 1 MiB as JSON (specification, section 3)."""


class LayerUnavailable(ConnectionError):
    """The server behind the channel layer cannot be reached, or refuses to work, at the moment.

    Arguments:
        text: what happened, and where.
        nothing_done: the server surely saw nothing of the call, so that it can be made again.
    """

    def __init__(self, text: str, nothing_done: bool = False) -> None:
        super().__init__(text)
        self.nothing_done = nothing_done
