"""The command ``channels-interface``: the interface server as a program."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click

from channels_classic.log import logger
from channels_classic.monitoring.monitor import Monitor
from channels_classic.monitoring.programs import monitored, monitored_child, monitored_children
from channels_classic.monitoring.server import BadMonitor
from channels_classic.processes.child import Supervised
from channels_classic.processes.supervisor import Supervisor
from channels_classic.unix_sockets import SocketFile
from interface_server.application import InterfaceServer
from interface_server.program import listening, serving
from interface_server.program.configuration import BadConfiguration, Configuration, flag
from interface_server.program.vacancy import Vacancy
from interface_server.transport.lifespan import StartupFailed
from interface_server.transport.server import ServerFailed, ServerSettings

PREFIX = "CHANNELS_INTERFACE"


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each field of ``Configuration``."""
    for field in reversed(dataclasses.fields(Configuration)):
        if "help" in field.metadata:
            names = (*field.metadata["short"], flag(field.name))
            options = {"default": field.default, "help": field.metadata["help"], **field.metadata["click"]}
            command = click.option(*names, **options)(command)
    return command


@click.command(
    context_settings={"auto_envvar_prefix": PREFIX, "show_default": True, "help_option_names": ["-h", "--help"]}
)
@click.argument("channel_layer", required=False, envvar=f"{PREFIX}_CHANNEL_LAYER", metavar="[MODULE:LAYER]")
@with_options
def main(**options: Any) -> None:
    """Serve HTTP and WebSockets through a channel layer.

    MODULE:LAYER names the layer to import, for example myproject.asgi:channel_layer. Without a project, name a
    Redis server: channels-interface --redis redis://localhost:6379/0

    Each option is also an environment variable: CHANNELS_INTERFACE_HTTP_TIMEOUT=30 means --http-timeout 30. At
    SIGTERM or Ctrl-C the server finishes the running exchanges and ends. A second signal ends it at once.
    """
    try:
        configuration = Configuration(**options)
        settings = configuration.make_server_settings()
        application = configuration.make_application()
        configuration.set_up_logging()
        sock = configuration.make_socket()
    except BadConfiguration as error:
        raise click.ClickException(str(error)) from error
    path = configuration.unix_socket
    clean_up = SocketFile(path).remove if path is not None else lambda: None
    try:
        if configuration.processes == 1:
            with monitored(configuration.monitor, application.context.layer) as monitor:
                serve(configuration, application, settings, sock, monitor=monitor, clean_up=clean_up)
        elif status := supervise(configuration, settings, sock):
            sys.exit(status)
    except BadMonitor as error:
        raise click.ClickException(str(error)) from error
    finally:
        clean_up()


def serve(
    configuration: Configuration,
    application: InterfaceServer,
    settings: ServerSettings,
    sock: socket.socket,
    ready: Callable[[], None] = lambda: None,
    monitor: Monitor | None = None,
    clean_up: Callable[[], None] = lambda: None,
) -> None:
    """Serve in this process until a signal comes.

    Arguments:
        ready: called when clients can be served.
        monitor: watches the server, if there is one.
        clean_up: called before the process ends early.
    """

    def started() -> None:
        logger.info(
            "Interface server %d listens on %s, channel layer %s.",
            os.getpid(),
            listening.describe(sock, settings.is_tls),
            type(application.context.layer).__name__,
        )
        ready()

    try:
        with recording() if configuration.tracing else nullcontext():
            serving.serve(application, settings, [sock], started, clean_up, monitor)
    except (StartupFailed, ServerFailed) as error:
        logger.error("%s", error)
        sys.exit(1)


def recording() -> AbstractContextManager[None]:
    """As ``tracing.provider.recording``, which needs OpenTelemetry."""
    from channels_classic.tracing.provider import recording

    return recording()


def supervise(configuration: Configuration, settings: ServerSettings, sock: socket.socket) -> int:
    """Serve in several processes. A process that dies is replaced; SIGHUP renews all without a gap.

    Returns:
        The exit status.
    """
    vacancy = Vacancy(sock, settings.tls)
    with monitored_children(configuration.monitor, configuration.processes) as folder:
        supervisor = Supervisor(
            serve_in_child,
            (configuration, sock, folder),
            configuration.processes,
            "interface server",
            stop_timeout=serving.stop_timeout(settings),
            serving=vacancy.ready,
            stopping=vacancy.close,
        )
        return supervisor.run()


def serve_in_child(
    supervised: Supervised, configuration: Configuration, sock: socket.socket, folder: str | None
) -> None:
    """Serve in a process that a ``Supervisor`` started.

    Arguments:
        folder: the folder for its reports to the supervisor; ``None`` without reports.
    """
    try:
        settings = configuration.make_server_settings()
        application = configuration.make_application()
        configuration.set_up_logging()
    except BadConfiguration as error:
        sys.exit(str(error))
    with monitored_child(folder, application.context.layer) as monitor:
        serve(configuration, application, settings, sock, supervised.ready, monitor)


def configuration_from_environment() -> Configuration:
    """Make the configuration from environment variables, for hosts other than ``channels-interface``.

    Raises:
        BadConfiguration: a variable has an invalid value; the text says which.
    """
    try:
        context = main.make_context("channels-interface", [], auto_envvar_prefix=PREFIX)
    except click.ClickException as error:
        raise BadConfiguration(error.format_message()) from error
    return Configuration(**context.params)


if __name__ == "__main__":
    sys.exit(main())
