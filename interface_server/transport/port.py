"""``Port``: a socket that a server listens on, closed without a client being cut off."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from channels_classic.log import logger

BACKLOG = 2048
"""Connections that the system keeps until they are accepted."""


class Port:
    """A listening socket, and the connections that it brings.

    Arguments:
        sock: bound already.
        make_connection: makes the protocol of a new connection.
        tls: for TLS.
    """

    def __init__(
        self, sock: socket.socket, make_connection: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make_connection = make_connection
        self._tls = tls
        self._sock = sock
        # The system resets what nobody has accepted when the last descriptor of a socket is closed.
        self._last_descriptor = sock.dup()
        self._last_descriptor.setblocking(False)

    async def open(self) -> None:
        """Listen."""
        self._listener = await self._loop.create_server(
            self._make_connection, sock=self._sock, ssl=self._tls, backlog=BACKLOG
        )

    def close(self) -> list[asyncio.Task[None]]:
        """Refuse clients from now on.

        Returns:
            The tasks that take on those who have connected, but were not accepted yet.
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
        except OSError as error:  # errors of TLS are among them
            logger.debug("A client that connected when the server stopped was lost: %r", error)
