"""``ThreadLine``: an open connection to a server, for threads.

redis-py connects, with TLS, passwords and sentinels. Then a ``SocketLine`` uses the socket itself: redis-py needs
several system calls and function calls for each answer, and a round trip has up to six answers.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

from channels_classic.layers.redis.connections.private import plain_socket_of, socket_of
from channels_classic.layers.redis.connections.steps import Command
from channels_classic.layers.redis.connections.wire import NOTHING, PUSH, Meaning, pack, parser

READ_BYTES = 65536


def thread_line_of(connection: Any, meaning: Meaning) -> ThreadLine:
    """Make the line of a connection that redis-py has just opened.

    Arguments:
        meaning: translates errors that the server answers.
    """
    plain = plain_socket_of(connection) if hasattr(select, "poll") else None
    return ThreadLine(connection, meaning) if plain is None else SocketLine(connection, meaning, plain)


class ThreadLine:
    """A connection that one round trip at a time uses, by way of redis-py: fakeredis has no socket.

    Arguments:
        connection: the connection of redis-py.
        meaning: translates errors that the server answers.
    """

    def __init__(self, connection: Any, meaning: Meaning) -> None:
        self.connection = connection
        self.run_id: bytes | None = None
        """The server that it leads to; ``None`` until that is known."""
        self.closings = 0
        """How many times its server had closed all connections when it was made."""
        self.identity: int | None = None
        """How the server calls the connection; ``None`` until it was asked."""
        self._meaning = meaning

    @property
    def is_open(self) -> bool:
        """Whether this process has not closed it."""
        # redis-py 5 has no is_connected; the socket tells the same.
        return socket_of(self.connection) is not None

    def is_readable(self) -> bool:
        """Whether something has come. On an idle line, this means that the other side has closed it."""
        try:
            return bool(self.connection.can_read(0))
        except Exception:
            return True

    def send(self, commands: Sequence[Command], seconds: float) -> None:
        """Send commands.

        Arguments:
            seconds: the time that the server may take for each part of its answers.
        """
        with suppress(AttributeError):  # fakeredis has no socket
            socket_of(self.connection).settimeout(seconds)
        self.connection.send_packed_command(pack(commands))

    def read(self, answers: list[Any], count: int) -> None:
        """Append answers to ``answers`` until it has ``count``.

        Raises:
            Exception: the connection is broken.
        """
        while len(answers) < count:
            try:
                answers.append(self.connection.read_response())
            except ResponseError as error:
                answers.append(self._meaning(error))

    def close(self) -> None:
        """Close it."""
        with suppress(Exception):
            self.connection.disconnect()


class SocketLine(ThreadLine):
    """A connection that is used by its socket.

    Arguments:
        connection: the connection of redis-py.
        meaning: translates errors that the server answers.
        plain: the socket of the connection.
    """

    def __init__(self, connection: Any, meaning: Meaning, plain: socket.socket) -> None:
        super().__init__(connection, meaning)
        self._socket = plain
        self._seconds = plain.gettimeout()
        self._parser = parser(meaning)
        self._poll = select.poll()
        self._poll.register(plain, select.POLLIN)

    def is_readable(self) -> bool:
        """Whether something has come. On an idle line, this means that the other side has closed it."""
        return bool(self._poll.poll(0)) or self._parser.has_data()

    def send(self, commands: Sequence[Command], seconds: float) -> None:
        """Send commands."""
        if seconds != self._seconds:
            self._socket.settimeout(seconds)
            self._seconds = seconds
        for packed in pack(commands):
            self._socket.sendall(packed)

    def read(self, answers: list[Any], count: int) -> None:
        """Append answers to ``answers`` until it has ``count``."""
        next_answer = self._parser.gets
        while len(answers) < count:
            answer = next_answer()
            if answer is NOTHING:
                received = self._socket.recv(READ_BYTES)
                if not received:
                    raise ConnectionError("the server has closed it")
                self._parser.feed(received)
            elif type(answer) is not PUSH:
                answers.append(answer)
