"""All private names of redis-py that this layer uses.

redis-py has no public way to get the socket of a connection, or to ask whether the other side has closed it. So
its versions are bounded. The import of the layer fails with a version that lacks these names, so that no message
is lost later.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import redis
import redis.asyncio


def socket_of(connection: Any) -> Any:
    """The socket of a connection for threads, to wait on; ``None`` if the connection is closed."""
    return connection._sock


def plain_socket_of(connection: Any) -> socket.socket | None:
    """The socket of a connection for threads that redis-py has just opened, to use it without redis-py.

    Returns:
        ``None`` if only redis-py can use it: it has no real socket, or sends pings before commands.
    """
    connected = socket_of(connection)
    return connected if isinstance(connected, socket.socket) and not connection.health_check_interval else None


def shut_down(connection: Any) -> None:
    """Shut down a connection for threads, even while another thread uses it: that thread sees it end."""
    with suppress(OSError, AttributeError):
        socket_of(connection).shutdown(socket.SHUT_RDWR)


def abort(connection: Any) -> None:
    """The same for a connection of the running event loop."""
    with suppress(AttributeError):  # it is not connected
        connection._writer.transport.abort()


def transport_of(connection: Any) -> asyncio.Transport | None:
    """The transport of a connection of an event loop that redis-py has just opened, to read it without redis-py.

    Returns:
        ``None`` if only redis-py can read it: it has no transport, or sends pings before commands.
    """
    if connection.health_check_interval or not isinstance(connection._writer, asyncio.StreamWriter):
        return None
    transport: asyncio.Transport = connection._writer.transport  # type: ignore[assignment]
    return transport


def has_ended(connection: Any) -> bool:
    """Whether a connection of an event loop is closed or broken, as far as the event loop knows by now."""
    if not connection.is_connected:  # redis-py would reconnect it, without our set-up
        return True
    reader = connection._reader
    return isinstance(reader, asyncio.StreamReader) and (reader.at_eof() or reader.exception() is not None)


def check(*connections: Any) -> None:
    """Check that connections have all these names.

    Raises:
        ImportError: this version of redis-py lacks one.
    """
    for connection, name in zip(connections, ("_sock", "_reader", "_writer"), strict=True):
        if not hasattr(connection, name):
            raise ImportError(
                f"The Redis layer cannot work with version {redis.__version__} of the package redis: "
                f"{type(connection).__module__}.{type(connection).__name__} has no {name!r}. "
                "Install a version that channels-classic allows: pip install 'redis >=5.0, <9'."
            )


check(redis.Connection(), redis.asyncio.Connection(), redis.asyncio.Connection())  # type: ignore[no-untyped-call]
