"""The options of ``channels-interface``: each is a field with its default, its type and its help."""

from __future__ import annotations

import dataclasses
import json
import logging
import logging.config
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from channels_classic.layers import BaseChannelLayer, RedisChannelLayer
from channels_classic.log import logger, setup_logger
from channels_classic.monitoring.server import HELP as MONITOR_HELP
from channels_classic.redaction import one_line, redacted
from channels_classic.tracing import HELP as TRACING_HELP
from channels_classic.tracing import NoTracing, check_tracing
from interface_server.access import AccessLog
from interface_server.application import InterfaceServer
from interface_server.context import Options
from interface_server.program.imports import BadImport, import_layer
from interface_server.program.listening import listening_socket
from interface_server.program.mounting import BadMount, make_mounts
from interface_server.program.tls import BadTLS, tls_context
from interface_server.transport.proxy import TrustedProxies
from interface_server.transport.server import ServerSettings

if TYPE_CHECKING:
    from interface_server.tracing import ClientTracing

OF_CLIENTS = Options()
OF_CONNECTIONS = ServerSettings()
OF_LAYER = RedisChannelLayer()
FILE = click.Path(exists=True, dir_okay=False)


class BadConfiguration(Exception):
    """An option has an invalid value. The text names it, and what was expected and what came, without secrets."""


def option(default: Any, help: str, *short: str, **click_options: Any) -> Any:
    """Make a field that is an option.

    Arguments:
        help: the text for ``--help``.
        short: more names, such as ``-p``.
        click_options: keywords for ``click.option``.
    """
    kind = click_options.get("type")
    if kind is float:
        click_options.setdefault("metavar", "SECONDS")
    elif isinstance(kind, click.IntRange):
        click_options.setdefault("metavar", "N")
    elif isinstance(kind, click.Path):
        click_options.setdefault("metavar", "FILE")
    return field(default=default, metadata={"help": help, "short": short, "click": click_options})


@dataclass(frozen=True)
class Configuration:
    """The checked options of ``channels-interface``.

    Raises:
        BadConfiguration: the options do not fit together.
    """

    channel_layer: str | None = None
    redis: Sequence[str] = option(
        (), "The Redis server or servers to use, instead of MODULE:LAYER.", "-r", multiple=True, metavar="URL"
    )
    prefix: Sequence[str] = option(
        (OF_LAYER.prefix,),
        "With --redis: the prefix of the layer's keys. In Redis Cluster: once for each server, in the same order.",
        multiple=True,
    )
    stats_prefix: Sequence[str] = option(
        (OF_LAYER.stats_prefix,),
        "With --redis: the prefix of the keys of the statistics, in the same way.",
        multiple=True,
    )
    capacity: int = option(
        OF_LAYER.capacity, "With --redis: how many messages a channel holds.", type=click.IntRange(1)
    )
    expiry: float = option(OF_LAYER.expiry, "With --redis: seconds until a message expires.", type=float)
    encryption_key: Sequence[str] = option(
        (),
        "With --redis: encrypt messages with the first key, and decrypt with any.",
        multiple=True,
        metavar="KEY",
    )
    monitor: str | None = option(None, MONITOR_HELP, metavar="WHERE")
    health_path: str | None = option(
        None,
        "Answer the health checks of a platform at PATH, for example /healthz, on the port of the clients.",
        metavar="PATH",
    )
    tracing: bool = option(False, TRACING_HELP, is_flag=True)
    mount: Sequence[str] = option(
        (),
        "Pass PATH, and all paths below it, to an ASGI application in this process, for example "
        "/async=myproject.asgi:application. Can be given several times.",
        multiple=True,
        metavar="PATH=MODULE:APPLICATION",
    )
    bind: str = option("127.0.0.1", "The address to listen on.", "-b", metavar="ADDRESS")
    port: int = option(8000, "The port; 0 for a free one.", "-p", type=click.IntRange(0, 65535))
    unix_socket: str | None = option(None, "Listen on a Unix socket instead.", "-u", type=click.Path())
    fd: int | None = option(None, "Listen on a socket that the parent process opened.", type=click.IntRange(0))
    reuse_port: bool = option(
        False,
        "Share the port with other servers that have this option, such as a new server that takes over.",
        is_flag=True,
    )
    processes: int = option(1, "How many processes share the port; SIGHUP renews them.", type=click.IntRange(1))
    drain: float = option(
        OF_CONNECTIONS.drain,
        "When the server stops: seconds over which it spreads the closing of WebSockets.",
        type=float,
    )
    shutdown_timeout: float = option(
        OF_CONNECTIONS.shutdown_timeout,
        "When the server stops: seconds that running HTTP exchanges may take to finish.",
        type=float,
    )
    http_timeout: float = option(
        OF_CLIENTS.http_timeout, "Seconds that a request waits for its answer.", "-t", type=float
    )
    websocket_timeout: float = option(-1, "Seconds until a WebSocket is closed; -1 for never.", type=float)
    websocket_handshake_timeout: float = option(
        OF_CLIENTS.websocket_handshake_timeout,
        "Seconds that a WebSocket waits for a consumer to accept it.",
        type=float,
    )
    ping_interval: float = option(
        OF_CONNECTIONS.ping_interval, "Seconds between pings to a WebSocket; 0 for none.", type=float
    )
    ping_timeout: float = option(
        OF_CONNECTIONS.ping_timeout,
        "Seconds until a client that does not answer a ping is disconnected.",
        type=float,
    )
    ws_protocol: Sequence[str] = option(
        (),
        "Accept this subprotocol if a client offers it. Can be given several times.",
        multiple=True,
        metavar="NAME",
    )
    root_path: str = option("", "The prefix that a proxy removes from paths, for example /app.")
    proxy_headers: bool = option(
        False, "Trust the headers X-Forwarded-For and X-Forwarded-Proto of --trusted-proxies.", is_flag=True
    )
    trusted_proxies: str = option(
        "127.0.0.1",
        "With --proxy-headers: addresses and networks such as 10.0.0.0/8, 'unix' for connections to "
        "--unix-socket, '*' for every peer. Separated by commas.",
        metavar="NAMES",
    )
    ssl_keyfile: str | None = option(None, "The private key, for TLS.", type=FILE)
    ssl_certfile: str | None = option(None, "The certificate, for TLS.", type=FILE)
    ssl_keyfile_password: str | None = option(None, "The password of the private key.")
    ssl_ca_certs: str | None = option(
        None, "Require a client certificate that one of these authorities has signed.", type=FILE
    )
    ssl_ciphers: str | None = option(
        None, "The ciphers, by their names in OpenSSL; the default is that of Python."
    )
    access_log: str | None = option(
        None, "Write a line for each request and each socket; - means standard output.", metavar="FILE"
    )
    access_log_json: bool = option(False, "Write the access log as JSON.", is_flag=True)
    log_config: str | None = option(
        None,
        "A JSON file for logging.config.dictConfig, instead of the project's LOGGING.",
        type=FILE,
    )
    max_message_size: int = option(
        OF_CONNECTIONS.max_message_size, "The largest WebSocket message, in bytes.", type=click.IntRange(1)
    )
    max_body_size: int = option(
        OF_CLIENTS.max_body_size,
        "The largest request body, in bytes; a larger one gets 413.",
        type=click.IntRange(1),
    )
    min_body_rate: int = option(
        OF_CLIENTS.min_body_rate,
        "Bytes per second that a client has to send of a body, on average over --http-timeout; a slower client "
        "gets 408.",
        type=click.IntRange(0),
    )
    max_bodies_size: int = option(
        OF_CLIENTS.max_bodies_size,
        "Bytes of all bodies that a process keeps until workers take them; a request that exceeds it gets 503.",
        type=click.IntRange(1),
    )
    max_answer_size: int = option(
        OF_CLIENTS.max_answer_size,
        "Bytes of one answer that wait for a slow client; beyond that, its worker has to wait.",
        type=click.IntRange(1),
    )
    max_answers_size: int = option(
        OF_CLIENTS.max_answers_size,
        "Bytes of all answers in a process that wait for slow clients; beyond that, a worker has to wait after "
        "1 MiB of an answer.",
        type=click.IntRange(1),
    )
    per_message_deflate: bool = option(
        False, "Compress WebSocket messages, at the cost of speed and memory.", is_flag=True
    )
    verbose: int = option(
        0, "Log more; give it twice (-vv) to log everything.", "-v", count=True, show_default=False
    )

    def __post_init__(self) -> None:
        if bool(self.channel_layer) == bool(self.redis):
            raise BadConfiguration(
                "Say where the channel layer is: either MODULE:LAYER, for example myproject.asgi:channel_layer, "
                "or --redis with the URL of a server."
            )
        if self.unix_socket is not None and self.fd is not None:
            raise BadConfiguration("--unix-socket and --fd exclude each other.")
        if self.reuse_port and (self.unix_socket is not None or self.fd is not None):
            raise BadConfiguration(
                "--reuse-port goes with --bind and --port only; a socket of --fd can be shared anyway."
            )
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile) or (self.ssl_ca_certs and not self.ssl_certfile):
            raise BadConfiguration("TLS needs both --ssl-certfile and --ssl-keyfile.")
        if not all(self.encryption_key):
            raise BadConfiguration("--encryption-key must not be empty.")
        for name in ("http_timeout", "websocket_handshake_timeout", "ping_timeout", "expiry", "shutdown_timeout"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise BadConfiguration(f"{flag(name)} must be above 0, not {value:g}.")
        for name in ("ping_interval", "drain"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise BadConfiguration(f"{flag(name)} must be above 0, or 0 for none, not {value:g}.")
        self.make_trusted_proxies()

    def set_up_logging(self) -> None:
        """Set logging up by --log-config, or by LOGGING of the imported project, or else to standard error.

        Raises:
            BadConfiguration: the file of --log-config is not usable.
        """
        if self.log_config is not None:
            try:
                logging.config.dictConfig(json.loads(Path(self.log_config).read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError, AttributeError, ImportError) as error:
                raise BadConfiguration(f"--log-config {self.log_config}: {one_line(error)}.") from error
            logger.disabled = (
                False  # this logger exists already, but "disable_existing_loggers" is not meant for it
            )
        elif self.channel_layer is None:
            logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-8s %(message)s")
            logger.setLevel(logging.DEBUG if self.verbose >= 2 else logging.INFO)
        else:
            setup_logger(verbosity=1 + self.verbose)

    def make_layer(self) -> BaseChannelLayer:
        """Make or import the channel layer.

        Raises:
            BadConfiguration: the layer cannot be found or made.
        """
        if self.channel_layer is not None:
            try:
                return import_layer(self.channel_layer)
            except BadImport as error:
                raise BadConfiguration(one_line(error)) from error
        config: dict[str, Any] = {
            "hosts": list(self.redis),
            "prefix": one_or_each(self.prefix),
            "stats_prefix": one_or_each(self.stats_prefix),
            "capacity": self.capacity,
            "expiry": self.expiry,
            "symmetric_encryption_keys": list(self.encryption_key) or None,
        }
        try:
            return RedisChannelLayer(**config)
        except (ValueError, TypeError, ImportError) as error:
            text, cause = redacted(error, config)
            urls = " ".join(map(without_login, self.redis))
            raise BadConfiguration(
                f"--redis {urls}: {text.rstrip('.')}. A server is given as redis://HOST:PORT/DATABASE."
            ) from cause

    def make_application(self) -> InterfaceServer:
        """Make the ASGI application.

        Raises:
            BadConfiguration: its layer or an application to mount cannot be found or made, or its access log
                cannot be written.
        """
        layer = self.make_layer()
        try:
            mounts = make_mounts(self.mount, self.health_path, layer)
        except BadMount as error:
            raise BadConfiguration(str(error)) from error
        try:
            access_log = None if self.access_log is None else AccessLog(self.access_log, self.access_log_json)
        except OSError as error:
            raise BadConfiguration(f"--access-log {self.access_log}: {error.strerror}.") from error
        names = {option.name for option in dataclasses.fields(Options)} & {
            own.name for own in dataclasses.fields(self)
        }
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        options["websocket_timeout"] = None if self.websocket_timeout < 0 else self.websocket_timeout
        return InterfaceServer(
            layer,
            ws_protocols=self.ws_protocol,
            access_log=access_log,
            tracing=self.make_tracing(),
            mounts=mounts,
            **options,
        )

    def make_tracing(self) -> ClientTracing | None:
        """What makes spans of clients, if they are to be traced.

        Raises:
            BadConfiguration: OpenTelemetry is not installed.
        """
        if not self.tracing:
            return None
        try:
            check_tracing()
        except NoTracing as error:
            raise BadConfiguration(str(error)) from None
        from interface_server.tracing import ClientTracing

        return ClientTracing()

    def make_server_settings(self) -> ServerSettings:
        """Make the settings that all connections of the server share.

        Raises:
            BadConfiguration: the options for TLS do not work.
        """
        return ServerSettings(
            root_path=self.root_path.rstrip("/"),
            trusted_proxies=self.make_trusted_proxies(),
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            max_message_size=self.max_message_size,
            per_message_deflate=self.per_message_deflate,
            tls=self.make_tls_context(),
            drain=self.drain,
            shutdown_timeout=self.shutdown_timeout,
        )

    def make_trusted_proxies(self) -> TrustedProxies | None:
        """Make the list of proxies whose X-Forwarded headers are used.

        Raises:
            BadConfiguration: one of the names is not valid.
        """
        try:
            proxies = TrustedProxies(self.trusted_proxies)
        except ValueError as error:
            raise BadConfiguration(f"--trusted-proxies: {error}.") from error
        return proxies if self.proxy_headers else None

    def make_tls_context(self) -> ssl.SSLContext | None:
        """Make the TLS context; ``None`` without TLS.

        Raises:
            BadConfiguration: the options for TLS do not work.
        """
        if self.ssl_certfile is None or self.ssl_keyfile is None:
            return None
        try:
            return tls_context(
                self.ssl_certfile,
                self.ssl_keyfile,
                self.ssl_keyfile_password,
                self.ssl_ca_certs,
                self.ssl_ciphers,
            )
        except BadTLS as error:
            raise BadConfiguration(one_line(error)) from error

    def make_socket(self) -> socket.socket:
        """Make the socket to listen on, and bind it.

        Raises:
            BadConfiguration: the address is not available.
        """
        try:
            return listening_socket(self.bind, self.port, self.unix_socket, self.fd, self.reuse_port)
        except (OSError, OverflowError) as error:
            where = self.unix_socket or (f"--fd {self.fd}" if self.fd is not None else f"{self.bind}:{self.port}")
            reason = getattr(error, "strerror", None) or error
            raise BadConfiguration(f"Cannot listen on {where}: {reason}.") from error


def one_or_each(prefixes: Sequence[str]) -> str | list[str]:
    """The prefix of all servers, or a list with that of each."""
    return prefixes[0] if len(prefixes) == 1 else list(prefixes)


def flag(name: str) -> str:
    """The option for a field: ``--http-timeout`` for ``http_timeout``."""
    return "--" + name.replace("_", "-")


def without_login(url: str) -> str:
    """A URL without its user name, password and query."""
    return re.sub(r"\?.*", "?***", re.sub(r"^([^/?]*://)?.*@", r"\1***@", url, flags=re.DOTALL), flags=re.DOTALL)
