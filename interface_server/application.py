"""``InterfaceServer``: the ASGI 3 application that connects sockets with a channel layer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from channels_classic.layers import BaseChannelLayer
from interface_server.asgi_types import Application, Receive, Scope, Send
from interface_server.context import AccessLog, Context, Options
from interface_server.http.asgi import AsgiConnection
from interface_server.http.connection import Connection
from interface_server.http.exchange import Exchange
from interface_server.http.exchanges import Exchanges
from interface_server.mounts import Mounts
from interface_server.websocket.shared import Shared
from interface_server.websocket.socket import WebSocket

if TYPE_CHECKING:
    from interface_server.tracing import ClientTracing


class InterfaceServer:
    """An ASGI 3 application that serves HTTP and WebSocket by a channel layer (specification, section 4).

    Arguments:
        channel_layer: the layer that workers receive from.
        access_log: called at each event of the access log with the event's name, the ASGI scope and details.
        tracing: makes spans of clients, with OpenTelemetry.
        mounts: ASGI applications that serve paths of their own in this process, by path (see ``Mounts``).
        options: the fields of ``Options``.
    """

    def __init__(
        self,
        channel_layer: BaseChannelLayer,
        *,
        access_log: AccessLog | None = None,
        tracing: ClientTracing | None = None,
        mounts: Mapping[str, Application] | None = None,
        **options: Any,
    ) -> None:
        self._tracing = tracing
        if tracing is not None:
            access_log = tracing.around(access_log)
        self.context = Context(channel_layer, Options(**options), access_log)
        self._mounts = Mounts(mounts or {})
        self._was_started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange, one socket, or the lifespan of the server."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
            return
        if (mounted := self._mounts.find(scope.get("path", ""))) is not None:
            await mounted(scope, receive, send)
            return
        # Some hosts send no lifespan events (a URLRouter does not), so the first client starts what is needed.
        if not self.context.is_started:
            self.start()
        if kind == "http":
            connection = AsgiConnection(receive, send)
            await connection.run(Exchange(self.exchanges, scope, connection))
        elif kind == "websocket":
            await WebSocket(self.context, self._shared, scope, receive, send).run()
        else:
            raise ValueError(f"An interface server serves http, websocket and lifespan, not {kind!r}.")

    def begin_exchange(self, scope: Scope, connection: Connection) -> Exchange | None:
        """Serve an exchange on the fast path. ``None`` before the start, and for a mounted application."""
        # The caller's lifespan events have started it in the caller's event loop. To ask which loop runs, as
        # ``is_started`` does, takes as long as to make the exchange.
        if not self._was_started or self._mounts.find(scope["path"]) is not None:
            return None
        return Exchange(self.exchanges, scope, connection)

    def start(self) -> None:
        """Start to use the layer in the running event loop."""
        self.context.start()
        if self._tracing is not None:
            self.context.layer.stamp = self._tracing.stamp
            self.context.reader.received = self._tracing.received
        self._shared = Shared(self.context)
        self.exchanges = Exchanges(self.context)
        self._was_started = True

    async def stop(self) -> None:
        """Send the last messages of clients, then close the layer."""
        if self.context.is_started:
            await self.context.stop()
            self._was_started = False
            self._shared.goodbyes.report()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._mounts.start()
        self.start()
        await send({"type": "lifespan.startup.complete"})
        told = asyncio.ensure_future(receive())
        failed = asyncio.ensure_future(self.context.failed.wait())
        await asyncio.wait([told, failed], return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()
        if not told.done():
            # This makes a host that watches the lifespan, such as our own, end the process.
            told.cancel()
            raise RuntimeError("a part of the interface server failed")
        await self.stop()
        await self._mounts.stop()
        await send({"type": "lifespan.shutdown.complete"})
