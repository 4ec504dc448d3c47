"""``WebSocket``: the socket of one client, from its handshake to its end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from channels_classic.counters import counters
from channels_classic.layers import MessageTooLarge
from channels_classic.layers.types import Client
from channels_classic.log import logger
from channels_classic.log_context import about_client
from interface_server import messages
from interface_server.asgi_types import Event, Receive, Scope, Send
from interface_server.context import Context
from interface_server.messages import ABNORMAL_CLOSURE
from interface_server.outcome import Outcome
from interface_server.unknown_keys import UnknownKeys
from interface_server.websocket.conversation import BadMessage, Conversation, SocketState
from interface_server.websocket.direct import DIRECT, Direct
from interface_server.websocket.goodbyes import CHANNEL
from interface_server.websocket.incoming import TRY_AGAIN_LATER, Incoming
from interface_server.websocket.outgoing import Outgoing
from interface_server.websocket.shared import Shared

CLOSE_SECONDS = 10.0
"""Seconds that a client may take to answer a close before the socket is given up."""

NO_STATUS_RECEIVED = 1005
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

OPEN = SocketState.OPEN

IGNORED = "A message to the WebSocket %s was ignored: %s."

UNAVAILABLE: list[Event] = [
    {
        "type": "websocket.http.response.start",
        "status": 503,
        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
    },
    {"type": "websocket.http.response.body", "body": b"The server is busy."},
]
"""The events that refuse a handshake with 503, if the host supports that."""


class WebSocket:
    """The socket of one client.

    Arguments:
        context: the context of the process.
        shared: what all sockets of the process share.
        scope, receive, send: as in ASGI 3.
    """

    def __init__(self, context: Context, shared: Shared, scope: Scope, receive: Receive, send: Send) -> None:
        self._context = context
        self._frames = shared.frames
        self._scope = scope
        self._path: str = scope["path"]
        self._started = time.monotonic()
        self._receive = receive
        self._conversation = Conversation(scope.get("subprotocols") or (), context.options.ws_protocols)
        self._decided = asyncio.get_running_loop().create_future()
        self._connect = Outcome.REFUSED
        """The outcome of sending ``websocket.connect``; unknown while it is on its way."""
        self._direct: Direct | None = None
        self._has_room: asyncio.Future[None] | None = None
        """Done when more can be read from a client, if ``run`` waits for that."""
        self._has_lapsed = False
        self._reply_channel = context.reader.join(self)
        self._outgoing = Outgoing(self._path, send, context.flow, self._reply_channel)
        self._incoming = Incoming(
            context, shared.goodbyes, self._path, self._reply_channel, self._close, self._read_on
        )

    @property
    def next_order(self) -> int | None:
        """The order of the first message that the layer has not taken. The reader calls this.

        It is ``None`` until the socket is open, because the turn of ``websocket.connect`` must not be passed over.
        """
        return self._incoming.next_order if self._conversation.state is OPEN else None

    def deliver(self, content: dict[str, Any]) -> None:
        """Take a message of a consumer. The reader calls this."""
        direct = self._direct
        if (
            direct is not None
            and self._outgoing.is_idle
            and self._conversation.state is OPEN
            and (frame := self._frames.encode(content)) is not None
            and direct.write(frame)
        ):
            return
        if self._outgoing.is_full and not content.get("close"):
            return
        try:
            events = self._conversation.feed(content)
        except UnknownKeys as error:
            # Most likely all messages of that consumer are like this.
            self._context.warn_once(error.keys, IGNORED, self._path, error)
            return
        except BadMessage as error:
            logger.warning(IGNORED, self._path, error, extra=about_client(self._reply_channel))
            events = list(error.events)
        if events and self._outgoing.is_full:
            self._outgoing.clear()
        self._put(events)

    @property
    def registration(self) -> tuple[int, bytes] | None:
        """The order of the last message that the layer has taken, and the will. The reader calls this."""
        return None if self._connect is Outcome.REFUSED else (self._incoming.next_order - 1, self._will())

    def lapse(self) -> None:
        """End: the layer has declared this process dead, and has sent the will. The reader calls this."""
        self._has_lapsed = True
        self._outgoing.release()
        if self._conversation.state is SocketState.CONNECTING:
            self._refuse()
        else:
            self._close(SERVICE_RESTART)
        self._incoming.forget()

    def abort(self) -> None:
        """End: the process is about to end, and cannot serve this socket. The context calls this."""
        if self._conversation.state is SocketState.CONNECTING:
            self._refuse()
        else:
            self._close(INTERNAL_ERROR)

    async def run(self) -> None:
        """Serve the socket until it is closed."""
        context, scope = self._context, self._scope
        lifetime = None
        code = ABNORMAL_CLOSURE
        try:
            await self._receive()  # websocket.connect
            context.log_access("websocket.connecting", scope, self._reply_channel)
            self._send_connect()
            await self._handshake()
            if self._conversation.accepted:
                context.log_access("websocket.connected", scope, self._reply_channel)
                if context.options.websocket_timeout is not None:
                    loop = asyncio.get_running_loop()
                    lifetime = loop.call_later(context.options.websocket_timeout, self._close, 1000)
                code = await self._listen()
            else:
                context.log_access("websocket.rejected", scope, self._reply_channel)
        finally:
            if lifetime is not None:
                lifetime.cancel()
            self._leave(code)
        await self._outgoing.finish()

    # The handshake.

    def _send_connect(self) -> None:
        content = messages.websocket_connect(self._scope, self._reply_channel)
        try:
            delivery = self._context.layer.prepare("websocket.connect", content, checked=True)
        except MessageTooLarge:
            self._put(self._conversation.reject())
            return
        self._connect = Outcome.UNKNOWN
        delivery = delivery._replace(client=Client(self._reply_channel, 0, self._will()))
        self._context.outbox.put(delivery, self._connect_done, self._reply_channel)

    def _will(self) -> bytes:
        content = messages.websocket_will(self._path, self._reply_channel)
        return self._context.layer.prepare(CHANNEL, content, checked=True).payload

    def _connect_done(self, outcome: Outcome) -> None:
        self._connect = outcome
        if outcome is not Outcome.TAKEN and self._conversation.state is SocketState.CONNECTING:
            self._refuse()

    def _refuse(self) -> None:
        """Refuse the handshake, because the server cannot serve now."""
        counters.responses[503] += 1
        self._conversation.state = SocketState.CLOSED
        if "websocket.http.response" in (self._scope.get("extensions") or {}):
            self._put(UNAVAILABLE)
        else:
            self._put([{"type": "websocket.close", "code": TRY_AGAIN_LATER}])

    async def _handshake(self) -> None:
        seconds = self._context.options.websocket_handshake_timeout
        timer = asyncio.get_running_loop().call_later(seconds, self._handshake_timed_out)
        try:
            await self._decided
        finally:
            timer.cancel()

    def _handshake_timed_out(self) -> None:
        if self._conversation.state is not SocketState.CONNECTING:
            return
        if self._connect is Outcome.UNKNOWN:
            self._refuse()
        else:
            self._context.repeated.warn(
                "WebSockets that nobody accepted",
                "Nobody accepted the WebSocket %s within %s s: is a worker running that receives on "
                "websocket.connect, and does its consumer accept?",
                self._path,
                self._context.options.websocket_handshake_timeout,
            )
            self._put(self._conversation.reject())

    # From the client.

    async def _listen(self) -> int:
        """Pass messages on until the socket is closed. Returns its close code."""
        self._direct = (self._scope.get("extensions") or {}).get(DIRECT)
        if self._direct is not None:
            self._direct.listener = self._on_direct_message
        while True:
            event = await self._next_event()
            if event is None or event["type"] == "websocket.disconnect":
                client_code = ABNORMAL_CLOSURE if event is None else event.get("code") or NO_STATUS_RECEIVED
                return self._outgoing.close_code or client_code
            text = event.get("text")
            if self._conversation.state is OPEN:
                self._incoming.pass_on(text if text is not None else event.get("bytes") or b"")
            while self._incoming.is_full:
                self._has_room = asyncio.get_running_loop().create_future()
                await self._has_room

    def _on_direct_message(self, data: str | bytes) -> None:
        if self._conversation.state is OPEN:
            self._incoming.pass_on(data)
        if self._incoming.is_full and self._direct is not None:
            self._direct.pause()

    def _read_on(self) -> None:
        if self._has_room is not None and not self._has_room.done():
            self._has_room.set_result(None)
        if self._direct is not None:
            self._direct.resume()

    async def _next_event(self) -> Event | None:
        """Wait for the next event of the client; ``None`` if it does not answer a close in time."""
        receive = self._receive()
        if self._conversation.state is OPEN:
            return await receive
        try:
            return await asyncio.wait_for(receive, CLOSE_SECONDS)
        except TimeoutError:
            return None

    # The end.

    def _close(self, code: int) -> None:
        self._put(self._conversation.close(code))

    def _leave(self, code: int) -> None:
        self._conversation.state = SocketState.CLOSED
        self._context.reader.leave(self._reply_channel)
        self._outgoing.release()
        # If a consumer may have got the connect, it has to undo what it did.
        if self._connect is not Outcome.REFUSED and not self._context.outbox.withdraw(self._reply_channel):
            if not self._has_lapsed:
                self._incoming.end(code, was_stopped=self._direct is not None and self._direct.was_stopped)
            self._context.departures.add(self._reply_channel)
        if self._conversation.accepted:
            seconds = time.monotonic() - self._started
            self._context.log_access(
                "websocket.disconnected", self._scope, self._reply_channel, code=code, seconds=seconds
            )

    def _put(self, events: list[Event]) -> None:
        self._outgoing.put(events)
        if self._conversation.state is not SocketState.CONNECTING and not self._decided.done():
            self._decided.set_result(None)
