"""How far the connection of a WebSocket has got.

    asked ──websocket.accept──▶ open ──close from either side──▶ closing ──▶ lost
      │                          └─the server stops─▶ leaving ──────▲
      └─────────────── refused ────────────────────────────────────────────────▲

When the server stops it sends a close, and goes on taking what the client had sent before it answers.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """How far a connection has got."""

    HEAD = enum.auto()
    """The head of the handshake is to come."""
    ASKED = enum.auto()
    """The application has been asked."""
    REFUSING = enum.auto()
    """The application has begun a response that refuses the handshake."""
    OPEN = enum.auto()
    LEAVING = enum.auto()
    """The server stops, and has sent a close frame. What comes before the client's answer is taken."""
    CLOSING = enum.auto()
    """One side has sent a close frame, or the handshake was refused; the connection ends soon."""
    LOST = enum.auto()


class ClientGone(OSError):
    """The client is gone: nothing can be sent to it."""
