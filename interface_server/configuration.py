"""Options of the interface server, checked, and what is made of them: the layer, the application, the socket."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from channels_classic.layers import BaseChannelLayer
from interface_server.access import AccessLog
from interface_server.server import InterfaceServer

logger = logging.getLogger("django.channels")


class BadConfiguration(Exception):
    """An option does not fit; the text says which, what it is and what it should be."""


@dataclass(frozen=True)
class Configuration:
    """The options of ``channels-interface``, by the same names; its ``--help`` says what each means."""

    channel_layer: str | None = None
    redis: Sequence[str] = ()
    prefix: str = "asgi:"
    capacity: int = 100
    expiry: float = 60
    encryption_key: Sequence[str] = ()
    bind: str = "127.0.0.1"
    port: int = 8000
    unix_socket: str | None = None
    fd: int | None = None
    processes: int = 1
    http_timeout: float = 60
    websocket_timeout: float = -1
    websocket_handshake_timeout: float = 5
    ping_interval: float = 20
    ping_timeout: float = 30
    ws_protocol: Sequence[str] = ()
    root_path: str = ""
    proxy_headers: bool = False
    trusted_proxies: str = "127.0.0.1"
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: str | None = None
    ssl_ciphers: str = "TLSv1"
    access_log: str | None = None
    max_message_size: int = 1024 * 1024
    per_message_deflate: bool = False
    verbose: int = 0

    def __post_init__(self) -> None:
        if bool(self.channel_layer) == bool(self.redis):
            raise BadConfiguration(
                "Say where the channel layer is: either MODULE:LAYER, for example myproject.asgi:channel_layer, "
                "or --redis with the URL of a server."
            )
        if self.unix_socket is not None and self.fd is not None:
            raise BadConfiguration("--unix-socket and --fd exclude each other.")
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            raise BadConfiguration("TLS needs both --ssl-certfile and --ssl-keyfile.")
        for name in ("http_timeout", "websocket_handshake_timeout", "expiry"):
            if getattr(self, name) <= 0:
                raise BadConfiguration(f"--{name.replace('_', '-')} must be above 0, not {getattr(self, name)}.")

    def to_environment(self, prefix: str) -> dict[str, str]:
        """The environment variables that describe this configuration."""
        variables = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (list, tuple)):
                value = " ".join(value)
            elif isinstance(value, bool):
                value = str(int(value))
            if value not in (None, ""):
                variables[f"{prefix}_{field.name.upper()}"] = str(value)
        return variables

    def set_up_logging(self) -> None:
        """Let what the server has to say reach standard error."""
        level = [logging.INFO, logging.INFO, logging.DEBUG][min(self.verbose, 2)]
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-8s %(message)s")
        logger.setLevel(level)
        logging.getLogger("uvicorn").setLevel(logging.WARNING if self.verbose == 0 else level)

    def make_layer(self) -> BaseChannelLayer:
        """The channel layer.

        Raises:
            BadConfiguration: it cannot be found or made.
        """
        if self.redis:
            from channels_classic.layers import RedisChannelLayer

            try:
                return RedisChannelLayer(
                    hosts=list(self.redis),
                    prefix=self.prefix,
                    capacity=self.capacity,
                    expiry=self.expiry,
                    symmetric_encryption_keys=list(self.encryption_key) or None,
                )
            except ValueError as error:
                raise BadConfiguration(f"--redis {' '.join(self.redis)}: {error}") from error
        assert self.channel_layer is not None
        layer = _import(self.channel_layer)
        layer = getattr(layer, "channel_layer", layer)
        if not isinstance(layer, BaseChannelLayer):
            raise BadConfiguration(f"{self.channel_layer} should be a channel layer, but is {layer!r}.")
        if layer.local_only:
            raise BadConfiguration(
                f"{self.channel_layer} is {type(layer).__name__}, which works inside one process only: no worker "
                "would see a message. Use RedisChannelLayer, or runserver, which has workers of its own."
            )
        return layer

    def make_application(self) -> InterfaceServer:
        """The ASGI application.

        Raises:
            BadConfiguration: its layer cannot be found or made.
        """
        return InterfaceServer(
            self.make_layer(),
            http_timeout=self.http_timeout,
            websocket_handshake_timeout=self.websocket_handshake_timeout,
            websocket_timeout=None if self.websocket_timeout < 0 else self.websocket_timeout,
            ws_protocols=self.ws_protocol,
            max_message_size=self.max_message_size,
            access_log=None if self.access_log is None else AccessLog(self.access_log),
        )

    def make_socket(self) -> socket.socket:
        """The socket to listen on, bound.

        Raises:
            BadConfiguration: it cannot be had.
        """
        try:
            if self.fd is not None:
                return socket.socket(fileno=self.fd)
            if self.unix_socket is not None:
                return _bind_unix(self.unix_socket)
            family, _, _, _, address = socket.getaddrinfo(
                self.bind, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            sock = socket.socket(family)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.set_inheritable(True)
            return sock
        except OSError as error:
            where = self.unix_socket or (f"--fd {self.fd}" if self.fd is not None else f"{self.bind}:{self.port}")
            raise BadConfiguration(f"Cannot listen on {where}: {error.strerror or error}.") from error

    def describe(self, sock: socket.socket) -> str:
        """Where ``sock`` listens, for people."""
        address = sock.getsockname()
        if not isinstance(address, tuple):
            return f"unix:{address}"
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{'https' if self.ssl_certfile else 'http'}://{host}:{address[1]}"

    def uvicorn_options(self) -> dict[str, Any]:
        """For ``hosting.serve``."""
        return {
            "root_path": self.root_path.rstrip("/"),
            "proxy_headers": self.proxy_headers,
            "forwarded_allow_ips": self.trusted_proxies,
            "ws_ping_interval": self.ping_interval or None,
            "ws_ping_timeout": self.ping_timeout,
            "ws_per_message_deflate": self.per_message_deflate,
            "ssl_keyfile": self.ssl_keyfile,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile_password": self.ssl_keyfile_password,
            "ssl_ca_certs": self.ssl_ca_certs,
            "ssl_ciphers": self.ssl_ciphers,
            "log_level": "warning" if self.verbose == 0 else None,
        }


def _import(path: str) -> Any:
    module_name, colon, name = path.partition(":")
    if not colon or not name:
        raise BadConfiguration(f"The channel layer must be given as MODULE:LAYER, not {path!r}.")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except (ImportError, AttributeError) as error:
        raise BadConfiguration(f"Cannot find the channel layer {path!r}: {error}.") from error


def _bind_unix(path: str) -> socket.socket:
    if os.path.exists(path):
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # left over by a server that was killed
        else:
            raise OSError(98, "another server listens there")
        finally:
            probe.close()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    return sock
