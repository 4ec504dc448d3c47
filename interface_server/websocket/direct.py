"""``Direct``: the fast path between a ``WebSocket`` and a connection that offers it.

ASGI passes each frame through a queue and a task. On the fast path a frame comes by a call, and a frame for many
sockets is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

DIRECT = "interface_server.direct"
"""The ASGI extension with the ``Direct`` of a socket."""


class Direct(Protocol):
    """The fast path to and from a socket after its accept."""

    listener: Callable[[str | bytes], None] | None
    """Called with each message of the client, when it is set."""

    was_stopped: bool
    """Whether the server, and not the client, ends the socket. Then all messages of the client are delivered."""

    def write(self, frame: bytes) -> bool:
        """Send an encoded frame. Returns ``False`` if the client reads slowly: then take the slow path."""

    def pause(self) -> None:
        """Stop reading from the client."""

    def resume(self) -> None:
        """Read from the client again."""
