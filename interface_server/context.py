"""``Context``: what every client of an interface server's process is given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from channels_classic.layers import BaseChannelLayer, MessageTooLarge
from channels_classic.log import logger
from interface_server import messages
from interface_server.asgi_types import Scope
from interface_server.departures import Departures
from interface_server.flow import Flow
from interface_server.outbox import Outbox, Outcome
from interface_server.reader import Reader

AccessLog = Callable[[str, Scope, dict[str, Any]], None]

FULL_SECONDS = 0.05
"""For how long no ``http.disconnect`` is sent when its channel was full: mostly, nobody reads it at all."""

DRAIN_SECONDS = 5.0
"""How long the end of the server waits for the layer to take what is still to be sent."""


@dataclass(frozen=True)
class Options:
    """What the person who runs an interface server can choose.

    Arguments:
        http_timeout: seconds until a request that nobody answers gets 503, and until an answer that stopped in
            the middle is given up.
        websocket_handshake_timeout: seconds until a WebSocket that nobody accepts is rejected.
        websocket_timeout: seconds after which a WebSocket is closed whatever it does; ``None`` for never.
        ws_protocols: subprotocols that are agreed to when a client offers them and the consumer names none.
        max_message_size: bytes of one WebSocket message from a client; a larger one closes the socket with 1009.
    """

    http_timeout: float = 60
    websocket_handshake_timeout: float = 5
    websocket_timeout: float | None = None
    ws_protocols: Sequence[str] = ()
    max_message_size: int = 1024 * 1024


class Context:
    """The layer, the ways to and from it, the options and the access log: one for all clients of a process.

    ``outbox``, ``reader``, ``departures`` and ``flow`` are there from ``start`` on.

    Arguments:
        channel_layer: the layer that workers receive from.
        options: timeouts and limits.
        access_log: called at each event worth a line, with its name, the ASGI scope and details.
    """

    outbox: Outbox
    reader: Reader
    departures: Departures
    flow: Flow

    def __init__(
        self, channel_layer: BaseChannelLayer, options: Options, access_log: AccessLog | None = None
    ) -> None:
        self.layer: BaseChannelLayer = getattr(channel_layer, "channel_layer", channel_layer)
        self.options = options
        self._access_log = access_log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._disconnects_from = 0.0

    @property
    def is_started(self) -> bool:
        """Whether it talks to the layer on the event loop that runs."""
        return self._loop is asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to talk to the layer, on the event loop that runs."""
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self.layer)
        self.reader = Reader(self.layer)
        self.departures = Departures(self.layer)
        self.flow = Flow(self.layer)
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
        except TimeoutError:
            logger.error("The channel layer did not take the last messages within %s s.", DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.layer.aclose()
        self._loop = None

    def log_access(self, event: str, scope: Scope, details: dict[str, Any]) -> None:
        """Write a line of the access log."""
        if self._access_log is not None:
            self._access_log(event, scope, details)

    # HTTP.

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
        """Write the line of an exchange in the access log.

        Arguments:
            status: of the answer, if one has begun.
            size: bytes of content.
            started: by the monotonic clock.
        """
        if self._access_log is not None:
            seconds = time.monotonic() - started
            self._access_log("http", scope, {"status": status or 499, "size": size, "seconds": seconds})


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.critical("A part of the interface server died, nothing will be served:", exc_info=error)
