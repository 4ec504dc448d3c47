"""``InterfaceServer``: the ASGI 3 application that turns sockets into messages and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from channels_classic.layers import BaseChannelLayer, MessageTooLarge
from channels_classic.log import logger
from interface_server import messages
from interface_server.asgi_types import Receive, Scope, Send
from interface_server.departures import Departures
from interface_server.flow import Flow
from interface_server.http.brief_exchange import BriefExchange, BriefExchanges, Connection
from interface_server.http.exchange import Exchange
from interface_server.outbox import Outbox, Outcome
from interface_server.reader import Reader
from interface_server.websocket.frames import FrameEncoder
from interface_server.websocket.socket import WebSocket

AccessLog = Callable[[str, Scope, dict[str, Any]], None]

FULL_SECONDS = 0.05
"""For how long no ``http.disconnect`` is sent when its channel was full: mostly, nobody reads it at all."""

DRAIN_SECONDS = 5.0
"""How long the end of the server waits for the layer to take what is still to be sent."""


class InterfaceServer:
    """An ASGI 3 application: HTTP and WebSocket by way of a channel layer (specification, section 4).

    Arguments:
        channel_layer: the layer that workers receive from.
        http_timeout: seconds until a request that nobody answers gets 503, and until an answer that stopped in
            the middle is given up.
        websocket_handshake_timeout: seconds until a WebSocket that nobody accepts is rejected.
        websocket_timeout: seconds after which a WebSocket is closed whatever it does; ``None`` for never.
        ws_protocols: subprotocols that are agreed to when a client offers them and the consumer names none.
        max_message_size: bytes of one WebSocket frame from a client; a larger one closes the socket with 1009.
        access_log: called at each event worth a line, with its name, the ASGI scope and details.
    """

    def __init__(
        self,
        channel_layer: BaseChannelLayer,
        *,
        http_timeout: float = 60,
        websocket_handshake_timeout: float = 5,
        websocket_timeout: float | None = None,
        ws_protocols: Sequence[str] = (),
        max_message_size: int = 1024 * 1024,
        access_log: AccessLog | None = None,
    ) -> None:
        self.layer: BaseChannelLayer = getattr(channel_layer, "channel_layer", channel_layer)
        self.http_timeout = http_timeout
        self.websocket_handshake_timeout = websocket_handshake_timeout
        self.websocket_timeout = websocket_timeout
        self.ws_protocols = list(ws_protocols)
        self.max_message_size = max_message_size
        self._access_log = access_log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange, one socket, or the life of the server."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
            return
        # Not every host sends lifespan events (a URLRouter does not), so the first client starts what is needed.
        if self._loop is not asyncio.get_running_loop():
            self.start()
        if kind == "http":
            await Exchange(self, scope, receive, send).run()
        elif kind == "websocket":
            await WebSocket(self, scope, receive, send).run()
        else:
            raise ValueError(f"An interface server serves http, websocket and lifespan, not {kind!r}.")

    def begin_exchange(self, scope: Scope, connection: Connection) -> BriefExchange | None:
        """Serve an exchange the short way; ``None`` where only the long one will do."""
        if messages.has_body(scope) or self._loop is not asyncio.get_running_loop():
            return None
        return BriefExchange(self, scope, connection)

    def send_request(
        self,
        scope: Scope,
        reply_channel: str,
        done: Callable[[Outcome], None],
        body: bytes = b"",
        body_channel: str | None = None,
    ) -> bool:
        """Send the ``http.request`` of an exchange; ``False`` if it is too large for a message.

        Arguments:
            done: called with what became of it.
            body: what is inside the message.
            body_channel: where the rest follows.
        """
        content = messages.http_request(scope, reply_channel, body, body_channel)
        try:
            delivery = self.layer.prepare("http.request", content, checked=True)
        except MessageTooLarge:
            return False
        self.outbox.put(delivery, done)
        return True

    def say_disconnect(self, scope: Scope, reply_channel: str) -> None:
        """Tell workers that an exchange is over, unless there was no room to a moment ago."""
        if time.monotonic() < self._disconnects_from:
            return
        content = {"reply_channel": reply_channel, "path": scope["path"]}
        self.outbox.put(self.layer.prepare("http.disconnect", content, checked=True), self._disconnect_done)

    def _disconnect_done(self, outcome: Outcome) -> None:
        if outcome is Outcome.REFUSED:
            self._disconnects_from = time.monotonic() + FULL_SECONDS

    def log_exchange(self, scope: Scope, status: int | None, size: int, started: float) -> None:
        """The line of an exchange in the access log.

        Arguments:
            status: of the answer, if one has begun.
            size: bytes of content.
            started: by the monotonic clock.
        """
        if self._access_log is not None:
            seconds = time.monotonic() - started
            self._access_log("http", scope, {"status": status or 499, "size": size, "seconds": seconds})

    def log_access(self, event: str, scope: Scope, details: dict[str, Any]) -> None:
        """A line of the access log."""
        if self._access_log is not None:
            self._access_log(event, scope, details)

    def start(self) -> None:
        """Begin to talk to the layer, on the event loop that runs."""
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self.layer)
        self.reader = Reader(self.layer)
        self.departures = Departures(self.layer)
        self.flow = Flow(self.layer)
        self.frames = FrameEncoder()
        self.brief_exchanges = BriefExchanges(self.http_timeout)
        self._disconnects_from = 0.0
        parts = (self.outbox, self.reader, self.departures, self.flow)
        self._tasks = [self._loop.create_task(part.run()) for part in parts]
        for task in self._tasks:
            task.add_done_callback(_report_death)

    async def stop(self) -> None:
        """Let the layer take what clients still had to say, then let go of it."""
        if self._loop is None:
            return
        try:
            await asyncio.wait_for(self.outbox.drain(), DRAIN_SECONDS)
            await asyncio.wait_for(self.departures.finish(), DRAIN_SECONDS)
        except asyncio.TimeoutError:
            logger.error("The channel layer did not take the last messages within %s s.", DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.layer.aclose()
        self._loop = None

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.critical("A part of the interface server died, nothing will be served:", exc_info=error)
