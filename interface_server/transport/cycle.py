"""``Cycle``: one request on an HTTP connection, and its response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from interface_server.asgi_types import Event
from interface_server.http.connection import Handler
from interface_server.transport.http_parser import Head
from interface_server.transport.http_response import Response, media_type

EVENTS = b"text/event-stream"
"""The ``Accept`` header of browsers that ask for server-sent events."""


class ConnectionOfCycle(Protocol):
    """The part of a connection that a cycle needs."""

    is_writable: bool
    """Whether the client keeps up."""

    @property
    def is_last(self) -> bool:
        """Whether no more requests are read."""

    def write(self, data: bytes) -> None:
        """Send ``data``, unless the connection is over."""

    def advance(self) -> None:
        """Process the received bytes, as far as they are wanted."""

    def progress(self, cycle: Cycle) -> None:
        """Note that a part of the response of ``cycle`` was sent, and more follows."""

    def complete(self, cycle: Cycle) -> None:
        """Note that the response of ``cycle`` is complete."""

    def close(self) -> None:
        """Close when everything is sent."""

    def reset(self) -> None:
        """Close so that the client sees an error."""


class Cycle:
    """One request and its response on a connection: the ``Connection`` of a ``Handler``.

    Arguments:
        connection: the connection of the request.
        head: the head of the request.
    """

    __slots__ = ("_connection", "_expects_continue", "_head", "_wants_body", "body_left", "handler", "response")

    handler: Handler

    def __init__(self, connection: ConnectionOfCycle, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._expects_continue = head.expects_continue
        self.response = Response(head.keep_alive, head.version == "1.0", head.method == "HEAD")
        self.body_left = head.has_body
        """Whether a part of the body has not been read yet."""
        self._wants_body = False

    def __str__(self) -> str:
        return f"{self._head.method} {self._head.path.decode('latin-1')}"

    @property
    def is_endless(self) -> bool:
        """Whether the response is endless, or will be, because the client asks for server-sent events."""
        if self.response.has_started:
            return self.response.is_endless
        return any(name == b"accept" and media_type(value) == EVENTS for name, value in self._head.headers)

    @property
    def takes_body(self) -> bool:
        """Whether more of the body may be read now."""
        return self.body_left and self._wants_body

    @property
    def is_writable(self) -> bool:
        """See ``Connection``."""
        return self._connection.is_writable

    def send(self, events: Sequence[Event]) -> None:
        """See ``Connection``."""
        response = self.response
        for event in events:
            if event["type"] == "http.response.start":
                response.start(event["status"], event["headers"])
                if self.body_left or self._connection.is_last:
                    response.keep_alive = False
            else:
                self._connection.write(response.write(event.get("body", b""), event.get("more_body", False)))
        if response.is_complete:
            self._connection.complete(self)
        else:
            self._connection.progress(self)

    def resume_reading(self) -> None:
        """See ``Connection``."""
        if self._expects_continue and not self.response.has_started:
            self._expects_continue = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._wants_body:
            self._wants_body = True
            self._connection.advance()

    def pause_reading(self) -> None:
        """See ``Connection``."""
        self._wants_body = False

    def abort(self) -> None:
        """See ``Connection``."""
        if self.response.ends_with_connection:
            self._connection.reset()  # a normal close would look like the end of the response
        else:
            self._connection.close()
