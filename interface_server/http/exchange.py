"""One HTTP exchange: sends ``http.request``, passes the answer on to the client, sends ``http.disconnect``."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from channels_classic.layers.capacity import BODY_PREFIX
from channels_classic.layers.names import new_channel_name
from channels_classic.log import logger
from channels_classic.log_context import about_client
from interface_server import messages
from interface_server.asgi_types import Event, Scope
from interface_server.http.answer import Answer, BadAnswer, is_of_dead_worker, plain
from interface_server.http.backlog import Backlog
from interface_server.http.connection import Connection
from interface_server.http.exchanges import Exchanges
from interface_server.http.upload import Upload
from interface_server.outcome import Outcome
from interface_server.spool import Spool
from interface_server.unknown_keys import UnknownKeys

INLINE_BODY = 128 * 1024
"""Bytes of a body that are sent inside ``http.request``. Only a longer body gets a body channel."""

BODY_MEMORY = 512 * 1024
"""Bytes of a body that wait in memory. More bytes wait in a temporary file."""

HEADERS_TOO_LARGE = plain(431, "The headers of the request are too large.")
BODY_TOO_LARGE = plain(413, "The body of the request is too large.")
BODY_TOO_SLOW = plain(408, "The request did not arrive in time.")
BODY_LOST = plain(503, "The server lost a part of the request; try again in a moment.")
BUSY = plain(503, "The server is busy; try again in a moment.")
NO_ANSWER = plain(503, "The server did not answer in time.")
BAD_ANSWER = plain(500, "Server Error (500)")


class Exchange:
    """One request and its answer: the ``Handler`` of a ``Connection``.

    It needs no task while both sides keep up and the body is short. The whole body is read before the request goes
    to a worker, and the answer is taken as fast as the worker sends it. So no worker waits for a client.

    Arguments:
        exchanges: the state of all exchanges of the process.
        scope: the ASGI 3 scope.
        connection: the connection of the client.
    """

    next_order = None
    """``None``, because a request has no turn."""

    registration = None
    """``None``, because a request has no will."""

    def __init__(self, exchanges: Exchanges, scope: Scope, connection: Connection) -> None:
        self._exchanges = exchanges
        self._context = exchanges.context
        self._scope = scope
        self._connection = connection
        self._started = time.monotonic()
        self._answer = Answer(has_content=scope["method"] != "HEAD")
        self._reply_channel = self._context.reader.join(self)
        self._is_over = False
        self._request_sent = False  # whether a worker has it, and must be told of its end
        self._body: Spool | None = None
        self._body_progress = 0  # bytes that came since the time limit was last set
        self._sending: asyncio.Task[None] | None = None  # of a long body
        self._request_settled: asyncio.Event | None = None
        self._answer_began: asyncio.Event | None = None
        self._backlog: Backlog | None = None

    def __str__(self) -> str:
        """The request, for the log."""
        return f"{self._scope['method']} {self._scope['path']}"

    @property
    def _about(self) -> dict[str, str]:
        """The ``extra`` of lines in the log."""
        return about_client(self._reply_channel)

    # From the client.

    def begin(self) -> None:
        """See ``Handler``."""
        self._progressed()
        length = messages.body_length(self._scope)
        if length == 0:
            self._send_request(b"")
            return
        self._body = Spool(self._exchanges.bodies, BODY_MEMORY)
        # A body with too large a Content-Length is refused before the client sends it.
        if length is None or self._has_room_for(self._body, length):
            self._connection.resume_reading()

    def receive_body(self, data: bytes, more: bool) -> None:
        """See ``Handler``."""
        body = self._body
        if body is None or self._is_over or not self._has_room_for(body, len(data)):
            return
        body.put(data)
        self._body_progress += len(data)
        options = self._context.options
        if self._body_progress >= options.min_body_rate * options.http_timeout:
            self._progressed()
        if not more:
            self._progressed()
            self._send_body(body)
        elif body.is_behind:
            self._connection.pause_reading()
            self._exchanges.run(self._catch_up(body))

    def resume_writing(self) -> None:
        """See ``Handler``."""
        if self._backlog is not None:
            self._backlog.send()

    def leave(self) -> None:
        """See ``Handler``."""
        self._finish()

    # To the worker.

    def _has_room_for(self, body: Spool, size: int) -> bool:
        """Whether there is room for ``size`` more bytes of body. If not, the request is refused."""
        bodies = self._exchanges.bodies
        if body.size + size > self._context.options.max_body_size:
            self._respond(BODY_TOO_LARGE)
            return False
        if bodies.size + size > bodies.limit:
            logger.warning(
                "%s was refused: the bodies of other requests fill max_bodies_size.", self, extra=self._about
            )
            self._respond(BUSY)
            return False
        return True

    async def _catch_up(self, body: Spool) -> None:
        try:
            await body.catch_up()
        except OSError as error:
            self._storage_failed(error)
        else:
            if not self._is_over:
                self._connection.resume_reading()

    def _send_body(self, body: Spool) -> None:
        if body.size <= INLINE_BODY and body.is_in_memory:
            parts = []
            while part := body.take_from_memory():
                parts.append(part)
            self._send_request(b"".join(parts))
        else:
            self._sending = asyncio.create_task(self._send_long_body(body))

    async def _send_long_body(self, body: Spool) -> None:
        self._answer_began = asyncio.Event()
        try:
            async with self._exchanges.uploads:
                first = await body.take()
                if not body.size:
                    self._send_request(first)
                    return
                channel = new_channel_name(BODY_PREFIX)
                upload = Upload(self._context.layer, self._context.outbox, body, channel, self._progressed)
                has_arrived = False
                try:
                    self._request_settled = asyncio.Event()
                    self._send_request(first, channel)
                    # Parts without their request would only fill the layer.
                    await self._request_settled.wait()
                    has_arrived = await upload.run()
                finally:
                    if self._request_sent and not has_arrived:
                        self._exchanges.run(upload.abandon())
                if has_arrived:
                    # Its last parts take room in the layer until a worker has read them.
                    await self._answer_began.wait()
                else:
                    self._give_up(BODY_LOST, "the channel layer lost a part of the request's body")
        except OSError as error:
            self._storage_failed(error)
        except Exception:
            logger.exception("The body of %s could not be sent on:", self, extra=self._about)
            self._give_up(BAD_ANSWER, "a part of the request's body could not be sent on")

    def _send_request(self, body: bytes, body_channel: str | None = None) -> None:
        self._request_sent = self._context.send_request(
            self._scope, self._reply_channel, self._request_done, body, body_channel
        )
        if not self._request_sent:
            self._respond(HEADERS_TOO_LARGE)

    def _request_done(self, outcome: Outcome) -> None:
        if self._request_settled is not None:
            self._request_settled.set()
        if outcome is Outcome.TAKEN or self._is_over:
            return
        self._request_sent = outcome is Outcome.UNKNOWN
        self._give_up(BUSY, "nobody knows whether a worker has the request")

    # From the worker.

    def deliver(self, content: dict[str, Any]) -> None:
        """Take the next message of the answer."""
        self._respond(content)
        if self._answer.is_complete:
            self._exchanges.remember(self._reply_channel, self._scope["path"])

    def _respond(self, content: dict[str, Any]) -> None:
        """Answer with ``content``, which comes from a worker or from this process."""
        if self._answer.has_begun and is_of_dead_worker(content):
            self._cut("its worker has died")
            return
        if self._answer.is_complete:
            if "status" in content:
                logger.error("A second answer to %s was ignored.", self._scope["path"], extra=self._about)
            return
        try:
            events = self._answer.feed(content)
        except UnknownKeys as error:
            self._context.warn_once(error.keys, "A part of the answer to %s was ignored: %s.", self, error)
            return
        except BadAnswer as error:
            logger.error("The answer to %s is invalid, so the exchange ends: %s.", self, error, extra=self._about)
            self._give_up(BAD_ANSWER, "its consumer made a mistake")
            return
        self._send(events)
        if events[-1]["more_body"]:
            self._progressed()
            if self._answer_began is not None:
                self._answer_began.set()
        elif self._backlog is None or self._backlog.is_empty:
            self._finish()

    def abort(self) -> None:
        """End as well as possible, because no message will come any more."""
        self._give_up(BUSY, "the interface server failed")

    def lapse(self) -> None:
        """End, because the layer has declared this process dead, and no message will come any more."""
        self._give_up(BUSY, "the interface server was declared dead")

    def time_out(self) -> None:
        """End, because the client or the worker has exceeded the time limit."""
        if self._body is not None and not self._request_sent and self._sending is None:
            self._respond(BODY_TOO_SLOW)
        elif not self._answer.has_begun:
            self._context.repeated.warn(
                "requests that nobody answered",
                "No answer to %s within %s s: is a worker running that receives on http.request, "
                "and do its consumers answer?",
                self,
                self._context.options.http_timeout,
            )
            self._respond(NO_ANSWER)
        else:
            self._cut("it stopped in the middle")

    # To the client.

    def _send(self, events: list[Event]) -> None:
        if self._backlog is None:
            if self._connection.is_writable:
                self._connection.send(events)
                return
            self._backlog = Backlog(
                self._exchanges.answers,
                self._context.options.max_answer_size,
                self._context.flow,
                self._reply_channel,
                self._connection,
                self._caught_up,
                self._storage_failed,
            )
        self._backlog.put(events)
        if self._backlog.is_full:
            self._cut("the client reads too slowly")

    def _caught_up(self) -> None:
        """The client has received everything so far."""
        if self._answer.is_complete:
            self._finish()
        else:
            self._progressed()

    def _give_up(self, content: dict[str, Any], reason: str) -> None:
        """Answer with ``content``, or cut the answer for this reason if it has begun."""
        if not self._answer.has_begun:
            self._respond(content)
        else:
            self._cut(reason)

    def _cut(self, reason: str) -> None:
        if not self._is_over and not self._answer.is_complete:
            logger.error("The answer to %s was cut: %s.", self, reason, extra=self._about)
            self._finish()
            self._connection.abort()

    # The end.

    def _progressed(self) -> None:
        """Restart the time limit, because there was progress."""
        self._body_progress = 0
        if self._is_over:
            return
        if self._backlog is None or self._backlog.is_empty:
            self._exchanges.timeouts.restart(self)
        else:
            self._exchanges.timeouts.stop(self)  # the connection itself watches for clients that read too slowly

    def _storage_failed(self, error: OSError) -> None:
        logger.error("A temporary file for %s cannot be used: %s.", self, error, extra=self._about)
        self._give_up(BUSY, "it does not fit into memory")

    def _finish(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        context = self._context
        context.reader.leave(self._reply_channel)
        self._exchanges.timeouts.stop(self)
        if self._backlog is not None:
            self._backlog.close()
        if self._body is not None:
            self._body.close()
        if self._sending is not None:
            self._sending.cancel()
        if self._request_sent:
            context.say_disconnect(self._scope, self._reply_channel)
        context.log_exchange(
            self._scope, self._reply_channel, self._answer.status, self._answer.size, self._started
        )
