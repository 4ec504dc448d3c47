"""Options of the interface server, checked, and what is made of them: the layer, the application, the socket."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import socket
import ssl
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from channels_classic.layers import BaseChannelLayer
from channels_classic.log import logger
from interface_server.access import AccessLog
from interface_server.application import InterfaceServer


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
    ping_interval: float = 30
    ping_timeout: float = 30
    ws_protocol: Sequence[str] = ()
    root_path: str = ""
    proxy_headers: bool = False
    trusted_proxies: str = "127.0.0.1"
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: str | None = None
    ssl_ciphers: str | None = None
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
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile) or (self.ssl_ca_certs and not self.ssl_certfile):
            raise BadConfiguration("TLS needs both --ssl-certfile and --ssl-keyfile.")
        if not all(self.encryption_key):
            raise BadConfiguration("--encryption-key must not be empty.")
        for name in ("http_timeout", "websocket_handshake_timeout", "ping_timeout", "expiry"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise BadConfiguration(f"--{name.replace('_', '-')} must be above 0, not {value:g}.")
        if not 0 <= self.ping_interval < float("inf"):
            raise BadConfiguration(f"--ping-interval must be above 0, or 0 for none, not {self.ping_interval:g}.")

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
            except (ValueError, ImportError) as error:
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
            BadConfiguration: its layer cannot be found or made, or its access log cannot be written.
        """
        layer = self.make_layer()
        try:
            access_log = None if self.access_log is None else AccessLog(self.access_log)
        except OSError as error:
            raise BadConfiguration(f"--access-log {self.access_log}: {error.strerror}.") from error
        return InterfaceServer(
            layer,
            http_timeout=self.http_timeout,
            websocket_handshake_timeout=self.websocket_handshake_timeout,
            websocket_timeout=None if self.websocket_timeout < 0 else self.websocket_timeout,
            ws_protocols=self.ws_protocol,
            max_message_size=self.max_message_size,
            access_log=access_log,
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
            return sock
        except (OSError, OverflowError) as error:
            where = self.unix_socket or (f"--fd {self.fd}" if self.fd is not None else f"{self.bind}:{self.port}")
            reason = getattr(error, "strerror", None) or error
            raise BadConfiguration(f"Cannot listen on {where}: {reason}.") from error

    def check_tls(self) -> None:
        """Make sure that TLS can be spoken with what was given.

        Raises:
            BadConfiguration: it cannot.
        """
        if self.ssl_certfile is None or self.ssl_keyfile is None:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # Without a password OpenSSL would ask for it on the terminal.
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, lambda: self.ssl_keyfile_password or "")
        except (OSError, ValueError) as error:
            raise BadConfiguration(
                f"The certificate {self.ssl_certfile} and the private key {self.ssl_keyfile} cannot be used: "
                f"{error}. Do they belong together, and is --ssl-keyfile-password right, if the key has one?"
            ) from error
        if self.ssl_ciphers:
            try:
                context.set_ciphers(self.ssl_ciphers)
            except ssl.SSLError as error:
                raise BadConfiguration(f"--ssl-ciphers {self.ssl_ciphers}: {error}.") from error
        if self.ssl_ca_certs is not None:
            try:
                context.load_verify_locations(self.ssl_ca_certs)
            except OSError as error:
                raise BadConfiguration(f"--ssl-ca-certs {self.ssl_ca_certs}: {error}.") from error

    def clean_up(self) -> None:
        """Leave nothing behind in the file system."""
        if self.unix_socket is not None:
            try:
                os.unlink(self.unix_socket)
            except FileNotFoundError:
                pass

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
            "ssl_cert_reqs": ssl.CERT_REQUIRED if self.ssl_ca_certs else ssl.CERT_NONE,
            # Nothing instead of uvicorn's default: Python's choice of ciphers is newer.
            "ssl_ciphers": self.ssl_ciphers or "",
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
    except Exception as error:
        # Whatever the project does when it is imported.
        raise BadConfiguration(
            f"Cannot import the channel layer {path!r}: {type(error).__name__}: {error}"
        ) from error


def _bind_unix(path: str) -> socket.socket:
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "there is something else of that name")
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # left over by a server that was killed
        else:
            raise OSError(errno.EADDRINUSE, "another server listens there")
        finally:
            probe.close()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    # The proxy that connects may be another user; the folder can say who may.
    os.chmod(path, 0o666)  # noqa: S103
    return sock
