"""Calls an ASGI application for one request on an HTTP connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from channels_classic.log import logger
from interface_server.asgi_types import Application, Event, Scope
from interface_server.headers import checked_headers
from interface_server.http.connection import Connection

BODY_PAUSE = 64 * 1024
"""The most bytes of a body that wait for the application. Beyond that, reading stops."""


class AsgiCall:
    """Answers a request by a call of the application in a task of its own (ASGI 3, HTTP).

    Arguments:
        application: the ASGI 3 application.
        scope: the scope of the request.
        has_body: whether a body follows.
        connection: the connection of the client.
        tasks: holds the task while it runs.
    """

    def __init__(
        self,
        application: Application,
        scope: Scope,
        has_body: bool,
        connection: Connection,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._application = application
        self._scope = scope
        self._connection = connection
        self._tasks = tasks
        self._body = bytearray()
        self._body_is_complete = not has_body
        self._request_was_taken = False
        self._has_started = False
        self._is_over = False
        self._change = asyncio.Event()

    def __str__(self) -> str:
        """The request, for the log."""
        return f"{self._scope['method']} {self._scope['path']}"

    def begin(self) -> None:
        """See ``Handler``."""
        task = asyncio.get_running_loop().create_task(self._run(), name=str(self))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def receive_body(self, data: bytes, more: bool) -> None:
        """See ``Handler``."""
        self._body += data
        self._body_is_complete = not more
        if more and len(self._body) >= BODY_PAUSE:
            self._connection.pause_reading()
        self._change.set()

    def resume_writing(self) -> None:
        """See ``Handler``."""
        self._change.set()

    def leave(self) -> None:
        """See ``Handler``."""
        self._is_over = True
        self._change.set()

    async def _run(self) -> None:
        try:
            await self._application(self._scope, self._receive, self._send)
            if not self._is_over:
                logger.error("The application returned before its response to %s was complete.", self)
                self._fail()
        except (Exception, SystemExit):
            logger.exception("The application failed at %s:", self)
            self._fail()
        except asyncio.CancelledError:  # the server cancels this when it has waited long enough
            self._connection.abort()
            raise

    def _fail(self) -> None:
        if self._is_over:
            return
        if self._has_started:
            self._connection.abort()
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        start = {"type": "http.response.start", "status": 500, "headers": headers}
        self._connection.send([start, {"type": "http.response.body", "body": b"Internal Server Error"}])

    async def _receive(self) -> Event:
        if not self._request_was_taken:
            if not self._body_is_complete:
                self._connection.resume_reading()
            await self._wait_until(lambda: self._body or self._body_is_complete)
            if not self._is_over:
                self._request_was_taken = self._body_is_complete
                body = bytes(self._body)
                self._body.clear()
                return {"type": "http.request", "body": body, "more_body": not self._body_is_complete}
        await self._wait_until(lambda: False)
        return {"type": "http.disconnect"}

    async def _send(self, event: Event) -> None:
        if self._is_over:
            await asyncio.sleep(0)  # the client has left, and the application gets http.disconnect
            return
        event = checked_event(event)
        self._connection.send([event])
        if event["type"] == "http.response.body":
            self._has_started = True
            if not event.get("more_body", False):
                self.leave()
                return
        # An application that waits for nothing else would let no other client have its turn.
        await asyncio.sleep(0)
        await self._wait_until(lambda: self._connection.is_writable)

    async def _wait_until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds, the response is complete, or the client has left."""
        while not (condition() or self._is_over):
            self._change.clear()
            await self._change.wait()


def checked_event(event: Event) -> Event:
    """Check an event of a response. Returns it with headers and content as the connection sends them.

    Raises:
        TypeError, ValueError: the event is not valid. The text says what was expected and what came.
    """
    kind = event["type"]
    if kind == "http.response.start":
        status = event["status"]
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"The status of a response must be an int from 200 to 599, not {status!r:.100}.")
        return {**event, "headers": checked_headers(event.get("headers"))}
    if kind != "http.response.body":
        raise ValueError(f"Expected http.response.start or http.response.body, but got {kind!r:.100}.")
    body = event.get("body", b"")
    if isinstance(body, bytes):
        return event
    if not isinstance(body, (bytearray, memoryview)):
        raise TypeError(f"The body of a response must be bytes, not {body!r:.100}.")
    return {**event, "body": bytes(body)}  # a memoryview may have items of several bytes
