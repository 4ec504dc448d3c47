"""The states of a WebSocket's connection.

    asked ──websocket.accept──▶ open ──close from either side──▶ closing ──▶ lost
      │                          └─the server stops─▶ leaving ──────▲
      └─────────────── refused ────────────────────────────────────────────────▲

A server that stops sends a close, and still takes the messages that come before the client's answer.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """The states of a connection."""

    ASKED = enum.auto()
    """The application has the handshake, and has not answered yet."""
    REFUSING = enum.auto()
    """The application has begun a response that refuses the handshake."""
    OPEN = enum.auto()
    LEAVING = enum.auto()
    """The server stops, and has sent a close frame. It takes messages until the client's answer."""
    CLOSING = enum.auto()
    """One side has sent a close frame, or the handshake was refused; the connection ends soon."""
    LOST = enum.auto()


class ClientGone(OSError):
    """The client is gone, so nothing can be sent to it."""
