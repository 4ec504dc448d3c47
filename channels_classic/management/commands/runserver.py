"""``manage.py runserver``: an interface server and its workers in one process (specification, section 12)."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.core.servers.basehttp import WSGIServer

from channels_classic import DEFAULT_CHANNEL_LAYER
from channels_classic.asgi import channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.handler import ViewConsumer
from channels_classic.layer_settings.entries import where
from channels_classic.log import printable
from channels_classic.management.description import describe_layer
from channels_classic.management.reloading import Repair
from channels_classic.monitoring.server import HELP as MONITOR_HELP
from channels_classic.staticfiles import default_http_consumer
from channels_classic.tracing import HELP as TRACING_HELP
from channels_classic.tracing import NoTracing, check_tracing
from interface_server import InterfaceServer
from interface_server.access import client_of, describe
from interface_server.context import Options

if TYPE_CHECKING:
    from channels_classic.routing import Router
    from interface_server.tracing import ClientTracing
    from interface_server.transport.server import Server
    from worker import WorkerGroup
    from worker.delay import DelayThread
    from worker.tracing import ConsumerTracing

if TYPE_CHECKING or not apps.is_installed("django.contrib.staticfiles"):
    from django.core.management.commands.runserver import Command as DjangoCommand
else:
    from django.contrib.staticfiles.management.commands.runserver import Command as DjangoCommand

logger = logging.getLogger("django.server")

CLIENTS = Options()

WORKER_THREADS = 4

SHUTDOWN_SECONDS = 5.0
"""Seconds that exchanges may take to finish when the server stops."""

STOP_SECONDS = 12.0
"""Seconds that everything may take to end then, including consumers in worker threads."""


class DevelopmentServer:
    """The server that Django's ``runserver`` uses in place of its WSGI server.

    Arguments:
        address: the host and the port.
        handler_class: Django's handler of WSGI requests, which is not used.
        ipv6: whether the host is an IPv6 address.

    Raises:
        OSError: the address is not available.
    """

    options: dict[str, Any] = {}

    def __init__(self, address: tuple[str, int], handler_class: Any = None, *, ipv6: bool = False) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(address)
        except (OSError, OverflowError) as error:
            self.socket.close()
            if isinstance(error, OSError):
                raise
            raise OSError(f"A port is a number from 0 to 65535, not {address[1]}.") from None
        self.server_port = self.socket.getsockname()[1]

    def set_app(self, http_consumer: ViewConsumer) -> None:
        """Set the application, which here is the consumer of ``http.request``."""
        self.http_consumer = http_consumer

    def access_log(self, event: str, scope: Any, details: dict[str, Any]) -> None:
        """Write the line of an exchange or of an event of a socket."""
        log_access(event, scope, details)

    def serve_forever(self) -> None:
        """Serve until the process has to stop."""
        from channels_classic.monitoring.programs import monitored
        from channels_classic.monitoring.server import BadMonitor
        from interface_server.program.health import ServerHealth
        from interface_server.program.serving import make_server
        from interface_server.program.stopping import ending_in_time
        from interface_server.transport.lifespan import StartupFailed
        from interface_server.transport.server import ServerFailed, ServerSettings
        from worker import WorkerGroup
        from worker.consume import log_error
        from worker.consumer_log import ConsumerLog
        from worker.health import WorkerHealth

        stack = ExitStack()
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
        try:
            monitor = stack.enter_context(monitored(self.options["monitor"], layer.channel_layer))
        except BadMonitor as error:
            raise CommandError(str(error)) from error
        layer.router.check_default(self.http_consumer)
        clients, consumers = stack.enter_context(traced(layer.router)) if self.options["tracing"] else (None, None)
        workers = None
        if self.options["run_worker"]:
            consumer_log = ConsumerLog(layer.router, log_consumer)
            stack.enter_context(consumer_log.listening())
            workers = WorkerGroup(
                layer,
                worker_threads(self.options),
                callback=consumer_log.begin,
                on_error=log_error if consumers is None else consumers.failed,
                signal_handlers=False,
                stop_timeout=SHUTDOWN_SECONDS,
            )
            workers.start()
        delay = start_delay(layer) if self.options["run_worker"] else None
        application = InterfaceServer(
            layer.channel_layer,
            http_timeout=self.options["http_timeout"],
            websocket_handshake_timeout=self.options["websocket_handshake_timeout"],
            ws_protocols=getattr(settings, "CHANNELS_WS_PROTOCOLS", ()),
            access_log=self.access_log,
            tracing=clients,
        )
        root_path = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
        server = make_server(application, ServerSettings(root_path=root_path, shutdown_timeout=SHUTDOWN_SECONDS))

        def started() -> None:
            if monitor is not None:
                monitor.watch(ServerHealth(server, application.context, asyncio.get_running_loop()))
                if workers is not None:
                    monitor.watch(WorkerHealth(workers))

        left: list[str] = []
        with ending_in_time(server.stop, lambda: running(server, workers), STOP_SECONDS):
            try:
                server.run([self.socket], started)
            except (ServerFailed, StartupFailed) as error:
                left.append(str(error))
            finally:
                if delay is not None:
                    delay.stop(SHUTDOWN_SECONDS)
                if workers is not None:
                    left += workers.stop()
                stack.close()
        if left:
            raise CommandError("; ".join(left))


@contextmanager
def traced(router: Router) -> Iterator[tuple[ClientTracing, ConsumerTracing]]:
    """The tracing of clients and of consumers while the block runs.

    Raises:
        CommandError: OpenTelemetry is not installed.
    """
    try:
        check_tracing()
    except NoTracing as error:
        raise CommandError(str(error)) from None
    from interface_server.tracing import ClientTracing
    from worker.tracing import ConsumerTracing

    consumers = ConsumerTracing(router)
    with consumers.listening():
        yield ClientTracing(), consumers


def start_delay(layer: Any) -> DelayThread | None:
    """Start a delay server in a thread, if the app ``channels_classic.delay`` is installed."""
    if not apps.is_installed("channels_classic.delay"):
        return None
    from worker.delay import DelayThread

    thread = DelayThread(layer)
    thread.start()
    return thread


def running(server: Server, workers: WorkerGroup | None) -> str:
    """A text about what still runs when the server should have stopped."""
    consumers = workers.still_running() if workers is not None else []
    return ", ".join(filter(None, [server.describe_running(), *consumers]))


class Command(DjangoCommand):
    """Django's ``runserver``, with WebSockets, channels and consumers."""

    help = "Starts an interface server and workers for development, in one process."
    options: dict[str, Any] | None = None
    server_cls: Any = DevelopmentServer

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options: those of Django, and those of this command."""
        super().add_arguments(parser)
        parser.add_argument(
            "--noworker",
            action="store_false",
            dest="run_worker",
            help="Run no worker threads: consumers run in 'manage.py runworker' processes instead.",
        )
        parser.add_argument(
            "--noasgi",
            action="store_false",
            dest="use_asgi",
            help="Run Django's own WSGI server: no channels, no WebSockets.",
        )
        parser.add_argument(
            "--http_timeout",
            "--http-timeout",
            type=float,
            default=CLIENTS.http_timeout,
            metavar="SECONDS",
            help="Seconds that a request waits for its answer before it gets 503 (default: %(default)s).",
        )
        parser.add_argument(
            "--websocket_handshake_timeout",
            "--websocket-handshake-timeout",
            type=float,
            default=CLIENTS.websocket_handshake_timeout,
            metavar="SECONDS",
            help="Seconds that a WebSocket waits to be accepted before it is rejected (default: %(default)s).",
        )
        parser.add_argument("--monitor", metavar="WHERE", help=MONITOR_HELP)
        parser.add_argument("--tracing", action="store_true", help=TRACING_HELP)

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """The consumer of ``http.request`` or, with ``--noasgi``, Django's WSGI application."""
        if not options["use_asgi"]:
            return super().get_handler(*args, **options)
        check_layer(options)
        return self.get_consumer(*args, **options)

    def get_consumer(self, *args: Any, **options: Any) -> Any:
        """The consumer of ``http.request`` in a project that does not route it: views, and static files."""
        insecure, static = options.get("insecure_serving", False), options.get("use_static_handler", True)
        return default_http_consumer(insecure, static)

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Run Django's own method, with our server in place of Django's."""
        if options["use_asgi"]:
            self.options = options
            self.server_cls = type("Server", (self.server_cls,), {"options": options})
        else:
            self.server_cls = WSGIServer
        repair = Repair()
        try:
            super().inner_run(*args, **options)
        except CommandError as error:
            if not options["use_reloader"]:
                raise
            # If it were raised here, in a thread of the reloader, a traceback of Django's own code would be shown.
            self.stderr.write(str(error))
            self.stderr.write("Waiting for a change of the code ...")
            repair.wait()
        except KeyboardInterrupt:
            # Django handles Ctrl-C while it serves, but not while it checks and loads.
            self.stderr.write("Interrupted before the server had started.")
            sys.exit(130)

    def on_bind(self, server_port: int) -> None:
        """Print what runs, after Django's own lines."""
        if self.options is None:
            super().on_bind(server_port)
            return
        # From Django 6.1 on this line speaks of a WSGI server, which this is not.
        stdout, self.stdout = self.stdout, OutputWrapper(io.StringIO())
        try:
            super().on_bind(server_port)
            text = self.stdout.getvalue()
        finally:
            self.stdout = stdout
        self.stdout.write(text.replace("Starting WSGI development server", "Starting development server"))
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
        threads = worker_threads(self.options) if self.options["run_worker"] else 0
        workers = "1 worker thread" if threads == 1 else f"{threads or 'No'} worker threads"
        self.stdout.write(f"{describe_layer(layer)} {workers} here.")


def check_layer(options: dict[str, Any]) -> None:
    """Check that the layer is usable, and that a worker can answer.

    Raises:
        CommandError: the layer is not usable, or no worker could reach it.
    """
    try:
        layer = channel_layers[DEFAULT_CHANNEL_LAYER]
    except InvalidChannelLayerError as error:
        raise CommandError(str(error)) from None
    if not options["run_worker"] and layer.local_only():
        raise CommandError(
            "--noworker needs a channel layer that other processes can reach, but "
            f"{where(DEFAULT_CHANNEL_LAYER)} is {type(layer.channel_layer).__name__}: without workers here, "
            "nobody would answer. Set its BACKEND to channels_classic.layers.RedisChannelLayer."
        )


def worker_threads(options: dict[str, Any]) -> int:
    """The number of consumers that may run at the same time."""
    return WORKER_THREADS if options["use_threading"] else 1


STATUS_FOR_COLOUR = {
    "websocket.connecting": 100,
    "websocket.connected": 101,
    "websocket.rejected": 403,
    "websocket.disconnected": 304,
}
"""For each event of a socket, the HTTP status whose colour its line gets."""


def log_consumer(line: str) -> None:
    """Write the line of a consumer that has run."""
    server_time = time.strftime("%d/%b/%Y %H:%M:%S")
    logger.info("%s", printable(line), extra={"server_time": server_time, "status_code": 200})


def log_access(event: str, scope: Any, details: dict[str, Any]) -> None:
    """Write the line of an exchange, or of an event of a socket, in the colours of Django's own lines."""
    status = details["status"] if event == "http" else STATUS_FOR_COLOUR[event]
    level = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
    line = describe(event, scope, details)
    if event != "http":
        line += f" [{client_of(scope)}]"
    server_time = time.strftime("%d/%b/%Y %H:%M:%S")
    extra = {"server_time": server_time, "status_code": status, "client": details.get("client", "-")}
    logger.log(level, "%s", line, extra=extra)
