"""``Line``: an open connection to a server, for an event loop.

redis-py connects, with TLS, passwords and sentinels. Then a ``DirectLine`` takes over the transport, because the
streams and coroutines of redis-py cost twice as much as all else that the event loop does for a round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from redis.exceptions import ResponseError

from channels_classic.layers.redis.connections.private import has_ended, transport_of
from channels_classic.layers.redis.connections.steps import Command
from channels_classic.layers.redis.connections.wire import NOTHING, PUSH, Meaning, pack, parser


class Line(Protocol):
    """An open connection that one round trip at a time uses."""

    connection: Any
    """The connection of redis-py."""
    identity: Any
    """The identity that the server gives the connection, or an error if the user of the layer may not ask for
    it."""
    run_id: bytes
    """The server that it leads to."""

    @property
    def is_open(self) -> bool:
        """Whether it can be used, as far as the event loop knows by now."""

    async def send(self, commands: Sequence[Command]) -> None:
        """Send commands."""

    async def read(self, answers: list[Any], count: int) -> None:
        """Append answers to ``answers`` until it has ``count``. If the task is cancelled, no answer is lost.

        Raises:
            Exception: the connection is broken.
        """

    async def close(self) -> None:
        """Close it at once."""


def line_of(connection: Any, meaning: Meaning) -> Line:
    """Make the line of a connection that redis-py has just opened."""
    transport = transport_of(connection)
    return StreamLine(connection, meaning) if transport is None else DirectLine(connection, meaning, transport)


class _Closing:
    """What both kinds have in common."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.identity: Any = None
        self.run_id = b""

    async def close(self) -> None:
        """Close it at once."""
        with suppress(Exception):
            await self.connection.disconnect(nowait=True)


class DirectLine(_Closing, asyncio.Protocol):
    """A connection whose transport calls the parser at once.

    Arguments:
        connection: the connection of redis-py.
        meaning: translates errors that the server answers.
        transport: the transport of the connection.
    """

    def __init__(self, connection: Any, meaning: Meaning, transport: asyncio.Transport) -> None:
        super().__init__(connection)
        self._transport = transport
        self._parser = parser(meaning)
        self._answers: list[Any] = []
        self._count = 0
        self._arrived: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._streams = transport.get_protocol()
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether it can be used, as far as the event loop knows by now."""
        # Bytes that nobody has asked for would be taken for the answers of the next round trip.
        return self._failure is None and not self._transport.is_closing() and not self._parser.has_data()

    async def send(self, commands: Sequence[Command]) -> None:
        """Send commands. The transport may keep them: the next round trip waits for the answers."""
        self._transport.writelines(pack(commands))

    async def read(self, answers: list[Any], count: int) -> None:
        """Append answers to ``answers`` until it has ``count``."""
        self._answers, self._count = answers, count
        self._parse()
        if len(answers) == count:
            return
        if self._failure is not None:
            raise self._failure
        self._arrived = asyncio.get_running_loop().create_future()
        try:
            await self._arrived
        finally:
            self._arrived = None

    def data_received(self, data: bytes) -> None:
        """Take bytes of the server. The transport calls this."""
        self._parser.feed(data)
        self._parse()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended. The transport calls this."""
        self._fail(exc or ConnectionError("the server has closed it"))
        self._streams.connection_lost(exc)  # redis-py waits for this when it closes the connection

    def _parse(self) -> None:
        answers, count, next_answer = self._answers, self._count, self._parser.gets
        try:
            while len(answers) < count:
                answer = next_answer()
                if answer is NOTHING:
                    return
                if type(answer) is not PUSH:
                    answers.append(answer)
        except Exception as error:  # these are not the bytes of a Redis
            self._fail(error)
            self._transport.abort()
            return
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(self._failure)


class StreamLine(_Closing):
    """A connection that only redis-py can read: fakeredis has no transport.

    Arguments:
        connection: the connection of redis-py.
        meaning: translates errors that the server answers.
    """

    def __init__(self, connection: Any, meaning: Meaning) -> None:
        super().__init__(connection)
        self._meaning = meaning

    @property
    def is_open(self) -> bool:
        """Whether it can be used, as far as the event loop knows by now."""
        return not has_ended(self.connection)

    async def send(self, commands: Sequence[Command]) -> None:
        """Send commands."""
        await self.connection.send_packed_command(pack(commands))

    async def read(self, answers: list[Any], count: int) -> None:
        """Append answers to ``answers`` until it has ``count``."""
        while len(answers) < count:
            try:
                answers.append(await self.connection.read_response(disconnect_on_error=False))
            except ResponseError as error:
                answers.append(self._meaning(error))
