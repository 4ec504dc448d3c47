"""One HTTP exchange: a request to ``http.request``, its answer back to the client, ``http.disconnect``."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from channels_classic.layers.names import new_channel_name
from channels_classic.log import logger
from interface_server import messages
from interface_server.asgi_types import Receive, Scope, Send
from interface_server.context import Context
from interface_server.http.answer import Answer, BadAnswer, State, plain
from interface_server.outcome import Outcome

INLINE_BODY = 128 * 1024
"""Bytes of a body that travel inside ``http.request``; only a longer body gets a body channel.

A worker is not bothered before so much has arrived: a client that sends slowly holds no worker up.
"""

BODY_CHUNK = 256 * 1024
"""Bytes of one message on the body channel, at the most (the server may read in smaller pieces)."""

BODY_PAUSE = (0.01, 0.2)
"""The shortest and the longest pause before a full body channel is tried again."""

WATCH_AFTER = 1.0
"""Seconds of answering after which the client is watched, so that its leaving ends a long exchange.

To watch costs a task: more than a short exchange has to spend.
"""

PAUSE_AT, RESUME_AT, MAX_WAITING = 4 * 2**20, 2**20, 64 * 2**20
"""How many bytes of an answer may wait for a client that reads slowly.

At the first its channel refuses more, so that the sender waits; at the second it takes them again. What is
on its way by then, and what groups send, is still kept, up to the third: then the exchange ends.
"""

MESSAGE_BYTES = 1024
"""What a message counts besides its content."""

TOO_LARGE = plain(431, "The headers of the request are too large.")
BUSY = plain(503, "The server is busy; try again in a moment.")


class ClientGone(Exception):
    """The client closed the connection before the exchange was complete."""


class Exchange:
    """One request and its answer.

    Arguments:
        context: whose layer, limits and timeouts count.
        scope, receive, send: of ASGI.
    """

    def __init__(self, context: Context, scope: Scope, receive: Receive, send: Send) -> None:
        self._context = context
        self._scope = scope
        self._receive = receive
        self._send = send
        self._answer = Answer(has_content=scope["method"] != "HEAD")
        self._messages: deque[dict[str, Any]] = deque()
        self._waiting_bytes = 0
        self._arrival: asyncio.Future[bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._body_channel: str | None = None
        self._reply_channel = ""
        self._started = time.monotonic()
        self._spent = 0.0
        self.request_sent = False
        """Whether a worker may have the request, and has to hear of the end."""
        self._paused = False
        self._gone = False
        self._watch_at = 0.0

    def deliver(self, content: dict[str, Any]) -> None:
        """A message of the answer (called by the reader)."""
        self._messages.append(content)
        self._waiting_bytes += _size(content)
        if self._waiting_bytes >= PAUSE_AT and not self._paused:
            self._paused = True
            self._context.flow.pause(self._reply_channel)
        if self._waiting_bytes > MAX_WAITING:
            self._cut("the client reads too slowly")
        self._wake()

    def abort(self) -> None:
        """End it as well as possible: no message will come any more (called by the reader)."""
        if self._answer.state is State.WAITING:
            self.deliver(BUSY)
        else:
            self._cut("the interface server failed")

    def take_over(self, reply_channel: str, started: float) -> None:
        """Go on with an exchange whose request, without a body, has been sent.

        Arguments:
            started: when, by the monotonic clock.
        """
        self._reply_channel = reply_channel
        self._started = started
        self._spent = time.monotonic() - started
        self.request_sent = True
        self._context.reader.take_over(reply_channel, self)

    async def run(self) -> None:
        """Carry the exchange out."""
        self._task = asyncio.current_task()
        try:
            if not self._reply_channel:
                await self._send_request()
            await self._answer_client()
        except ClientGone:
            pass
        except asyncio.CancelledError:
            if not self._gone:
                raise
        except TimeoutError:
            await self._answer_with(408, "The request did not arrive in time.")
        finally:
            self._context.reader.leave(self._reply_channel)
            if self._paused:
                self._context.flow.resume(self._reply_channel)
            if self._watcher is not None:
                self._watcher.cancel()
            if self.request_sent:
                self._context.say_disconnect(self._scope, self._reply_channel)
            self._context.log_exchange(self._scope, self._answer.status, self._answer.size, self._started)
        if self.request_sent and self._body_channel is not None:
            await self._abandon_body()

    # The request.

    async def _send_request(self) -> None:
        self._reply_channel = self._context.reader.join(self)
        body, complete = await self._read_body(INLINE_BODY)
        self._body_channel = None if complete else new_channel_name("http.request.body?")
        self.request_sent = self._context.send_request(
            self._scope, self._reply_channel, self.request_done, body, self._body_channel
        )
        if not self.request_sent:
            self.deliver(TOO_LARGE)
        if not complete:
            self._watcher = asyncio.ensure_future(self._send_rest_of_body())

    def request_done(self, outcome: Outcome) -> None:
        """What became of the request."""
        if outcome is not Outcome.TAKEN:
            self.request_sent = outcome is Outcome.UNKNOWN
            self.deliver(BUSY)

    async def _read_body(self, limit: int) -> tuple[bytes, bool]:
        if not messages.has_body(self._scope):
            return b"", True
        deadline = self._loop.time() + self._context.options.http_timeout
        body = bytearray()
        while True:
            chunk, more = await asyncio.wait_for(self._read_chunk(), deadline - self._loop.time())
            body += chunk
            if not more or len(body) >= limit:
                return bytes(body), not more

    async def _read_chunk(self) -> tuple[bytes, bool]:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        return event.get("body", b""), event.get("more_body", False)

    async def _send_rest_of_body(self) -> None:
        """Send on what is left of the body as it arrives; nothing is read while the body channel is full."""
        more = True
        while more:
            try:
                chunk, more = await self._read_chunk()
            except ClientGone:
                self._leave()
                return
            for start in range(0, len(chunk) or 1, BODY_CHUNK):
                end = start + BODY_CHUNK
                part = {"content": chunk[start:end], "more_content": more or end < len(chunk)}
                if not await self._send_body_part(part):
                    self._lose_body()
                    return
        self._body_channel = None
        await self._watch()

    def _lose_body(self) -> None:
        """Give the exchange up, since a part of the body may be missing or, sent again, be there twice."""
        if self._answer.state is State.WAITING:
            self.deliver(plain(503, "The server lost a part of the request; try again in a moment."))
        else:
            self._cut("the channel layer went away with a part of the request's body")

    async def _abandon_body(self) -> None:
        """Tell whoever reads the body that no more of it comes, once the channel has room for that."""

        async def close() -> None:
            while not await self._send_body_part({"closed": True}):
                pass  # said twice is better than not at all

        try:
            await asyncio.wait_for(close(), self._context.layer.expiry)
        except TimeoutError:
            pass  # nobody reads it: what is there has expired by now

    async def _send_body_part(self, part: dict[str, Any]) -> bool:
        """Send a part once there is room for it; whether it surely arrived."""
        assert self._body_channel is not None
        delivery = self._context.layer.prepare(self._body_channel, part, checked=True)
        pause, longest = BODY_PAUSE
        while (outcome := await self._context.outbox.send(delivery)) is Outcome.REFUSED:
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)
        return outcome is Outcome.TAKEN

    # The answer.

    async def _answer_client(self) -> None:
        self._watch_at = self._loop.time() + WATCH_AFTER
        while self._answer.state is not State.DONE:
            if not self._messages and not await self._wait_for_message():
                await self._give_up()
                return
            if self._gone:
                raise ClientGone
            content = self._messages.popleft()
            self._waiting_bytes -= _size(content)
            if self._paused and self._waiting_bytes <= RESUME_AT:
                self._paused = False
                self._context.flow.resume(self._reply_channel)
            try:
                events = self._answer.feed(content)
            except BadAnswer as error:
                await self._refuse(error)
                return
            for event in events:
                await self._send(event)
        for content in self._messages:
            if "status" in content:
                logger.error("A second answer to %s was ignored.", self._scope["path"])

    async def _give_up(self) -> None:
        if self._answer.state is State.WAITING:
            logger.warning(
                "No answer to %s %s within %s s: is a worker running that receives on http.request, "
                "and do its consumers answer?",
                self._scope["method"],
                self._scope["path"],
                self._context.options.http_timeout,
            )
            await self._answer_with(503, "The server did not answer in time.")
        else:
            logger.error("The answer to %s stopped in the middle; its connection ends.", self._scope["path"])

    async def _refuse(self, error: BadAnswer) -> None:
        logger.error(
            "The answer to %s %s is not one, the exchange ends: %s.",
            self._scope["method"],
            self._scope["path"],
            error,
        )
        # An answer that has begun is left incomplete, upon which the ASGI server drops the connection.
        await self._answer_with(500, "Server Error (500)")

    async def _answer_with(self, status: int, text: str) -> None:
        if self._answer.state is State.WAITING:
            for event in self._answer.feed(plain(status, text)):
                await self._send(event)

    async def _wait_for_message(self) -> bool:
        """Wait for a message, or until the client is gone; whether either came about within the timeout."""
        timeout = self._context.options.http_timeout - self._spent
        self._spent = 0
        if self._watcher is None:
            first = min(self._watch_at - self._loop.time(), timeout)
            if first > 0:
                if await self._wait(first):
                    return True
                timeout -= first
            self._watcher = asyncio.ensure_future(self._watch())
        return await self._wait(timeout)

    async def _wait(self, timeout: float) -> bool:
        self._arrival = self._loop.create_future()
        timer = self._loop.call_later(timeout, self._wake, False)
        try:
            return await self._arrival
        finally:
            timer.cancel()
            self._arrival = None

    def _wake(self, result: bool = True) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(result)

    # The end.

    async def _watch(self) -> None:
        while not self._gone:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                self._leave()

    def _cut(self, reason: str) -> None:
        """End the exchange although it waits for the client to read, and keep nothing more for it."""
        logger.warning("The answer to %s was cut: %s.", self._scope["path"], reason)
        self._context.reader.leave(self._reply_channel)
        self._messages.clear()
        self._waiting_bytes = 0
        self._gone = True
        if self._task is not None:
            self._task.cancel()

    def _leave(self) -> None:
        self._gone = True
        self._wake()


def _size(content: dict[str, Any]) -> int:
    data = content.get("content")
    return MESSAGE_BYTES + (len(data) if isinstance(data, (bytes, str)) else 0)
