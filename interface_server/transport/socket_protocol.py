"""uvicorn's side of a WebSocket connection: a short way for frames, and clients that do not behave.

ASGI hands each frame over by a queue and a task. Under this protocol an interface server asks for the short way
(``Direct``): frames come by a call, and a frame that is the same for many sockets is encoded once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request

from interface_server.transport.keepalive import Keepalive
from interface_server.websocket.direct import DIRECT

FLUSH_SECONDS = 10.0
"""How long a client may take to read what was sent to it before its connection was closed."""


PING_PAYLOAD = secrets.token_bytes(4)
PING = Frame(Opcode.PING, PING_PAYLOAD).serialize(mask=False)
"""The ping of this process, whose answer no client can give unasked."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """Answers handshakes that uvicorn leaves unanswered, and keeps no connection that nobody reads from.

    A transport that is closed still waits until the client has read all, and so for ever if it never does.
    """

    end_timer: asyncio.TimerHandle | None = None
    listener: Callable[[str | bytes], None] | None = None
    next_ping = 0.0
    heard = False
    silent_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection comes from the HTTP protocol, after the head of the handshake."""
        super().connection_made(getattr(transport, "bare", transport))

    def start_keepalive(self) -> None:
        """Be pinged from now on."""
        if self.ping_interval:
            self.next_ping = self.loop.time() + self.ping_interval
            Keepalive.of_loop(self.loop).add(self)

    def stop_keepalive(self) -> None:
        """Be pinged no more."""
        Keepalive.of_loop(self.loop).discard(self)

    def keep_alive(self, now: float) -> None:
        """As ``keepalive.Connection`` has it."""
        if self.heard or not self.transport.is_reading():
            # It lives, or it is not its fault that nothing is heard of it: while the layer has no room nothing is
            # read from it, and its answer to a ping comes behind all that it sent before.
            self.heard = False
            self.silent_since = now
        if self.close_sent or self.transport.is_closing():
            self.stop_keepalive()
        elif self.ping_sent_at:
            silent_since = max(self.silent_since, self.ping_sent_at)
            if self.ping_timeout is not None and now - silent_since >= self.ping_timeout:
                self.stop_keepalive()
                self.keepalive_timeout()
        elif now >= self.next_ping:
            self.ping_sent_at = now
            self.transport.write(PING)

    def handle_ping(self) -> None:
        """Answer the client, unless it does not read: the answers of a flood would pile up."""
        answer = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(answer)

    def handle_pong(self, event: Frame) -> None:
        """The client has answered."""
        if self.ping_sent_at and bytes(event.data) == PING_PAYLOAD:
            self.next_ping = self.ping_sent_at + (self.ping_interval or 0)
            self.ping_sent_at = 0.0

    def write(self, frame: bytes) -> bool:
        """As ``Direct`` has it."""
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.conn.extensions:
            return False
        self.transport.write(frame)
        return True

    def pause(self) -> None:
        """As ``Direct`` has it."""
        self.transport.pause_reading()

    def resume(self) -> None:
        """As ``Direct`` has it."""
        if not self.disconnected:
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment. All are kept in one piece: many small ones would take much more than their size."""
        message: Any = self.frames[0]
        if not isinstance(message, bytearray):
            message = bytearray(message)
        message += event.data
        self.frames = [bytes(message) if event.fin else message]
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """Hand a message over."""
        if self.listener is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.curr_msg_data_type != "text":
            self.listener(bytes(data))
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.conn.fail(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
            return
        self.listener(text)

    def data_received(self, data: bytes) -> None:
        """Send the refusal of a handshake with too many or too long headers, which uvicorn only prepares."""
        self.heard = True
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Refuse a path that is no URL."""
        if event.path.isascii():
            super().handle_connect(event)
            if not self.close_sent:
                cast("dict[str, object]", self.scope["extensions"])[DIRECT] = self
            return
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.conn.send_response(self.conn.reject(HTTPStatus.BAD_REQUEST, "The path has to be ASCII.\n"))
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    def eof_received(self) -> None:
        """Nothing more will come from the client, but it may still read."""
        self._end_soon()

    def keepalive_timeout(self) -> None:
        """The client does not answer pings."""
        super().keepalive_timeout()
        self._end_soon()

    def shutdown(self) -> None:
        """The server stops."""
        super().shutdown()
        self._end_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        if self.end_timer is not None:
            self.end_timer.cancel()
        super().connection_lost(exc)

    def _end_soon(self) -> None:
        if self.end_timer is None:
            self.end_timer = self.loop.call_later(FLUSH_SECONDS, self.transport.abort)
