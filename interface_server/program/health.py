"""The health of an interface server: whether its parts work, and whether it drains."""

from __future__ import annotations

import asyncio
import threading

from interface_server.context import Context
from interface_server.transport.server import Server

LOOP_SECONDS = 2.0
"""Seconds without an answer after which the event loop counts as stuck. Then all clients of the process wait."""


class ServerHealth:
    """The health of an interface server, for ``Monitor``. Threads other than that of the event loop call this.

    Arguments:
        server: the server, which has the connections.
        context: the context, which has the ways to and from the layer.
        loop: the event loop of both.
    """

    needs_workers = True

    def __init__(self, server: Server, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._context = context
        self._loop = loop

    @property
    def is_draining(self) -> bool:
        """Whether the server is stopping."""
        return self._server.is_stopping

    def obstacles(self) -> list[str]:
        """A text if messages of clients do not reach the layer. It may be one that can only be read."""
        is_cut_off = self._context.outbox.is_unreachable
        return ["messages of clients do not reach the channel layer"] if is_cut_off else []

    def dead_parts(self) -> list[str]:
        """Texts for the event loop if it is stuck, and for a part of the context that has failed."""
        if self._context.failed.is_set():
            return ["a part of the interface server failed: see its log"]
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:
            return []  # the loop has ended, and this process is about to
        if not answered.wait(LOOP_SECONDS):
            return [f"the event loop has not answered for {LOOP_SECONDS:g} s"]
        return []
