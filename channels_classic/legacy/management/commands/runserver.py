"""``manage.py runserver`` as projects of Channels 1 extend it.

They derive a command from ``Command`` and override its methods, use ``Server`` and ``WorkerThread`` in their own
``inner_run``, or replace ``server_cls`` or ``Server``. All other projects get the current command.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.asgi import channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.legacy import server as _server
from channels_classic.legacy.server import Server
from channels_classic.log import printable, setup_logger
from channels_classic.management.commands import runserver
from channels_classic.management.commands.runserver import DevelopmentServer
from worker import Worker, WorkerGroup

__all__ = ["Command", "Server", "WorkerThread"]

STYLES = {1: "HTTP_INFO", 2: "HTTP_SUCCESS", 3: "HTTP_REDIRECT", 4: "HTTP_BAD_REQUEST", 5: "HTTP_SERVER_ERROR"}
"""The style of a line, by the first digit of its status."""

SOCKET_EVENTS = {
    "connecting": "HANDSHAKING",
    "connected": "CONNECT",
    "rejected": "REJECT",
    "disconnected": "DISCONNECT",
}


class Command(runserver.Command):
    """Django's ``runserver``, with WebSockets, channels and consumers."""

    protocol = "http"
    server_cls: Any = Server
    addr: str
    port: str

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the server."""
        self.verbosity: int = options["verbosity"]
        self.logger = setup_logger(verbosity=self.verbosity)
        self.http_timeout: float = options["http_timeout"]
        self.websocket_handshake_timeout: float = options["websocket_handshake_timeout"]
        super().handle(*args, **options)

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Run the current server, or the server of the project."""
        chosen: Any = Server if self.server_cls is _server.Server else self.server_cls
        if chosen is _server.Server:
            chosen = DevelopmentServer
        is_current = isinstance(chosen, type) and issubclass(chosen, DevelopmentServer)
        if options["use_asgi"] and not is_current:
            self._serve(chosen, *args, **options)
            return
        if type(self).log_action is not Command.log_action:
            chosen = type("Server", (chosen,), {"access_log": staticmethod(self._log_access)})
        self.server_cls = chosen
        super().inner_run(*args, **options)

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """Write a line about a request or a WebSocket to standard error.

        It is called for each of them if a subclass overrides it. Otherwise they go to the logger
        ``django.server``.

        Arguments:
            protocol: ``http`` or ``websocket``.
            action: ``complete`` for a request; ``connecting``, ``connected``, ``rejected`` or ``disconnected``.
            details: ``path`` and ``client``; for a request also ``method``, ``status``, ``size`` in bytes, and
                ``time_taken`` in seconds.
        """
        if protocol == "http" and action == "complete":
            line = "HTTP {method} {path} {status} [{time_taken:.2f}, {client}]".format(**details)
            style = getattr(self.style, _style_of(details["status"]))
        elif protocol == "websocket" and action in SOCKET_EVENTS:
            line = f"WebSocket {SOCKET_EVENTS[action]} {details['path']} [{details['client']}]"
            style = str
        else:
            return
        sys.stderr.write(style(f"[{time.strftime('%Y/%m/%d %H:%M:%S')}] {printable(line)}") + "\n")

    def _log_access(self, *event: Any) -> None:
        self.log_action(*_server.as_action(*event))

    def _serve(self, server: Any, *args: Any, **options: Any) -> None:
        try:
            layer = self.channel_layer = channel_layers[DEFAULT_CHANNEL_LAYER]
        except InvalidChannelLayerError as error:
            raise CommandError(str(error)) from None
        layer.router.check_default(self.get_consumer(*args, **options))
        if not options["skip_checks"]:
            self.check(display_num_errors=True)
        self.check_migrations()
        host = self.addr.strip("[]").replace(":", r"\:")
        workers = None
        if options["run_worker"]:
            workers = WorkerGroup(layer, n_threads=runserver.worker_threads(options), signal_handlers=False)
            workers.start()
        try:
            server(
                channel_layer=layer,
                endpoints=[f"tcp:port={int(self.port)}:interface={host}"],
                signal_handlers=not options["use_reloader"],
                action_logger=self.log_action,
                http_timeout=self.http_timeout,
                ws_protocols=getattr(settings, "CHANNELS_WS_PROTOCOLS", None),
                root_path=settings.FORCE_SCRIPT_NAME or "",
                websocket_handshake_timeout=self.websocket_handshake_timeout,
            ).run()
        except KeyboardInterrupt:
            self.stdout.write(options.get("shutdown_message") or "")
        finally:
            if workers is not None:
                workers.stop()


def _style_of(status: int) -> str:
    return {304: "HTTP_NOT_MODIFIED", 404: "HTTP_NOT_FOUND"}.get(status) or STYLES[status // 100]


class WorkerThread(threading.Thread):
    """A worker in a thread of the process, until the process ends.

    Arguments:
        channel_layer: one of ``channel_layers``, with its router.
        logger: logs the start.
    """

    def __init__(self, channel_layer: Any, logger: logging.Logger) -> None:
        super().__init__(daemon=True)
        self.channel_layer = channel_layer
        self.logger = logger

    def run(self) -> None:
        """Run the worker."""
        self.logger.info("Worker thread running")
        try:
            Worker(self.channel_layer, signal_handlers=False).run()
        finally:
            connections.close_all()
        self.logger.info("Worker thread exited")
