"""Connections to Redis servers: a trip is a list of commands sent at once and the list of their answers.

redis-py's connections are used without its clients: a trip costs less, and it can be told whether a server
that went away has seen anything of it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import hiredis
import redis
import redis.asyncio
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.addresses import PoolSource, longest_wait

Command = tuple[Any, ...]

OLDEST_REDIS = (6, 2)

NAMES = (
    "send",
    "receive",
    "give_back",
    "peek",
    "group_add",
    "group_discard",
    "group_routes",
    "turns",
    "waiting",
)
SCRIPTS = {name: (Path(__file__).parent / "scripts" / f"{name}.lua").read_bytes() for name in NAMES}

# redis-py 5.2 and before asks for a command's name, later ones warn about it.
_name = inspect.signature(redis.ConnectionPool.get_connection).parameters.get("command_name")
_GET_ARGUMENTS = ("_",) if _name is not None and _name.default is inspect.Parameter.empty else ()


class _Common:
    """What both kinds of server share: the digests of the scripts, and errors made clear.

    Arguments:
        pool: of connections.
        name: the server, for people.
    """

    def __init__(self, pool: Any, name: str) -> None:
        self._pool = pool
        self.name = name
        self.digests: dict[str, Any] = {}
        self.longest_wait = longest_wait(pool.connection_kwargs.get("socket_timeout"))
        """Seconds to wait for a message at a stretch."""

    def set_up(self) -> list[Command]:
        """The commands of the first trip."""
        return [("INFO", "server"), *(("SCRIPT", "LOAD", source) for source in SCRIPTS.values())]

    def check_set_up(self, answers: Sequence[Any]) -> None:
        """Learn from the answers to the first trip."""
        information, *digests = answers
        checked(digests)
        # A user of the server may be kept from INFO, like from all that its ACL calls dangerous.
        known = b"" if isinstance(information, LayerUnavailable) else bytes(information)
        for line in known.decode("utf-8", "replace").splitlines():
            name, _, version = line.partition(":")
            if name == "redis_version" and tuple(map(int, version.split(".")[:2])) < OLDEST_REDIS:
                raise LayerUnavailable(
                    f"Redis at {self.name} is version {version}; the channel layer needs 6.2 or newer.", True
                )
        self.digests = dict(zip(NAMES, digests, strict=True))

    def with_digests(self, commands: Sequence[Command]) -> list[Command]:
        """The commands, with a script's name in the first place turned into a call of the script."""
        digests = self.digests
        return [
            ("EVALSHA", digests[command[0]], *command[1:]) if command[0] in digests else command
            for command in commands
        ]

    def refusal(self, error: ResponseError) -> LayerUnavailable:
        """What to make of a command that the server refused."""
        if "used memory > 'maxmemory'" in str(error):
            # A command does nothing then, and no more does a script that writes nothing before.
            refusal = LayerUnavailable(
                f"Redis at {self.name} is full: its memory has reached maxmemory, and it takes nothing more. "
                "Raise maxmemory, or find out what fills it; messages wait in it if workers are too few.",
                nothing_done=True,
            )
        else:
            hint = ""
            if "WRONGTYPE" in str(error):
                hint = " Does another program use keys with the same prefix? Set another one."
            refusal = LayerUnavailable(f"Redis at {self.name} refused a command: {error}.{hint}")
        refusal.__cause__ = error
        return refusal

    def unavailable(self, error: BaseException, connecting: bool) -> LayerUnavailable:
        """What to raise for an error of redis-py."""
        if isinstance(error, LayerUnavailable):
            return error
        if connecting or isinstance(error, AuthenticationError):
            hint = ""
            if isinstance(error, (AuthenticationError, ResponseError)):
                hint = " Check user, password and database in hosts."
            return LayerUnavailable(f"Cannot connect to Redis at {self.name}: {error}{hint}", nothing_done=True)
        broken = LayerUnavailable(f"The connection to Redis at {self.name} broke: {error}")
        broken.__cause__ = error
        return broken


class Server(_Common):
    """A Redis server, for threads.

    Arguments:
        pool: of connections.
        name: the server, for people.
    """

    def __init__(self, pool: redis.ConnectionPool, name: str) -> None:
        super().__init__(pool, name)
        # A pool of our own in front of redis-py's: taking a connection from there costs more than a trip's answer.
        self._idle: list[Any] = []
        self._process = os.getpid()

    def trip(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Send commands, and return their answers.

        Raises:
            LayerUnavailable: the server cannot be reached, or refused a command.
        """
        return checked(self.attempt(commands))

    def attempt(self, commands: Sequence[Command]) -> Sequence[Any]:
        """As ``trip``, with a ``LayerUnavailable`` in the place of each answer that did not come."""
        try:
            connection = self.take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        try:
            answers = self.exchange(connection, self.with_digests(commands))
            if missing := _unknown_scripts(answers):
                try:
                    self.check_set_up(self.exchange(connection, self.set_up()))
                    again = self.exchange(connection, self.with_digests([commands[number] for number in missing]))
                except LayerUnavailable as error:
                    again = [error] * len(missing)
                answers = _with_answers(answers, missing, again)
        finally:
            self.give(connection)
        return answers

    def close(self) -> None:
        """Let go of all connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            self._pool.release(connection)
        self._pool.disconnect()
        for pool in _pools_of_sentinels(self._pool):
            pool.disconnect()

    def take(self) -> Any:
        """A connection that nobody else uses until it is given back."""
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()  # a fork must not share its parent's connections
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if not _has_ended(connection):
                return connection
            self.drop(connection)
        try:
            connection = self._pool.get_connection(*_GET_ARGUMENTS)
        except (RedisError, OSError) as error:
            raise self.unavailable(error, connecting=True) from error
        if not self.digests:
            try:
                self.check_set_up(self.exchange(connection, self.set_up()))
            except BaseException:
                self.drop(connection)
                raise
        return connection

    def give(self, connection: Any) -> None:
        """Give a connection back; one that was closed goes."""
        if connection._sock is not None:  # what is_connected tells, which redis-py 5 lacks
            self._idle.append(connection)
        else:
            self.drop(connection)

    def drop(self, connection: Any) -> None:
        """Let go of a connection."""
        connection.disconnect()
        self._pool.release(connection)

    def exchange(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands, as ``attempt`` has them; or a ``NoScriptError``."""
        answers: list[Any] = []
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                answers.append(self.read(connection))
        except BaseException as error:
            connection.disconnect()  # answers may be on their way that nobody reads any more
            if not isinstance(error, (RedisError, OSError)):
                raise
            answers += [self.unavailable(error, connecting=False)] * (len(commands) - len(answers))
        return answers

    def read(self, connection: Any) -> Any:
        """The next answer of a connection; if it is an error, what to make of it."""
        try:
            return connection.read_response()
        except NoScriptError as error:
            return error
        except ResponseError as error:
            return self.refusal(error)


def _pools_of_sentinels(pool: Any) -> list[Any]:
    manager = getattr(pool, "sentinel_manager", None)
    return [sentinel.connection_pool for sentinel in manager.sentinels] if manager else []


def checked(answers: Sequence[Any]) -> Sequence[Any]:
    """The answers, none of which is an error.

    Raises:
        LayerUnavailable: one of them is.
    """
    if (failure := failure_in(answers)) is not None:
        raise failure
    return answers


def failure_in(answers: Iterable[Any]) -> LayerUnavailable | None:
    """The first error among answers."""
    for answer in answers:
        if isinstance(answer, LayerUnavailable):
            return answer
    return None


def _unknown_scripts(answers: Sequence[Any]) -> list[int]:
    """The positions of the scripts that did not run, because the server was restarted or its scripts were flushed.

    The rest of the trip was carried out: a message that a ``BLPOP`` took must not be asked for again.
    """
    return [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]


def _with_answers(answers: Sequence[Any], numbers: Sequence[int], again: Sequence[Any]) -> list[Any]:
    completed = list(answers)
    for number, answer in zip(numbers, again, strict=True):
        completed[number] = answer
    return completed


def _has_ended(connection: Any) -> bool:
    """Whether the other side has closed an idle connection: then it is readable, for an end that is."""
    try:
        return bool(connection.can_read(0))
    except (RedisError, OSError):
        return True


class AsyncServer(_Common):
    """A Redis server, for an event loop; the same as ``Server``.

    Arguments:
        pool: of connections.
        name: the server, for people.
    """

    def __init__(self, pool: Any, name: str) -> None:
        super().__init__(pool, name)
        self._idle: list[Any] = []

    async def attempt(self, commands: Sequence[Command]) -> Sequence[Any]:
        """As ``Server.attempt``."""
        try:
            connection = await self._take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        try:
            answers = await self._exchange(connection, self.with_digests(commands))
            if missing := _unknown_scripts(answers):
                try:
                    self.check_set_up(await self._exchange(connection, self.set_up()))
                    again = await self._exchange(
                        connection, self.with_digests([commands[number] for number in missing])
                    )
                except LayerUnavailable as error:
                    again = [error] * len(missing)
                answers = _with_answers(answers, missing, again)
        finally:
            if connection.is_connected:
                self._idle.append(connection)
            else:
                await self._pool.release(connection)
        return answers

    async def close(self) -> None:
        """Let go of all connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await self._pool.release(connection)
        await self._pool.disconnect()
        for pool in _pools_of_sentinels(self._pool):
            await pool.disconnect()

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            reader = connection._reader
            if not (isinstance(reader, asyncio.StreamReader) and reader.at_eof()):
                return connection
            # The other side has closed it: known before anything is sent, nothing has to be given up for it.
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
        return await self._connect()

    async def _connect(self) -> Any:
        try:
            connection = await self._pool.get_connection(*_GET_ARGUMENTS)
        except (TimeoutError, RedisError, OSError) as error:
            raise self.unavailable(error, connecting=True) from error
        if not self.digests:
            try:
                self.check_set_up(await self._exchange(connection, self.set_up()))
            except BaseException:
                await self._pool.release(connection)
                raise
        return connection

    async def _exchange(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        answers: list[Any] = []
        try:
            await connection.send_packed_command(_pack(commands))
            for _ in commands:
                answers.append(await self._read(connection))
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, (RedisError, OSError, asyncio.TimeoutError)):
                raise
            answers += [self.unavailable(error, connecting=False)] * (len(commands) - len(answers))
        return answers

    async def _read(self, connection: Any) -> Any:
        try:
            return await connection.read_response()
        except NoScriptError as error:
            return error
        except ResponseError as error:
            return self.refusal(error)


def _pack(commands: Sequence[Command]) -> list[bytes]:
    """The commands as the protocol has them: in C, where redis-py would do it in Python."""
    return [b"".join([hiredis.pack_command(command) for command in commands])]


class Servers:
    """The servers of a layer: for threads at once, for an event loop when it first asks.

    Arguments:
        sources: one for each server.
    """

    def __init__(self, sources: Sequence[PoolSource]) -> None:
        self._sources = sources
        self.sync = [Server(source.pool(redis), str(source)) for source in sources]
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[AsyncServer]] = (
            weakref.WeakKeyDictionary()
        )

    def __len__(self) -> int:
        return len(self._sources)

    def of_loop(self) -> list[AsyncServer]:
        """The servers for the event loop that runs."""
        loop = asyncio.get_running_loop()
        servers = self._by_loop.get(loop)
        if servers is None:
            servers = [AsyncServer(source.pool(redis.asyncio), str(source)) for source in self._sources]
            self._by_loop[loop] = servers
        return servers

    async def close_loop(self) -> None:
        """Close what the event loop that runs had opened."""
        for server in self._by_loop.pop(asyncio.get_running_loop(), []):
            await server.close()
