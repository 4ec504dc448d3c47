"""``Shared``: what all WebSockets of a process have in common, besides the context."""

from __future__ import annotations

from interface_server.context import Context
from interface_server.websocket.frames import FrameEncoder
from interface_server.websocket.goodbyes import Goodbyes


class Shared:
    """The encoder of frames, which go to many sockets at once, and the way for goodbyes.

    Arguments:
        context: of the process, started.
    """

    def __init__(self, context: Context) -> None:
        self.frames = FrameEncoder()
        self.goodbyes = Goodbyes(context.layer, context.outbox, context.reader)
