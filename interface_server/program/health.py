"""How an interface server is: whether its parts work, and whether it is about to stop."""

from __future__ import annotations

import asyncio
import threading

from interface_server.context import Context
from interface_server.transport.server import Server

LOOP_SECONDS = 2.0
"""An event loop that does nothing else for so long is stuck: all clients of the process wait."""


class ServerHealth:
    """What ``Monitor`` asks; it answers in other threads than that of the event loop.

    Arguments:
        server: that has the connections.
        context: that has the ways to and from the layer.
        loop: that both run on.
    """

    needs_workers = True

    def __init__(self, server: Server, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._context = context
        self._loop = loop

    @property
    def is_draining(self) -> bool:
        """Whether the server stops."""
        return self._server.is_stopping

    def dead_parts(self) -> list[str]:
        """The event loop if it is stuck, and a part of the context that failed."""
        if self._context.failed.is_set():
            return ["a part of the interface server failed: see its log"]
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:
            return []  # it has ended, and so will this process
        if not answered.wait(LOOP_SECONDS):
            return [f"the event loop has not answered for {LOOP_SECONDS:g} s"]
        return []
