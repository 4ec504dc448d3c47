"""A Redis server, for an event loop: the same as ``server.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections import replies
from channels_classic.layers.redis.connections.addresses import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    GET_CONNECTION,
    connections_left,
    pools_of_sentinels,
    stop_following,
)
from channels_classic.layers.redis.connections.deadlines import Deadlines
from channels_classic.layers.redis.connections.private import has_ended
from channels_classic.layers.redis.connections.set_up import SetUp, completed, unknown_scripts
from channels_classic.layers.redis.connections.steps import Command
from channels_classic.layers.redis.connections.wire import pack
from channels_classic.layers.traffic import traffic


class AsyncServer:
    """One server, for one event loop.

    Arguments:
        pool: of redis-py's asynchronous connections to it.
        name: the server, for people.
        set_up: of that server.
    """

    def __init__(self, pool: Any, name: str, set_up: SetUp) -> None:
        self.name = name
        self._pool = pool
        # The deadline is kept here, for the round trip as a whole: redis-py would make a task for every command.
        self._seconds: float = pool.connection_kwargs.get("socket_timeout") or ANSWER_SECONDS
        pool.connection_kwargs["socket_timeout"] = None
        connecting = pool.connection_kwargs.get("socket_connect_timeout") or CONNECT_SECONDS
        self._connect_seconds = connecting * (1 + len(pools_of_sentinels(pool))) + self._seconds
        self._deadlines = Deadlines()
        self._set_up = set_up
        self._idle: list[Any] = []
        self._left: Container[Any] = connections_left(pool)
        self._run_ids: dict[Any, bytes] = {}
        self._is_other = False
        """Whether the connections may lead to a server that is not the one to ask any more."""

    async def round_trip(self, commands: Sequence[Command], wait: float = 0) -> Sequence[Any]:
        """As ``Server.round_trip``."""
        traffic.round_trips += 1
        try:
            connection = await self._take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        answers: Sequence[Any] = ()
        try:
            answers = await self._call(connection, self._set_up.with_digests(commands), wait)
            if missing := unknown_scripts(answers):
                try:
                    self._set_up.learn(await self._call(connection, self._set_up.everything))
                    left = self._set_up.with_digests([commands[number] for number in missing])
                    again = await self._call(connection, left)
                except LayerUnavailable as error:
                    again = [error] * len(missing)
                answers = completed(answers, missing, again)
        finally:
            if connection.is_connected and self._is_current(connection):
                self._idle.append(connection)
            else:
                await self._drop(connection)
        if self._is_other:
            await self._drop_all()
        return answers

    async def close(self) -> None:
        """Let go of all connections."""
        await self._drop_all()
        stop_following(self._pool)
        await self._pool.disconnect()
        for pool in pools_of_sentinels(self._pool):
            await pool.disconnect()

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if self._is_current(connection) and not has_ended(connection):
                return connection
            # Known before anything is sent: nothing has to be given up for it.
            await self._drop(connection)
        return await self._connect()

    async def _connect(self) -> Any:
        try:
            async with asyncio.timeout(self._connect_seconds):
                connection = await self._pool.get_connection(*GET_CONNECTION)
        except Exception as error:
            traffic.failures += 1
            raise replies.unreachable(self.name, error) from error
        try:
            self._set_up.learn(await self._call(connection, self._set_up.commands))
        except BaseException:
            await self._drop(connection)
            raise
        self._run_ids[connection] = self._set_up.run_id
        traffic.connections += 1
        return connection

    def _is_current(self, connection: Any) -> bool:
        return self._run_ids.get(connection) == self._set_up.run_id and connection not in self._left

    async def _drop(self, connection: Any) -> None:
        self._run_ids.pop(connection, None)
        with suppress(Exception):
            await connection.disconnect(nowait=True)
        with suppress(Exception):
            await self._pool.release(connection)

    async def _drop_all(self) -> None:
        idle, self._idle, self._is_other = self._idle, [], False
        for connection in idle:
            await self._drop(connection)

    async def _call(self, connection: Any, commands: Sequence[Command], wait: float = 0) -> list[Any]:
        answers: list[Any] = []
        deadline = self._deadlines.begin(self._seconds + wait)
        try:
            await connection.send_packed_command(pack(commands))
            for _ in commands:
                answers.append(await self._read(connection))
        except BaseException as raised:
            error = deadline.meaning(raised)
            with suppress(Exception):
                await connection.disconnect(nowait=True)
            if not isinstance(error, Exception):
                raise
            traffic.failures += 1
            answers += [self._failure(replies.broken(self.name, error, self._seconds))] * (
                len(commands) - len(answers)
            )
        finally:
            self._deadlines.close(deadline)
        return answers

    async def _read(self, connection: Any) -> Any:
        try:
            return await connection.read_response()
        except NoScriptError as error:
            return error
        except ResponseError as error:
            return self._failure(replies.refusal(self.name, error))

    def _failure(self, failure: LayerUnavailable) -> LayerUnavailable:
        self._is_other = self._is_other or isinstance(failure, replies.OtherServer)
        return failure
