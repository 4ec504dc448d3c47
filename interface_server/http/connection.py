"""The interface between a connection and the object that answers its requests: plain calls, no tasks or queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from interface_server.asgi_types import Event


class Connection(Protocol):
    """The client's connection, for one request."""

    @property
    def is_writable(self) -> bool:
        """Whether the client keeps up. If not, ``Handler.resume_writing`` is called later."""

    def send(self, events: Sequence[Event]) -> None:
        """Send the next events of an ASGI response (``http.response.start`` and ``http.response.body``)."""

    def resume_reading(self) -> None:
        """Read the body of the request. No part of it is read before this call."""

    def pause_reading(self) -> None:
        """Stop reading the body for now."""

    def abort(self) -> None:
        """End the connection, because the response cannot be completed."""


class Handler(Protocol):
    """Answers one request."""

    def begin(self) -> None:
        """Begin: the request has arrived, except for its body."""

    def receive_body(self, data: bytes, more: bool) -> None:
        """Take a part of the body. ``more`` says whether another one follows."""

    def resume_writing(self) -> None:
        """Note that the client has caught up."""

    def leave(self) -> None:
        """Note that the client is gone."""
