"""Serves an ``InterfaceServer`` in this process, from its first client to its last goodbye."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

from channels_classic.backoff import Backoff
from channels_classic.layers import BaseChannelLayer, LayerUnavailable
from channels_classic.log import logger
from channels_classic.monitoring.monitor import Monitor
from channels_classic.outages import log_outage
from channels_classic.processes.garbage import collect_less_often
from interface_server.application import InterfaceServer
from interface_server.program.health import ServerHealth
from interface_server.program.stopping import ending_in_time
from interface_server.transport.http_connection import HttpConnection
from interface_server.transport.server import LIFESPAN_SECONDS, Server, ServerSettings

GRACE = 5.0
"""Seconds that the server itself may take to stop, besides the time for exchanges and connections."""


def make_server(application: InterfaceServer, settings: ServerSettings) -> Server:
    """Make a server for HTTP and WebSockets."""
    return Server(application, settings, HttpConnection)


def serve(
    application: InterfaceServer,
    settings: ServerSettings,
    sockets: Sequence[socket.socket],
    started: Callable[[], None],
    clean_up: Callable[[], None],
    monitor: Monitor | None = None,
) -> None:
    """Serve until a signal comes.

    Arguments:
        sockets: bound sockets.
        started: called when clients can be served.
        clean_up: called before the process ends early.
        monitor: watches the server, if there is one.

    Raises:
        StartupFailed: the application could not start.
        ServerFailed: the application died, or something was cut off at the end.
    """
    server = make_server(application, settings)
    background = set[asyncio.Task[None]]()

    def started_and_look() -> None:
        if monitor is not None:
            monitor.watch(ServerHealth(server, application.context, asyncio.get_running_loop()))
        started()
        background.add(asyncio.create_task(report_layer(application.context.layer)))

    collect_less_often()
    timeout = stop_timeout(settings)
    with ending_in_time(server.stop, server.describe_running, timeout, clean_up):
        server.run(sockets, started_and_look)


def stop_timeout(settings: ServerSettings) -> float:
    """The seconds in which a process with these settings ends after a signal."""
    return settings.drain + settings.shutdown_timeout + LIFESPAN_SECONDS + GRACE


async def report_layer(layer: BaseChannelLayer) -> None:
    """Log whether the layer can be reached, and try until it can."""
    backoff = Backoff()
    while True:
        try:
            await layer.aresume([layer.new_channel("reached!")])
        except LayerUnavailable as error:
            if not backoff.failures:
                log_outage(layer, error)
            await asyncio.sleep(backoff.fail())
        except Exception as error:
            logger.error("The channel layer cannot be used: %r", error)
            return
        else:
            logger.info("The channel layer answers.")
            return
