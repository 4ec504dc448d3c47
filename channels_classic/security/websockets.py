"""Checks of which sites' pages may open a WebSocket (specification, section 8).

A browser opens a socket to any site that a page asks it to, and sends that site's cookies along. It also sends the
origin, which says where the page came from. Only the origin shows whether the page is your own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from channels_classic.decorators import DECORATES, message_of
from channels_classic.exceptions import DenyConnection
from channels_classic.log import logger
from channels_classic.message import Message

SCHEMES = ("http", "https")
HOSTS_IN_DEVELOPMENT = [".localhost", "127.0.0.1", "[::1]"]


class BaseOriginValidator:
    """The base of decorators for consumers of ``websocket.connect``: a subclass decides which origins may connect.

    Arguments:
        func: the consumer, a function or a method.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        functools.update_wrapper(self, func)
        setattr(self, DECORATES, func)
        self.func = func

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind to the instance, if the consumer is a method."""
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the consumer, if the origin is allowed.

        Raises:
            DenyConnection: it is not.
        """
        message = message_of(args, kwargs)
        origin = self.get_origin(message)
        if not self.validate_origin(message, origin):
            raise self._denial(message, repr(origin))
        return self.func(*args, **kwargs)

    def get_origin(self, message: Message) -> str:
        """The origin, as ``https://example.com``.

        Raises:
            DenyConnection: there is none, or more than one, or it is not ASCII.
        """
        try:
            origins = self.get_header(message, b"origin")
        except KeyError:
            origins = []
        if len(origins) != 1 or not origins[0] or not origins[0].isascii():
            raise self._denial(message, " and ".join(map(repr, origins)) or "none")
        return str(origins[0].decode("ascii"))

    def get_header(self, message: Message, name: bytes) -> list[bytes]:
        """The values of a header, for subclasses that look at others than ``origin``.

        Arguments:
            name: in lower case.

        Raises:
            KeyError: the client has not sent it.
        """
        values = [value for each, value in message.get("headers") or () if each == name]
        if not values:
            raise KeyError(f"The client has sent no header {name!r}.")
        return values

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Whether a page from ``origin`` may connect. Subclasses have to define it."""
        raise NotImplementedError(f"{type(self).__name__} has to define validate_origin(message, origin).")

    def _denial(self, message: Message, origin: str) -> DenyConnection:
        text = f"The WebSocket {message.get('path')} was denied for its origin: {origin[:200]}."
        logger.info("%s", text)
        return DenyConnection(text)


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Allows pages from the hosts of ``ALLOWED_HOSTS``, over http and https, from any port.

    With ``DEBUG`` and an empty ``ALLOWED_HOSTS`` those are the names of this machine, as in Django itself. The
    origin ``null`` (a sandboxed frame, a local file) is never allowed.
    """

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Whether the host of ``origin`` is allowed."""
        allowed = settings.ALLOWED_HOSTS
        if settings.DEBUG and not allowed:
            allowed = HOSTS_IN_DEVELOPMENT
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        host, _ = split_domain_port(parts.netloc)
        return parts.scheme in SCHEMES and bool(host) and validate_host(host, allowed)


allowed_hosts_only = AllowedHostsOnlyOriginValidator
"""The decorator to use: ``@allowed_hosts_only`` on a consumer of ``websocket.connect``."""
