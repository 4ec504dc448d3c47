"""``HealthPath``: answers the health check of a platform on the port of the clients."""

from __future__ import annotations

import asyncio

from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.monitoring.layer_view import LayerView
from interface_server.asgi_types import Receive, Scope, Send


class HealthPath:
    """An ASGI 3 application that answers 503 until this process is ready for the first time, and 200 from then on.

    Platforms restart a process whose check fails for a while. A restart closes sockets, and does not bring back a
    Redis or the workers. So this check does not fail again when one of these is away later. While the event loop
    hangs, nobody answers; once the server stops, the port refuses connections.

    Anybody can read the answers, so they give no reasons. Those are in the log, and in the ``/readyz`` of
    ``--monitor``.

    Arguments:
        layer: the channel layer of this process.
    """

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._view = LayerView(layer)
        self._was_ready = False
        self._looking: asyncio.Future[bool] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; reject a WebSocket."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            raise ValueError(f"A health check is an HTTP request, not {scope['type']!r}.")  # there is no lifespan
        if not self._was_ready:
            self._was_ready = await asyncio.shield(self._look())
        status, body = (200, b"ok\n") if self._was_ready else (503, b"not ready\n")
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _look(self) -> asyncio.Future[bool]:
        """Look whether the process is ready. Clients that ask at the same time share the thread that looks."""
        if self._looking is None:
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._is_ready))
            self._looking.add_done_callback(self._has_looked)
        return self._looking

    def _has_looked(self, looking: asyncio.Future[bool]) -> None:
        self._looking = None

    def _is_ready(self) -> bool:
        """Whether the layer answers and a worker is alive. Waits for the layer, for at most a second or two."""
        try:
            view = self._view.look()
        except LayerUnavailable:
            return False
        return view.workers > 0 or not self._view.knows_processes
