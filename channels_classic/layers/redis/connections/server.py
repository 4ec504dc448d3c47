"""A Redis server, for threads: its connections, and the round trips over them.

redis-py's connections are used without its clients: a round trip costs less, and it can be told whether a server
that went away has seen anything of it. Whatever goes wrong, redis-py, the system or the server itself being the
cause, becomes a ``LayerUnavailable`` here.
"""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.exceptions import NoScriptError, ResponseError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections import replies
from channels_classic.layers.redis.connections.addresses import (
    ANSWER_SECONDS,
    GET_CONNECTION,
    connections_left,
    pools_of_sentinels,
    stop_following,
)
from channels_classic.layers.redis.connections.private import socket_of
from channels_classic.layers.redis.connections.set_up import SetUp, completed, unknown_scripts
from channels_classic.layers.redis.connections.steps import Command
from channels_classic.layers.redis.connections.wire import pack
from channels_classic.layers.traffic import traffic


class Server:
    """One server.

    Arguments:
        pool: of redis-py's connections to it.
        name: the server, for people.
    """

    def __init__(self, pool: redis.ConnectionPool, name: str) -> None:
        self.name = name
        self._pool = pool
        self.seconds: float = pool.connection_kwargs.get("socket_timeout") or ANSWER_SECONDS
        """Seconds that the server may take for an answer."""
        pool.connection_kwargs["socket_timeout"] = self.seconds
        self.set_up = SetUp(name)
        # A pool of our own in front of redis-py's: taking a connection from there costs more than the round trip.
        self._idle: list[Any] = []
        self._left: Container[Any] = connections_left(pool)
        self._run_ids: dict[Any, bytes] = {}
        """The server that each connection leads to. Connections to a former server are not used again."""
        self._is_other = False
        """Whether the connections may lead to a server that is not the one to ask any more."""
        self._process = os.getpid()

    def round_trip(self, commands: Sequence[Command], wait: float = 0) -> Sequence[Any]:
        """Send commands, and return their answers: a ``LayerUnavailable`` in the place of each that failed.

        Arguments:
            wait: seconds that one of the commands lets the server wait.
        """
        traffic.round_trips += 1
        try:
            connection = self.take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        answers: Sequence[Any] = ()
        try:
            if wait:
                _set_timeout(connection, self.seconds + wait)
            answers = self.call(connection, self.set_up.with_digests(commands))
            if wait:
                _set_timeout(connection, self.seconds)
            if missing := unknown_scripts(answers):
                try:
                    self.set_up.learn(self.call(connection, self.set_up.everything))
                    left = self.set_up.with_digests([commands[number] for number in missing])
                    again = self.call(connection, left)
                except LayerUnavailable as error:
                    again = [error] * len(missing)
                answers = completed(answers, missing, again)
        finally:
            self.give(connection)
        if self._is_other:
            self.drop_all()
        return answers

    def close(self) -> None:
        """Let go of all connections."""
        self.drop_all()
        stop_following(self._pool)
        self._pool.disconnect()
        for pool in pools_of_sentinels(self._pool):
            pool.disconnect()

    def take(self) -> Any:
        """A connection that nobody else uses until it is given back.

        Raises:
            LayerUnavailable: no connection could be made.
        """
        if self._process != os.getpid():
            # A fork must not share its parent's connections.
            self._idle, self._run_ids, self._process = [], {}, os.getpid()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if self._is_current(connection) and not _has_ended(connection):
                return connection
            self.drop(connection)
        try:
            connection = self._pool.get_connection(*GET_CONNECTION)
        except Exception as error:
            traffic.failures += 1
            raise replies.unreachable(self.name, error) from error
        try:
            self.set_up.learn(self.call(connection, self.set_up.commands))
            if self.set_up.is_new:
                # A trip that waits, and whose other scripts are not there, would wait in vain.
                self.set_up.learn(self.call(connection, self.set_up.everything))
        except BaseException:
            self.drop(connection)
            raise
        self._run_ids[connection] = self.set_up.run_id
        traffic.connections += 1
        return connection

    def give(self, connection: Any) -> None:
        """Give a connection back; one that was closed goes."""
        # The socket tells what is_connected tells, which redis-py 5 lacks.
        if socket_of(connection) is not None and self._is_current(connection):
            self._idle.append(connection)
        else:
            self.drop(connection)

    def drop(self, connection: Any) -> None:
        """Let go of a connection."""
        self._run_ids.pop(connection, None)
        with suppress(Exception):
            connection.disconnect()
        with suppress(Exception):
            self._pool.release(connection)

    def drop_all(self) -> None:
        """Let go of all connections that nobody uses, so that the next one leads to where the server is now."""
        idle, self._idle, self._is_other = self._idle, [], False
        for connection in idle:
            self.drop(connection)

    def call(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands over one connection, as ``round_trip`` has them; or a ``NoScriptError``."""
        answers: list[Any] = []
        try:
            connection.send_packed_command(pack(commands))
            for _ in commands:
                answers.append(self.read(connection))
        except BaseException as error:
            with suppress(Exception):
                connection.disconnect()  # answers may be on their way that nobody reads any more
            if not isinstance(error, Exception):
                raise
            answers += [self.failure(error)] * (len(commands) - len(answers))
        return answers

    def read(self, connection: Any) -> Any:
        """The next answer of a connection; if it is an error, what to make of it."""
        try:
            return connection.read_response()
        except NoScriptError as error:
            return error
        except ResponseError as error:
            return self._noted(replies.refusal(self.name, error))

    def failure(self, error: Exception) -> LayerUnavailable:
        """Translate an error that broke a connection."""
        traffic.failures += 1
        return self._noted(replies.broken(self.name, error, self.seconds))

    def _is_current(self, connection: Any) -> bool:
        return self._run_ids.get(connection) == self.set_up.run_id and connection not in self._left

    def _noted(self, failure: LayerUnavailable) -> LayerUnavailable:
        self._is_other = self._is_other or isinstance(failure, replies.OtherServer)
        return failure


def _set_timeout(connection: Any, seconds: float) -> None:
    with suppress(AttributeError):  # it was closed, or it is of fakeredis, which has no socket
        socket_of(connection).settimeout(seconds)


def _has_ended(connection: Any) -> bool:
    """Whether the other side has closed an idle connection: then it is readable, for an end that is."""
    try:
        return bool(connection.can_read(0))
    except Exception:
        return True
