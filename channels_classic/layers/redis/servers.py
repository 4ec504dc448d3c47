"""Connections to Redis servers: a trip is a list of commands sent at once and the list of their answers.

redis-py's connections are used without its clients: a trip costs less, and it can be told whether a server
that went away has seen anything of it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import select
import socket
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import hiredis
import redis
import redis.asyncio
import redis.asyncio.retry
import redis.retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from channels_classic.layers.exceptions import LayerUnavailable

Command = tuple[Any, ...]

OLDEST_REDIS = (6, 2)

DEFAULTS: dict[str, Any] = {
    "socket_connect_timeout": 5,
    # A server that is gone without a word is noticed within half a minute.
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, option): value
        for option, value in {
            "TCP_KEEPIDLE": 10,
            "TCP_KEEPINTVL": 5,
            "TCP_KEEPCNT": 3,
            "TCP_USER_TIMEOUT": 20_000,
        }.items()
        if hasattr(socket, option)
    },
}

THREAD_TIMEOUT = 45
"""Seconds; longer than any wait for a message: only a server that hangs takes so long to answer a thread.

An event loop does without, since redis-py makes a task of every call for it.
"""

NAMES = ("send", "receive", "peek", "group_add", "group_discard", "group_routes", "turns", "waiting")
SCRIPTS = {name: (Path(__file__).parent / "scripts" / f"{name}.lua").read_bytes() for name in NAMES}

# redis-py 5.2 and before asks for a command's name, later ones warn about it.
_name = inspect.signature(redis.ConnectionPool.get_connection).parameters.get("command_name")
_GET_ARGUMENTS = ("_",) if _name is not None and _name.default is inspect.Parameter.empty else ()


class Address:
    """Where a server is and how to connect to it.

    Arguments:
        host: a URL, ``(host, port)``, or a dict of keywords for redis-py (with ``url`` or ``address`` for a URL).
        connection_kwargs: more keywords for redis-py.

    Raises:
        ValueError: it is none of these.
    """

    def __init__(self, host: Any, connection_kwargs: Mapping[str, Any]) -> None:
        keywords = dict(connection_kwargs)
        self.url: str | None = None
        if isinstance(host, str):
            self.url = host
        elif isinstance(host, Mapping):
            keywords.update(host)
            self.url = keywords.pop("url", None) or keywords.pop("address", None)
        elif isinstance(host, (tuple, list)) and len(host) == 2:
            keywords["host"], keywords["port"] = host
        else:
            raise ValueError(
                "hosts must be a list of URLs ('redis://localhost:6379/0'), (host, port) pairs or dicts "
                f"of keywords for redis-py; one of them is {host!r}."
            )
        self.keywords = keywords
        # Errors in a URL are the settings' and show at once, not when a message is sent.
        self.pool(redis)

    def pool(self, module: Any) -> Any:
        """A connection pool of ``redis`` or ``redis.asyncio``."""
        keywords = {**pool_defaults(module), **self.keywords, "decode_responses": False}
        if "unix_socket_path" in keywords:
            keywords["path"] = keywords.pop("unix_socket_path")
        if "path" in keywords or (self.url or "").startswith("unix:"):
            for name in ("socket_keepalive", "socket_keepalive_options"):
                keywords.pop(name, None)
        if self.url is not None:
            return module.ConnectionPool.from_url(self.url, **keywords)
        if "path" in keywords:
            keywords["connection_class"] = module.UnixDomainSocketConnection
        elif keywords.pop("ssl", False):
            keywords["connection_class"] = module.SSLConnection
        return module.ConnectionPool(**keywords)

    def __str__(self) -> str:
        pool = self.pool(redis).connection_kwargs
        where = pool.get("path") or f"{pool.get('host', 'localhost')}:{pool.get('port', 6379)}"
        return f"{where}, database {pool.get('db') or 0}"


def pool_defaults(module: Any) -> dict[str, Any]:
    """Keywords for a pool of ``redis`` or ``redis.asyncio`` that the user may override."""
    # Retrying is the layer's own business: redis-py would send messages twice.
    retry = {"retry": module.retry.Retry(NoBackoff(), 0)}
    return {**DEFAULTS, "socket_timeout": THREAD_TIMEOUT if module is redis else None, **retry}


class _Common:
    """What both kinds of server share: the digests of the scripts, and errors made clear.

    Arguments:
        name: the server, for people.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.digests: dict[str, Any] = {}

    def set_up(self) -> list[Command]:
        """The commands of the first trip."""
        return [("INFO", "server"), *(("SCRIPT", "LOAD", source) for source in SCRIPTS.values())]

    def check_set_up(self, answers: Sequence[Any]) -> None:
        """Learn from the answers to the first trip."""
        information, *digests = answers
        self.checked(digests)
        # A user of the server may be kept from INFO, like from all that its ACL calls dangerous.
        known = b"" if isinstance(information, ResponseError) else bytes(information)
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

    def checked(self, answers: Sequence[Any]) -> Sequence[Any]:
        """The answers, none of which is an error.

        Raises:
            LayerUnavailable: one of them is.
        """
        for answer in answers:
            if isinstance(answer, ResponseError):
                hint = ""
                if "WRONGTYPE" in str(answer):
                    hint = " Does another program use keys with the same prefix? Set another one."
                raise LayerUnavailable(f"Redis at {self.name} refused a command: {answer}.{hint}") from answer
        return answers

    def unavailable(self, error: BaseException, connecting: bool) -> LayerUnavailable:
        """What to raise for an error of redis-py."""
        if isinstance(error, LayerUnavailable):
            return error
        if connecting or isinstance(error, AuthenticationError):
            hint = ""
            if isinstance(error, (AuthenticationError, ResponseError)):
                hint = " Check user, password and database in hosts."
            return LayerUnavailable(f"Cannot connect to Redis at {self.name}: {error}{hint}", nothing_done=True)
        return LayerUnavailable(f"The connection to Redis at {self.name} broke: {error}")


class Server(_Common):
    """A Redis server, for threads.

    Arguments:
        pool: of connections.
        name: the server, for people.
    """

    def __init__(self, pool: redis.ConnectionPool, name: str) -> None:
        super().__init__(name)
        self._pool = pool
        # A pool of our own in front of redis-py's: taking a connection from there costs more than a trip's answer.
        self._idle: list[Any] = []
        self._process = os.getpid()

    def trip(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Send commands, and return their answers.

        Raises:
            LayerUnavailable: the server cannot be reached, or refused a command.
        """
        connection = self.take()
        try:
            answers = self._exchange(connection, self.with_digests(commands))
            if missing := _unknown_scripts(answers):
                self.check_set_up(self._exchange(connection, self.set_up()))
                again = self._exchange(connection, self.with_digests([commands[number] for number in missing]))
                answers = _with_answers(answers, missing, again)
        finally:
            self.give(connection)
        return self.checked(answers)

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
            self._drop(connection)
        try:
            connection = self._pool.get_connection(*_GET_ARGUMENTS)
        except (RedisError, OSError) as error:
            raise self.unavailable(error, connecting=True) from error
        if not self.digests:
            try:
                self.check_set_up(self._exchange(connection, self.set_up()))
            except BaseException:
                self._drop(connection)
                raise
        return connection

    def give(self, connection: Any) -> None:
        """Give a connection back; one that was closed goes."""
        if connection._sock is not None:  # what is_connected tells, which redis-py 5 lacks
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)

    def _exchange(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            return [self._read(connection) for _ in commands]
        except BaseException as error:
            connection.disconnect()  # answers may be on their way that nobody reads any more
            if isinstance(error, (RedisError, OSError)):
                raise self.unavailable(error, connecting=False) from error
            raise

    @staticmethod
    def _read(connection: Any) -> Any:
        try:
            return connection.read_response()
        except (RedisConnectionError, RedisTimeoutError):
            raise
        except ResponseError as error:
            return error


def wait_for_any(servers: Sequence[Server], keys: Sequence[str], timeout: float) -> list[tuple[int, bytes, bytes]]:
    """Wait on several servers at once for the first value of any of the lists.

    Returns:
        The positions of servers, with a list's name and the value taken from it: one, or more where values came
        to several servers at the same time; none if none came in time.
    """
    connections: list[tuple[int, Server, Any, int]] = []
    taken = []
    try:
        for position, server in enumerate(servers):
            connection = server.take()
            (identity,) = server._exchange(connection, [("CLIENT", "ID")])
            connection.send_command("BLPOP", *keys, timeout)
            connections.append((position, server, connection, identity))
        sockets = [connection._sock for _, _, connection, _ in connections]
        select.select(sockets, [], [], timeout + 1)
        for _, server, _, identity in connections:
            server.trip([("CLIENT", "UNBLOCK", identity)])
        for position, server, connection, _ in connections:
            popped = server._read(connection)
            server.checked([popped])
            if popped is not None:
                taken.append((position, popped[0], popped[1]))
        return taken
    except BaseException as error:
        for _, _, connection, _ in connections:
            connection.disconnect()
        if isinstance(error, (RedisError, OSError)):
            raise servers[0].unavailable(error, connecting=False) from error
        raise
    finally:
        for _, server, connection, _ in connections:
            server.give(connection)


def _pools_of_sentinels(pool: Any) -> list[Any]:
    manager = getattr(pool, "sentinel_manager", None)
    return [sentinel.connection_pool for sentinel in manager.sentinels] if manager else []


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
        super().__init__(name)
        self._pool = pool
        self._idle: list[Any] = []

    async def trip(self, commands: Sequence[Command]) -> Sequence[Any]:
        """As ``Server.trip``."""
        connection = await self._take()
        try:
            answers = await self._exchange(connection, self.with_digests(commands))
            if missing := _unknown_scripts(answers):
                self.check_set_up(await self._exchange(connection, self.set_up()))
                again = await self._exchange(
                    connection, self.with_digests([commands[number] for number in missing])
                )
                answers = _with_answers(answers, missing, again)
        finally:
            if connection.is_connected:
                self._idle.append(connection)
            else:
                await self._pool.release(connection)
        return self.checked(answers)

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
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            raise self.unavailable(error, connecting=True) from error
        if not self.digests:
            try:
                self.check_set_up(await self._exchange(connection, self.set_up()))
            except BaseException:
                await self._pool.release(connection)
                raise
        return connection

    async def _exchange(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        try:
            await connection.send_packed_command(_pack(commands))
            return [await self._read(connection) for _ in commands]
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, (RedisError, OSError, asyncio.TimeoutError)):
                raise self.unavailable(error, connecting=False) from error
            raise

    @staticmethod
    async def _read(connection: Any) -> Any:
        try:
            return await connection.read_response()
        except (RedisConnectionError, RedisTimeoutError):
            raise
        except ResponseError as error:
            return error


class PoolSource(Protocol):
    """Where the connections to one server come from; its ``str()`` names the server for people."""

    def pool(self, module: Any) -> Any:
        """A connection pool of ``redis`` or ``redis.asyncio``, whichever ``module`` is."""


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
