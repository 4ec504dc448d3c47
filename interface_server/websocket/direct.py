"""``Direct``: the fast path between a ``WebSocket`` and a connection that offers it.

ASGI hands each frame over by a queue and a task. On the fast path frames come by a call, and a frame that is the
same for many sockets is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

DIRECT = "interface_server.direct"
"""The ASGI extension under which a socket's scope has its ``Direct``."""


class Direct(Protocol):
    """The fast path to and from a socket, from its accept on."""

    listener: Callable[[str | bytes], None] | None
    """Called with each message of the client, once it is set."""

    was_stopped: bool
    """Whether the server, and not the client, ends the socket: all that the client has said is delivered."""

    def write(self, frame: bytes) -> bool:
        """Send an encoded frame; ``False`` where it has to take the slow path (the client reads slowly)."""

    def pause(self) -> None:
        """Read nothing more from the client."""

    def resume(self) -> None:
        """Read on."""
