"""An interface server on a real port, with the test as the worker."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from channels_classic.layers import BaseChannelLayer, ChannelFull, InMemoryChannelLayer
from interface_server import InterfaceServer
from interface_server.transport.http_connection import HttpConnection
from interface_server.transport.server import Server, ServerSettings

DEADLINE = 60  # seconds after which what should happen has not happened

Content = dict[str, Any]

HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)
"""A raw client's, with its path and further header lines."""


class Surviving:
    """An application whose host goes on when its lifespan ends by an error, as most do."""

    def __init__(self, application: InterfaceServer) -> None:
        self._application = application

    def begin_exchange(self, scope: Any, connection: Any) -> Any:
        return self._application.begin_exchange(scope, connection)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._application(scope, receive, send)
        except RuntimeError:
            if scope["type"] != "lifespan":
                raise
            await receive()
            await send({"type": "lifespan.shutdown.complete"})


class Hosted:
    """A running server: a context manager that starts and ends it.

    Arguments:
        layer: its channel layer; without one, a new layer in memory.
        options: of ``InterfaceServer``.
    """

    def __init__(self, layer: BaseChannelLayer | None = None, **options: Any) -> None:
        self.layer = layer or InMemoryChannelLayer()
        self.access: list[tuple[str, str, Content]] = []
        self.server = InterfaceServer(self.layer, access_log=self._log_access, **options)
        settings = ServerSettings(max_message_size=self.server.context.options.max_message_size)
        self._host = Server(Surviving(self.server), settings, HttpConnection)
        self._has_started = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self.name = f"127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(target=self._host.run, args=[[self._socket], self._has_started.set])
        self._clients = ExitStack()

    def __enter__(self) -> Hosted:
        self._thread.start()
        self._http = httpx.Client(base_url=f"http://{self.name}", timeout=DEADLINE, trust_env=False, verify=False)
        self._callers = ThreadPoolExecutor(16)
        assert self._has_started.wait(DEADLINE)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._clients.close()
        self.stop()
        self._callers.shutdown()
        self._http.close()

    def stop(self) -> None:
        """End the server, as a signal would."""
        self._host.stop()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    @property
    def connections(self) -> list[Any]:
        """The connections that are open."""
        return list(self._host.connections)

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        """Let a client do something that takes both sides."""
        return self._callers.submit(function, *args, **options)

    # Clients.

    def request(self, method: str, path: str, **options: Any) -> Future[httpx.Response]:
        """Let a client make a request and wait for its answer."""
        return self.call(self._http.request, method, path, **options)

    def get(self, path: str = "/", **options: Any) -> Future[httpx.Response]:
        return self.request("GET", path, **options)

    def dial(self, path: str = "/", **options: Any) -> Future[ClientConnection]:
        """Let a client open a WebSocket and wait for its handshake."""
        options = {"compression": None, "proxy": None, "open_timeout": DEADLINE, **options}
        return self.call(self._connect, path, options)

    def open(self, path: str = "/", **options: Any) -> tuple[ClientConnection, str]:
        """A WebSocket that was accepted, and its reply channel."""
        dialled = self.dial(path, **options)
        reply_channel = self.receive("websocket.connect")["reply_channel"]
        self.send(reply_channel, accept=True)
        return dialled.result(DEADLINE), reply_channel

    def raw(self, data: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
        """A client that sends what it likes."""
        client = socket.socket()
        self._clients.callback(client.close)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(DEADLINE)
        client.connect(self.address)
        client.sendall(data)
        return client

    def _connect(self, path: str, options: Content) -> ClientConnection:
        return self._clients.enter_context(connect(f"ws://{self.name}{path}", **options))

    # The worker.

    def receive(self, channel: str) -> Content:
        """The next message on a channel."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            _, content = self.layer.receive([channel], block=True)
            if content is not None:
                return content
        raise AssertionError(f"no message on {channel}")

    def receive_for(self, channel: str, reply_channel: str) -> Content:
        """The next message of one client on a channel. Messages of others are dropped."""
        while (content := self.receive(channel))["reply_channel"] != reply_channel:
            pass
        return content

    def is_empty(self, channel: str) -> bool:
        return self.layer.receive([channel]) == (None, None)

    def send(self, reply_channel: str, **content: Any) -> None:
        self.layer.send(reply_channel, content)

    def takes(self, reply_channel: str, **content: Any) -> bool:
        """Send, unless the channel is full. Returns whether it had room."""
        try:
            self.layer.send(reply_channel, content)
        except ChannelFull:
            return False
        return True

    def _log_access(self, event: str, scope: Any, details: Content) -> None:
        self.access.append((event, scope["path"], details))


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait for a condition, up to the deadline. Returns its value."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return value


def read_response(client: socket.socket, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    """The response that a raw client got, and its content."""
    with http.client.HTTPResponse(client, method=method) as response:
        response.begin()
        return response, response.read()


def read_until_closed(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(65536):
        received += chunk
    return received
