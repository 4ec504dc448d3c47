"""``Server``: the interface server for code that made and ran the server of Channels 1 itself."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from channels_classic.log import logger
from channels_classic.unix_sockets import bind_unix
from interface_server import InterfaceServer
from interface_server.access import path_of
from interface_server.program.serving import make_server
from interface_server.program.stopping import ending_in_time
from interface_server.transport.server import ServerFailed, ServerSettings

ActionLogger = Callable[[str, str, dict[str, Any]], None]
"""Called with ``http`` or ``websocket``, the event, and details about it."""

SHUTDOWN_SECONDS = 5.0
"""Seconds that exchanges may take to finish when the server stops."""

STOP_SECONDS = 12.0
"""Seconds that everything may take to end when the server stops."""


class Server:
    """Serves a channel layer until the process has to stop.

    Arguments:
        channel_layer: one of ``channel_layers``, or a bare layer.
        host: the address to listen on, together with ``port``.
        endpoints: more places to listen on: ``tcp:port=8000:interface=127.0.0.1``, ``unix:/run/site.socket`` or
            ``fd:fileno=3``.
        unix_socket: the path of a socket to listen on.
        file_descriptor: the number of a socket to listen on.
        signal_handlers: whether ``run`` ends at SIGTERM and SIGINT. This works only in the main thread.
        action_logger: called at each request and each event of a WebSocket.
        http_timeout, websocket_handshake_timeout, websocket_timeout: seconds.
        ping_interval, ping_timeout: seconds between pings, and until an answer to one has to come.
        ws_protocols: subprotocols that are accepted.
        root_path: the prefix that a proxy removes from paths.
        others: other keywords of Channels 1, which are ignored.
    """

    def __init__(
        self,
        channel_layer: Any,
        host: str | None = None,
        port: int | None = None,
        endpoints: Sequence[str] | None = None,
        unix_socket: str | None = None,
        file_descriptor: int | None = None,
        signal_handlers: bool = True,
        action_logger: ActionLogger | None = None,
        http_timeout: float = 120,
        websocket_timeout: float | None = None,
        ping_interval: float = 20,
        ping_timeout: float = 30,
        ws_protocols: Sequence[str] | None = None,
        root_path: str = "",
        websocket_handshake_timeout: float = 5,
        **others: Any,
    ) -> None:
        self.channel_layer = channel_layer
        self.endpoints = [*(endpoints or ()), *_described(host, port, unix_socket, file_descriptor)]
        self.signal_handlers = signal_handlers
        self.action_logger = action_logger
        application = InterfaceServer(
            getattr(channel_layer, "channel_layer", channel_layer),
            http_timeout=http_timeout,
            websocket_handshake_timeout=websocket_handshake_timeout,
            websocket_timeout=websocket_timeout,
            ws_protocols=ws_protocols or (),
            access_log=None if action_logger is None else lambda *event: action_logger(*as_action(*event)),
        )
        server_settings = ServerSettings(
            root_path=root_path.rstrip("/"),
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._server = make_server(application, server_settings)

    def stop(self) -> None:
        """Make ``run`` end. Any thread may call this."""
        self._server.stop()

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until the process has to stop.

        Arguments:
            started: called when clients can be served.

        Raises:
            ValueError: there is no endpoint, or one that is not supported here.
            OSError: an address is not available.
        """
        if not self.endpoints:
            raise ValueError("A server needs a place to listen on: host and port, or endpoints.")
        with ExitStack() as stack:
            sockets = [stack.enter_context(bound(endpoint)) for endpoint in self.endpoints]
            if self.signal_handlers:
                stack.enter_context(ending_in_time(self.stop, self._server.describe_running, STOP_SECONDS))
            try:
                self._server.run(sockets, started)
            except ServerFailed as error:
                logger.error("%s", error)


def as_action(event: str, scope: Any, details: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Translate an event of the access log for an ``action_logger``."""
    protocol, _, action = event.partition(".")
    client = scope.get("client")
    known = {"path": path_of(scope), "client": f"{client[0]}:{client[1]}" if client else None}
    if protocol == "http":
        known |= {"method": scope["method"], "status": details["status"], "size": details["size"]}
        known["time_taken"] = details["seconds"]
    return protocol, action or "complete", known


def _described(host: str | None, port: int | None, path: str | None, number: int | None) -> Iterator[str]:
    if host and port:
        escaped = host.strip("[]").replace(":", r"\:")
        yield f"tcp:port={port}:interface={escaped}"
    elif host or port:
        raise ValueError("A server on an address needs both host and port.")
    if path:
        yield f"unix:{path}"
    if number is not None:
        yield f"fd:fileno={number}"


def bound(endpoint: str) -> socket.socket:
    """Make the socket that an endpoint describes.

    Raises:
        ValueError: it is neither ``tcp``, ``unix`` nor ``fd``.
        OSError: the address is not available.
    """
    kind, *parts = [part.replace(r"\:", ":") for part in re.split(r"(?<!\\):", endpoint)]
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    first = parts[0] if parts else ""
    try:
        if kind == "tcp":
            host = options.get("interface", "")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, int(options.get("port", first))), family=family)
        if kind == "unix":
            return bind_unix(options.get("address", first))
        if kind == "fd":
            return socket.socket(fileno=int(options["fileno"]))
    except (KeyError, ValueError):
        pass
    raise ValueError(
        f"The endpoint {endpoint!r} cannot be served: 'tcp:port=8000:interface=127.0.0.1', 'unix:/path' or "
        "'fd:fileno=3' was expected. For TLS, start channels-interface with --ssl-keyfile and --ssl-certfile."
    )
