"""One WebSocket: its connect, frames and disconnect as messages, and what consumers send back to it."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any

from channels_classic.layers import MessageTooLarge
from channels_classic.log import logger
from interface_server import messages
from interface_server.asgi_types import Event, Receive, Scope, Send
from interface_server.context import Context
from interface_server.outbox import Outcome
from interface_server.websocket.conversation import BadMessage, Conversation, State
from interface_server.websocket.direct import DIRECT, Direct
from interface_server.websocket.frames import FrameEncoder

FRAME_PATIENCE = 2.0
"""Seconds for which a frame that finds ``websocket.receive`` full is tried again before the socket closes."""

GOODBYE_PATIENCE = 0.001
"""Seconds; as good as none: a full channel drops the message. But with any it outlives an outage of the layer."""

PAUSE_AT, RESUME_AT, MAX_WAITING = 100, 25, 1000
"""How many events may wait for a client that reads slowly.

At the first its channel refuses more; at the second it takes them again. Groups do not wait for one member:
what they send it is kept up to the third, and skipped from there on.
"""

PAUSE_AT_BYTES, RESUME_AT_BYTES, MAX_WAITING_BYTES = 2**20, 2**18, 2**23
"""The same in bytes; whichever limit is reached first counts."""

CLOSE_SECONDS = 10.0
"""How long a client may take to answer a close before the socket is given up."""

ABNORMAL_CLOSURE = 1006
MESSAGE_TOO_BIG = 1009
TRY_AGAIN_LATER = 1013


class WebSocket:
    """One client's socket.

    Arguments:
        context: whose layer, limits and timeouts count.
        frames: the encoder that all sockets of the process share.
        scope, receive, send: of ASGI.
    """

    def __init__(self, context: Context, frames: FrameEncoder, scope: Scope, receive: Receive, send: Send) -> None:
        self._context = context
        self._frames = frames
        self._scope = scope
        self._path = scope["path"]
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._conversation = Conversation(scope.get("subprotocols") or (), context.options.ws_protocols)
        self._decided: asyncio.Future[None] = self._loop.create_future()
        self._waiting: deque[Event] = deque()
        self._waiting_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._paused = False
        self._reply_channel = ""
        self._connect_taken = False
        self._sent_code: int | None = None
        self._order = 0
        self._unsettled = 0
        self._goodbye: int | None = None
        self._direct: Direct | None = None
        self._holding = False

    def deliver(self, content: dict[str, Any]) -> None:
        """A message from a consumer (called by the reader)."""
        if self._direct is not None and self._writer is None and self._conversation.state is State.OPEN:
            frame = self._frames.encode(content)
            if frame is not None and self._direct.write(frame):
                return
        if self._has_no_room() and not content.get("close"):
            return
        try:
            events = self._conversation.feed(content)
        except BadMessage as error:
            logger.warning("A message to the WebSocket %s was ignored: %s.", self._path, error)
            return
        if events and self._has_no_room():
            self._waiting.clear()
            self._waiting_bytes = 0
        self._put(events)

    async def run(self) -> None:
        """Serve the socket until it is closed."""
        await self._receive()  # websocket.connect
        self._context.log_access("websocket.connecting", self._scope, {})
        self._reply_channel = self._context.reader.join(self)
        lifetime = None
        code = ABNORMAL_CLOSURE
        try:
            self._send_connect()
            await self._handshake()
            if self._conversation.accepted:
                self._context.log_access("websocket.connected", self._scope, {})
                if self._context.options.websocket_timeout is not None:
                    lifetime = self._loop.call_later(self._context.options.websocket_timeout, self._close, 1000)
                code = await self._listen()
            else:
                self._context.log_access("websocket.rejected", self._scope, {})
        finally:
            if lifetime is not None:
                lifetime.cancel()
            self._leave(code)
        if self._writer is not None:
            await self._writer

    # From the client.

    def _send_connect(self) -> None:
        content = messages.websocket_connect(self._scope, self._reply_channel)
        try:
            delivery = self._context.layer.prepare("websocket.connect", content, checked=True)
        except MessageTooLarge:
            self._put(self._conversation.reject())
            return
        self._connect_taken = True
        self._context.outbox.put(delivery, self._connect_done)

    def _connect_done(self, outcome: Outcome) -> None:
        if outcome is Outcome.TAKEN:
            return
        # Where a consumer may have it, what that did has to be undone when the socket is gone.
        self._connect_taken = outcome is Outcome.UNKNOWN
        self._conversation.state = State.CLOSED
        if "websocket.http.response" in (self._scope.get("extensions") or {}):
            self._put(
                [
                    {
                        "type": "websocket.http.response.start",
                        "status": 503,
                        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
                    },
                    {"type": "websocket.http.response.body", "body": b"The server is busy."},
                ]
            )
        else:
            self._put([{"type": "websocket.close", "code": TRY_AGAIN_LATER}])

    async def _handshake(self) -> None:
        timer = self._loop.call_later(self._context.options.websocket_handshake_timeout, self._handshake_timed_out)
        try:
            await self._decided
        finally:
            timer.cancel()

    def _handshake_timed_out(self) -> None:
        if self._conversation.state is State.CONNECTING:
            logger.warning(
                "Nobody accepted the WebSocket %s within %s s: is a worker running that receives on "
                "websocket.connect, and does its consumer accept?",
                self._path,
                self._context.options.websocket_handshake_timeout,
            )
            self._put(self._conversation.reject())

    async def _listen(self) -> int:
        """Pass frames on until the socket is closed; its close code."""
        outbox = self._context.outbox
        self._direct = (self._scope.get("extensions") or {}).get(DIRECT)
        if self._direct is not None:
            self._direct.listener = self._on_direct_message
        while True:
            event = await self._next_event()
            if event is None or event["type"] == "websocket.disconnect":
                client_code = ABNORMAL_CLOSURE if event is None else event.get("code") or 1005
                return self._sent_code or client_code
            text = event.get("text")
            self._pass_on(text if text is not None else event.get("bytes") or b"")
            if outbox.congested:
                await outbox.room()

    def _on_direct_message(self, data: str | bytes) -> None:
        self._pass_on(data)
        if self._context.outbox.congested and not self._holding and self._direct is not None:
            self._holding = True
            self._direct.pause()
            self._context.outbox.when_room(self._read_on)

    def _read_on(self) -> None:
        self._holding = False
        if self._direct is not None:
            self._direct.resume()

    async def _next_event(self) -> Event | None:
        """What the client does next; ``None`` if it does not even answer a close."""
        receive = self._receive()
        if self._conversation.state is State.OPEN:
            return await receive
        try:
            return await asyncio.wait_for(receive, CLOSE_SECONDS)
        except TimeoutError:
            return None

    def _pass_on(self, data: str | bytes) -> None:
        if self._conversation.state is not State.OPEN:
            return
        self._order += 1
        content: dict[str, Any] = {
            "reply_channel": self._reply_channel,
            "path": self._path,
            "order": self._order,
            "text" if isinstance(data, str) else "bytes": data,
        }
        try:
            if len(data) > self._context.options.max_message_size:
                raise MessageTooLarge
            delivery = self._context.layer.prepare("websocket.receive", content, checked=True)
        except MessageTooLarge:
            self._order -= 1
            self._close(MESSAGE_TOO_BIG)
            return
        self._unsettled += 1
        self._context.outbox.put(delivery, partial(self._frame_done, self._order), FRAME_PATIENCE, sender=self)

    def _frame_done(self, order: int, outcome: Outcome) -> None:
        self._unsettled -= 1
        if outcome is not Outcome.TAKEN:
            # A refused frame does not count: who handles a socket in order must not wait for it. But where nobody
            # knows, an order that comes twice would be worse than one that is missing.
            if outcome is Outcome.REFUSED:
                self._order = min(self._order, order - 1)
            self._close(TRY_AGAIN_LATER)
        self._say_goodbye()

    def _leave(self, code: int) -> None:
        self._conversation.state = State.CLOSED
        self._context.reader.leave(self._reply_channel)
        if self._paused:
            self._context.flow.resume(self._reply_channel)
        if self._connect_taken:
            self._goodbye = code
            self._say_goodbye()
            self._context.departures.add(self._reply_channel)
        if self._conversation.accepted:
            self._context.log_access("websocket.disconnected", self._scope, {"code": code})

    def _say_goodbye(self) -> None:
        """Send ``websocket.disconnect`` when the socket has ended and it is known which frame was the last one."""
        if self._goodbye is None or self._unsettled:
            return
        content = {
            "reply_channel": self._reply_channel,
            "path": self._path,
            "code": self._goodbye,
            "order": self._order + 1,
        }
        self._goodbye = None
        layer = self._context.layer
        delivery = layer.prepare("websocket.disconnect", content, checked=True)
        self._context.outbox.put(delivery, patience=GOODBYE_PATIENCE)

    # To the client.

    def _close(self, code: int) -> None:
        self._put(self._conversation.close(code))

    def _has_no_room(self) -> bool:
        return len(self._waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES

    def _put(self, events: list[Event]) -> None:
        for event in events:
            if event["type"] == "websocket.close":
                self._sent_code = event["code"]
            self._waiting_bytes += _size(event)
        self._waiting.extend(events)
        if not self._paused and (len(self._waiting) >= PAUSE_AT or self._waiting_bytes >= PAUSE_AT_BYTES):
            self._paused = True
            self._context.flow.pause(self._reply_channel)
        if events and self._writer is None:
            self._writer = self._loop.create_task(self._write())
        if self._conversation.state is not State.CONNECTING and not self._decided.done():
            self._decided.set_result(None)

    async def _write(self) -> None:
        try:
            while self._waiting:
                event = self._waiting.popleft()
                self._waiting_bytes -= _size(event)
                await self._hand_over(event)
                if self._paused and len(self._waiting) <= RESUME_AT and self._waiting_bytes <= RESUME_AT_BYTES:
                    self._paused = False
                    self._context.flow.resume(self._reply_channel)
        except Exception as error:
            # The client is gone: receive says so as well, and that is where the socket ends.
            logger.debug("The WebSocket %s took no more: %r", self._path, error)
            self._waiting.clear()
        finally:
            self._writer = None

    async def _hand_over(self, event: Event) -> None:
        try:
            await self._send(event)
        except Exception:
            if event["type"] != "websocket.close" or not 1001 <= event["code"] < 3000:
                raise
            # Not every host (daphne does not) lets an application send a code of the protocol's own.
            await self._send({**event, "code": 1000})


def _size(event: Event) -> int:
    return len(event.get("text") or event.get("bytes") or b"")
