"""``Shared``: what all WebSockets of a process share, besides the context."""

from __future__ import annotations

from interface_server.context import Context
from interface_server.websocket.frames import FrameEncoder
from interface_server.websocket.goodbyes import Goodbyes


class Shared:
    """The encoder for frames to many sockets, and the goodbyes.

    Arguments:
        context: the context of the process, which has been started.
    """

    def __init__(self, context: Context) -> None:
        self.frames = FrameEncoder()
        self.goodbyes = Goodbyes(context.layer, context.outbox, context.reader)
