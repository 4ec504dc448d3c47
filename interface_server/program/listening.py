"""The socket that an interface server listens on."""

from __future__ import annotations

import errno
import socket

from channels_classic.unix_sockets import bind_unix
from interface_server.transport.port import BACKLOG


def listening_socket(
    bind: str, port: int, unix_socket: str | None, fd: int | None, reuse_port: bool = False
) -> socket.socket:
    """Make a socket that is bound. It does not listen yet, unless it is inherited.

    Arguments:
        bind, port: the address, if neither ``unix_socket`` nor ``fd`` is given.
        unix_socket: the path of a unix socket.
        fd: the file descriptor of a socket that the parent process has opened.
        reuse_port: whether other processes of the same user may listen on the port, too. The system gives each a
            share of the clients.

    Raises:
        OSError: the socket cannot be opened or bound.
        OverflowError: the port is out of range.
    """
    if fd is not None:
        return _inherited(fd)
    if unix_socket is not None:
        return bind_unix(unix_socket)
    family, _, _, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            if not hasattr(socket, "SO_REUSEPORT"):
                raise OSError(errno.ENOTSUP, "--reuse-port is not possible on this system")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _inherited(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    try:
        sock.listen(BACKLOG)  # as the server will do, too
    except OSError as error:
        sock.detach()
        raise OSError(error.errno, "it is no socket that can listen, such as systemd passes on") from error
    return sock


def describe(sock: socket.socket, is_tls: bool) -> str:
    """The address of ``sock`` for people: a URL, or ``unix:`` and a path."""
    address = sock.getsockname()
    if not isinstance(address, tuple):
        return f"unix:{address}"
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"{'https' if is_tls else 'http'}://{host}:{address[1]}"
