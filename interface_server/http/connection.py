"""The contract between a connection and the object that answers its requests: plain calls, no tasks or queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from interface_server.asgi_types import Event


class Connection(Protocol):
    """The part of a client's connection that concerns one request."""

    @property
    def is_writable(self) -> bool:
        """Whether the client keeps up with what is sent; if not, ``Handler.resume_writing`` is called later."""

    def send(self, events: Sequence[Event]) -> None:
        """Send the next events of an ASGI response (``http.response.start`` and ``http.response.body``)."""

    def resume_reading(self) -> None:
        """Read the body of the request. Nothing is read before this is called."""

    def pause_reading(self) -> None:
        """Let nothing more of the body come for now."""

    def abort(self) -> None:
        """End the connection, since the response cannot be completed."""


class Handler(Protocol):
    """Answers one request."""

    def begin(self) -> None:
        """The request is there, but for its body."""

    def receive_body(self, data: bytes, more: bool) -> None:
        """Take a part of the body, whether or not ``more`` follows."""

    def resume_writing(self) -> None:
        """The client has caught up with what was sent."""

    def leave(self) -> None:
        """The client is gone."""
