"""``channels-interface``: the interface server as a program of its own."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import click

from channels_classic.log import logger
from interface_server.application import InterfaceServer
from interface_server.program.configuration import BadConfiguration, Configuration

PREFIX = "CHANNELS_INTERFACE"


@click.command(
    context_settings={"auto_envvar_prefix": PREFIX, "show_default": True, "help_option_names": ["-h", "--help"]}
)
@click.argument("channel_layer", required=False, envvar=f"{PREFIX}_CHANNEL_LAYER", metavar="[MODULE:LAYER]")
@click.option("--redis", "-r", multiple=True, metavar="URL", help="Redis server(s), instead of MODULE:LAYER.")
@click.option("--prefix", default="asgi:", help="With --redis: the prefix of the layer's keys.")
@click.option("--capacity", type=click.IntRange(1), default=100, help="With --redis: messages a channel holds.")
@click.option("--expiry", type=float, default=60, help="With --redis: seconds until a message expires.")
@click.option(
    "--encryption-key", multiple=True, metavar="KEY", help="With --redis: write with the first, read all."
)
@click.option("--bind", "-b", default="127.0.0.1", metavar="ADDRESS", help="The address to listen on.")
@click.option("--port", "-p", type=click.IntRange(0, 65535), default=8000, help="The port; 0 for a free one.")
@click.option("--unix-socket", "-u", type=click.Path(), help="Listen on a socket in the file system instead.")
@click.option("--fd", type=click.IntRange(0), help="Listen on a socket that the parent process opened instead.")
@click.option("--processes", type=click.IntRange(1), default=1, help="Processes on one port; SIGHUP renews them.")
@click.option("--http-timeout", "-t", type=float, default=60, help="Seconds a request waits for its answer.")
@click.option(
    "--websocket-timeout", type=float, default=-1, help="Seconds until a WebSocket is closed; -1 for never."
)
@click.option(
    "--websocket-handshake-timeout", type=float, default=5, help="Seconds a WebSocket waits to be accepted."
)
@click.option("--ping-interval", type=float, default=30, help="Seconds between pings to a WebSocket; 0 for none.")
@click.option("--ping-timeout", type=float, default=30, help="Seconds a ping may go unanswered.")
@click.option("--ws-protocol", multiple=True, metavar="NAME", help="Agree to this subprotocol. Several times.")
@click.option("--root-path", default="", help="The path that a proxy cuts off, for example /app.")
@click.option("--proxy-headers", is_flag=True, help="Believe X-Forwarded-For and -Proto of --trusted-proxies.")
@click.option("--trusted-proxies", default="127.0.0.1", metavar="ADDRESSES", help="With --proxy-headers: of whom.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="The private key, for TLS.")
@click.option("--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="The certificate, for TLS.")
@click.option("--ssl-keyfile-password", help="The password of the private key.")
@click.option(
    "--ssl-ca-certs", type=click.Path(exists=True, dir_okay=False), help="Whose certificate clients need."
)
@click.option("--ssl-ciphers", help="The ciphers, as OpenSSL names them; those of Python if not given.")
@click.option("--access-log", metavar="FILE", help="Write a line for each exchange; - for standard output.")
@click.option("--max-message-size", type=click.IntRange(1), default=1048576, help="Bytes of one WebSocket frame.")
@click.option("--per-message-deflate", is_flag=True, help="Compress frames, at the cost of speed and memory.")
@click.option("-v", "--verbose", count=True, show_default=False, help="Say more; twice: everything.")
def main(**options: Any) -> None:
    """Serve HTTP and WebSocket by way of a channel layer.

    MODULE:LAYER is where to import the layer from, for example myproject.asgi:channel_layer. Without a project,
    give a Redis server: channels-interface --redis redis://localhost:6379/0

    Every option can also be given as an environment variable: CHANNELS_INTERFACE_HTTP_TIMEOUT=30 for
    --http-timeout 30. SIGTERM or Ctrl-C end it when the exchanges that run are complete.
    """
    try:
        configuration = Configuration(**options)
        configuration.set_up_logging()
        configuration.check_tls()
        application = configuration.make_application()
        sock = configuration.make_socket()
        if configuration.processes == 1:
            serve(configuration, application, sock)
        else:
            supervise(configuration, sock)
    except BadConfiguration as error:
        raise click.ClickException(str(error)) from error
    configuration.clean_up()


def serve(
    configuration: Configuration,
    application: InterfaceServer,
    sock: socket.socket,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve in this process until a signal comes.

    Arguments:
        ready: called when clients can be served.
    """
    from interface_server.program.hosting import serve as host

    def started() -> None:
        logger.info(
            "Interface server %d listens on %s, channel layer %s.",
            os.getpid(),
            configuration.describe(sock),
            type(application.context.layer).__name__,
        )
        if ready is not None:
            ready()

    host(application, [sock], started, **configuration.uvicorn_options())


def supervise(configuration: Configuration, sock: socket.socket) -> None:
    """Serve in several processes; one that dies is replaced, SIGHUP renews them without a gap."""
    from channels_classic.processes import Supervisor

    Supervisor(serve_in_child, (configuration, sock), configuration.processes, "interface server").run()


def serve_in_child(ready: Callable[[], None], configuration: Configuration, sock: socket.socket) -> None:
    """Serve in a process that a ``Supervisor`` started."""
    configuration.set_up_logging()
    try:
        application = configuration.make_application()
    except BadConfiguration as error:
        sys.exit(str(error))
    serve(configuration, application, sock, ready)


def configuration_from_environment() -> Configuration:
    """The configuration that the environment variables describe, for hosts other than ``channels-interface``.

    Raises:
        BadConfiguration: one of the variables does not fit; the text says which.
    """
    try:
        context = main.make_context("channels-interface", [], auto_envvar_prefix=PREFIX)
    except click.ClickException as error:
        raise BadConfiguration(error.format_message()) from error
    return Configuration(**context.params)


if __name__ == "__main__":
    sys.exit(main())
