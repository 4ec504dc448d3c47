"""``Port``: a listening socket that closes without cutting clients off."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from channels_classic.log import logger

BACKLOG = 2048
"""The most connections that the system keeps until they are accepted."""


class Port:
    """A listening socket, and its new connections.

    Arguments:
        sock: a bound socket.
        make_connection: makes the protocol of a new connection.
        tls: the TLS context, if there is one.
    """

    def __init__(
        self, sock: socket.socket, make_connection: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make_connection = make_connection
        self._tls = tls
        self._sock = sock
        # When the last descriptor of a socket is closed, the system resets connections that nobody has accepted.
        self._last_descriptor = sock.dup()
        self._last_descriptor.setblocking(False)

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: another process has begun to listen on the address since the socket was bound.
        """
        try:
            self._sock.listen(BACKLOG)  # uvloop says nothing if this fails
        except OSError:
            self._last_descriptor.close()
            raise
        self._listener = await self._loop.create_server(
            self._make_connection, sock=self._sock, ssl=self._tls, backlog=BACKLOG
        )

    def close(self) -> list[asyncio.Task[None]]:
        """Refuse clients from now on.

        Returns:
            The tasks that accept clients which have already connected.
        """
        self._listener.close()
        tasks: list[asyncio.Task[None]] = []
        with self._last_descriptor as sock:
            while len(tasks) < BACKLOG:
                try:
                    client, _ = sock.accept()
                except OSError:
                    break
                client.setblocking(False)
                tasks.append(self._loop.create_task(self._take_on(client), name="a new connection"))
        return tasks

    async def _take_on(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_connection, client, ssl=self._tls)
        except OSError as error:  # this includes errors of TLS
            logger.debug("A client that connected when the server stopped was lost: %r", error)
