"""``WebSocketConnection``: the server's side of a WebSocket, behind the head of its handshake (RFC 6455).

The package ``websockets`` implements the protocol. This module has the bytes of the connection, the limits for
clients, and the two ways to the application: ASGI events, and the fast path of ``Direct``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.exceptions import InvalidState, ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN as TAKES_FRAMES
from websockets.protocol import SEND_EOF
from websockets.server import ServerProtocol

from channels_classic.log import logger
from interface_server.asgi_types import Event, Scope
from interface_server.transport.http_parser import Head
from interface_server.transport.inbox import Inbox
from interface_server.transport.keepalive import PING, PONG_BYTE, Keepalive, Pings
from interface_server.transport.portions import Portions
from interface_server.transport.server import Server
from interface_server.transport.websocket_handshake import (
    DEFLATE,
    MAX_REFUSAL,
    add_to_acceptance,
    bad_request,
    make_scope,
    refusal,
)
from interface_server.transport.websocket_reader import MessageReader
from interface_server.transport.websocket_state import ClientGone, State
from interface_server.websocket.direct import DIRECT

CLOSE_SECONDS = 10.0
"""Seconds that a client may take to read what was sent to it and to answer a close. Then it is cut off."""

SHUTDOWN_SECONDS = 2.0
"""The same when the server stops. Time in which workers do not take the client's messages does not count."""

MAX_HELD_BACK = 64 * 1024
"""Bytes that are kept while the application does not want them. From this number on nothing more is read."""

OPEN, LEAVING = State.OPEN, State.LEAVING


class WebSocketConnection(asyncio.Protocol):
    """The connection of one client. ``HttpConnection`` hands it over with the head of the handshake.

    It is also the ``Direct`` in its scope.

    Arguments:
        server: the server, which has the application and the settings.
        transport: the transport of the connection.
    """

    listener: Callable[[str | bytes], None] | None = None
    """See ``Direct``."""

    def __init__(self, server: Server, transport: asyncio.Transport) -> None:
        self._server = server
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._keepalive = Keepalive.of_loop(self._loop)
        self._protocol = ServerProtocol(
            extensions=[DEFLATE] if server.settings.per_message_deflate else None,
            state=TAKES_FRAMES,
            max_size=server.settings.max_message_size,
        )
        self._state = State.ASKED
        self._path = ""
        self._acceptance: Response | None = None
        self._refusal: tuple[Event, bytearray] | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self.was_stopped = False
        """See ``Direct``."""
        self._caught_up: asyncio.Event | None = None
        """Set when a client that reads slowly has caught up; ``None`` while it keeps up."""
        self._reader = MessageReader(self._protocol, self._take_message, self._take_control, self._write_out)
        self._portions = Portions(transport, self._take_bytes)
        self._events = Inbox()
        self._heard = False
        settings = server.settings
        self._pings = Pings(settings.ping_interval, settings.ping_timeout, self._loop.time())

    def __str__(self) -> str:
        return f"WebSocket {self._path}"

    # Called by the transport.

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the connection is over."""
        self._server.connections.discard(self)
        self._keepalive.discard(self)
        rest = self._portions.take_rest()
        if self._state is LEAVING:
            self._reader.feed(rest)
            self._reader.flush()
        self._disconnect(CloseCode.ABNORMAL_CLOSURE)
        self._state = State.LOST
        self._cancel_end()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Note that the client reads slowly."""
        if self._caught_up is None:
            self._caught_up = asyncio.Event()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        if self._caught_up is not None:
            self._caught_up.set()
            self._caught_up = None

    def eof_received(self) -> None:
        """Note that the client sends nothing more, so it has left. It may still read what was sent."""
        self._portions.finish()
        if self._state is not LEAVING:
            self._disconnect(CloseCode.ABNORMAL_CLOSURE)
        self._end_within(CLOSE_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._portions.put(data)

    # Called by the server.

    def shutdown(self) -> None:
        """Close with 1012, because the server stops. A handshake that is under way is finished first."""
        self.was_stopped = True
        if self._state is OPEN:
            self._state = LEAVING
            self._protocol.send_close(CloseCode.SERVICE_RESTART)
            self._write_out()
            if not self._reader.is_held:
                self._end_within(SHUTDOWN_SECONDS)
        elif self._state in (State.ASKED, State.REFUSING):
            self._end_timer = self._loop.call_later(SHUTDOWN_SECONDS, self.abort)
        elif self._state is State.CLOSING:
            self._end_within(SHUTDOWN_SECONDS)

    def abort(self) -> None:
        """Cut the connection. A handshake without an answer is refused."""
        if self._state in (State.ASKED, State.REFUSING):
            self._refuse(bad_request("The server is restarting.", 503))
        else:
            self._transport.abort()

    def keep_alive(self, now: float) -> float | None:
        """See ``keepalive.Connection``."""
        if self._heard or self._reader.is_held:
            # The client is alive, or its answer to a ping waits behind messages that are held back.
            self._heard = False
            self._pings.hear(now)
        if self._state is not State.OPEN:
            return None
        if self._pings.is_overdue(now):
            self._protocol.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._disconnect(CloseCode.ABNORMAL_CLOSURE)
            self._write_out()
        elif self._pings.begin(now):
            self._transport.write(PING)
        return self._pings.next_look

    # ``Direct``: the fast path of the application.

    def write(self, frame: bytes) -> bool:
        """See ``Direct``."""
        if self._state is not OPEN or self._caught_up is not None or self._protocol.extensions:
            return False
        self._transport.write(frame)
        return True

    def pause(self) -> None:
        """See ``Direct``."""
        # The transport reads on until enough is held back, so the server notices when the client leaves.
        self._reader.hold()
        if self._state is LEAVING:
            self._cancel_end()  # the client's answer to the close may be held back

    def resume(self) -> None:
        """See ``Direct``."""
        if self._state is State.LOST or self._transport.is_closing():
            return
        self._reader.release()
        if not (self._reader.is_held or self._transport.is_closing()):
            self._portions.resume()
            if self._state is LEAVING:
                self._end_within(SHUTDOWN_SECONDS)

    # The handshake.

    def begin(self, head: Head, request: Request) -> None:
        """Take over a connection, and pass the handshake on to the application."""
        self._server.connections.add(self)
        self._path = head.path.decode()
        self._acceptance = self._protocol.accept(request)
        if self._acceptance.status_code != 101:
            self._refuse(self._acceptance.serialize())
            return
        scope = make_scope(head, self._server.settings, self._transport)
        scope["extensions"][DIRECT] = self
        self._events.put({"type": "websocket.connect"})
        task = self._loop.create_task(self._run_application(scope), name=str(self))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _run_application(self, scope: Scope) -> None:
        try:
            await self._server.application(scope, self._receive, self._send)
        except ClientGone:
            pass
        except (Exception, SystemExit):
            self._application_failed()
        self._end_application(CloseCode.NORMAL_CLOSURE)

    def _application_failed(self) -> None:
        logger.exception("The WebSocket %s ends because of an error in the application:", self._path)
        self._end_application(CloseCode.INTERNAL_ERROR)

    def _end_application(self, code: int) -> None:
        """Close what the application has left open."""
        if self._state is OPEN:
            self._close(code)
        elif self._state is LEAVING:
            self._disconnect(code)
            self.resume()
        elif self._state in (State.ASKED, State.REFUSING):
            self._refuse(bad_request("Internal Server Error\n", 500))

    def _accept(self, event: Event) -> None:
        assert self._acceptance is not None
        add_to_acceptance(self._acceptance, event.get("subprotocol"), event.get("headers") or ())
        self._transport.write(self._acceptance.serialize())
        self._acceptance = None
        self._state = State.OPEN
        if self._server.settings.ping_interval:
            self._keepalive.add(self)
        self.resume()
        if self.was_stopped:
            self._cancel_end()
            self.shutdown()

    def _refuse(self, response: bytes) -> None:
        """Refuse the handshake with ``response``."""
        self._state = State.CLOSING
        self._reader.drop()
        self._events.put({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL_CLOSURE})
        self._transport.write(response)
        self._transport.close()
        self._end_within(CLOSE_SECONDS)

    # From the client.

    def _take_bytes(self, data: bytes) -> None:
        self._heard = True
        if self._state is OPEN or not self._transport.is_closing():
            self._reader.feed(data)
            if self._reader.is_held and self._reader.size > MAX_HELD_BACK:
                self._portions.pause()

    def _take_control(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            received = self._protocol.close_rcvd
            if received is not None:
                self._disconnect(received.code, received.reason)
        elif frame.opcode is Opcode.PONG:
            self._pings.answer(bytes(frame.data))

    def _take_message(self, message: str | bytes) -> None:
        if self._state is not OPEN and self._state is not LEAVING:
            return
        if self.listener is not None:
            try:
                self.listener(message)
            except Exception:
                self._application_failed()
            return
        self._events.put({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})
        self.pause()

    async def _receive(self) -> Event:
        if self._events.is_empty and self._reader.is_held and self._state in (OPEN, LEAVING):
            self.resume()
        return await self._events.take()

    # To the client.

    async def _send(self, event: Event) -> None:
        if self._caught_up is not None:
            await self._caught_up.wait()
        if self._state is State.LOST:
            raise ClientGone
        kind = event["type"]
        if self._state is OPEN and kind == "websocket.send":
            await self._send_message(event)
        elif self._state is State.OPEN and kind == "websocket.close":
            self._close(event.get("code") or CloseCode.NORMAL_CLOSURE, event.get("reason") or "")
        elif self._state is LEAVING:
            # Nothing may be sent after a close frame, but the last messages of the client are still taken.
            if kind == "websocket.close":
                self._disconnect(CloseCode.SERVICE_RESTART)
                self.resume()
        elif self._state is State.CLOSING:
            raise ClientGone
        elif self._state is State.ASKED and kind == "websocket.accept":
            self._accept(event)
        elif self._state is State.ASKED and kind == "websocket.close":
            self._refuse(refusal(403))
        elif self._state is State.ASKED and kind == "websocket.http.response.start":
            self._state = State.REFUSING
            self._refusal = (event, bytearray())
        elif self._refusal is not None and kind == "websocket.http.response.body":
            self._go_on_refusing(event)
        else:
            raise RuntimeError(f"The application sent {kind!r} to a WebSocket whose state is {self._state.name}.")

    async def _send_message(self, event: Event) -> None:
        data = event.get("bytes")
        try:
            if data is not None:
                self._protocol.send_binary(data)
            else:
                self._protocol.send_text(event["text"].encode())
        except InvalidState:
            raise ClientGone from None  # the client's close is held back
        self._write_out()
        if self.listener is None:
            # An application that waits for nothing else would let no other client have its turn.
            await asyncio.sleep(0)

    def _go_on_refusing(self, event: Event) -> None:
        assert self._refusal is not None
        start, body = self._refusal
        body += event.get("body") or b""
        if len(body) > MAX_REFUSAL:
            raise RuntimeError(f"The content that refuses a WebSocket is larger than {MAX_REFUSAL} bytes.")
        if not event.get("more_body"):
            self._refuse(refusal(start["status"], start.get("headers") or (), bytes(body)))

    def _close(self, code: int, reason: str = "") -> None:
        try:
            self._protocol.send_close(code, reason)
        except ProtocolError as error:
            raise ValueError(f"A WebSocket cannot be closed with {code} {reason!r}: {error}") from error
        except InvalidState:
            pass  # the client closes, too: its close is held back
        self._disconnect(code, reason)
        self._write_out()
        # Messages that were held back are useless now, but the client's answer is behind them.
        self.resume()

    def _disconnect(self, code: int, reason: str | None = None) -> None:
        """Tell the application once that the socket has ended."""
        if self._state is LEAVING:
            code, reason = CloseCode.SERVICE_RESTART, None
        if self._state in (OPEN, LEAVING, State.ASKED, State.REFUSING):
            self._state = State.CLOSING
            self._events.put({"type": "websocket.disconnect", "code": int(code), "reason": reason or ""})
            self._end_within(SHUTDOWN_SECONDS if self.was_stopped else CLOSE_SECONDS)

    def _write_out(self) -> None:
        """Send the bytes of the protocol, and close after the last ones."""
        parts = self._protocol.data_to_send()
        if not parts:
            return
        if self._protocol.close_sent is not None and self._state is State.OPEN:
            # The client has broken the protocol: too large a message, text that is not UTF-8, or the like.
            self._disconnect(self._protocol.close_sent.code, self._protocol.close_sent.reason)
        if self._caught_up is not None:
            # A client that floods the server with pings, and reads no pongs, would make these pile up.
            parts = [part for part in parts if part[:1] != PONG_BYTE]
        if self._transport.is_closing():
            return
        self._transport.write(b"".join(parts))
        if parts and parts[-1] == SEND_EOF:
            if self._protocol.close_rcvd is None and self._transport.can_write_eof():
                # A close with unread bytes could make the client lose what was sent, above all the reason.
                self._transport.write_eof()
            else:
                self._transport.close()

    def _end_within(self, seconds: float) -> None:
        """Cut the connection in ``seconds``: a transport closes only when the client has read everything."""
        if self._end_timer is not None:
            if self._end_timer.when() <= self._loop.time() + seconds:
                return
            self._end_timer.cancel()
        self._end_timer = self._loop.call_later(seconds, self._transport.abort)

    def _cancel_end(self) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None
