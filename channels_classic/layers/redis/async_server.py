"""A Redis server, for an event loop: the same as ``server.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import hiredis
from redis.exceptions import NoScriptError, ResponseError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis import replies
from channels_classic.layers.redis.addresses import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    GET_CONNECTION,
    pools_of_sentinels,
)
from channels_classic.layers.redis.private import has_ended
from channels_classic.layers.redis.set_up import SetUp, completed, unknown_scripts
from channels_classic.layers.redis.steps import Command


class AsyncServer:
    """One server, for one event loop.

    Arguments:
        pool: of redis-py's asynchronous connections to it.
        name: the server, for people.
    """

    def __init__(self, pool: Any, name: str) -> None:
        self.name = name
        self._pool = pool
        # The deadline is kept here, for the round trip as a whole: redis-py would make a task for every command.
        self._seconds: float = pool.connection_kwargs.get("socket_timeout") or ANSWER_SECONDS
        pool.connection_kwargs["socket_timeout"] = None
        connecting = pool.connection_kwargs.get("socket_connect_timeout") or CONNECT_SECONDS
        self._connect_seconds = connecting * (1 + len(pools_of_sentinels(pool))) + self._seconds
        self._set_up = SetUp(name)
        self._idle: list[Any] = []

    async def round_trip(self, commands: Sequence[Command], wait: float = 0) -> Sequence[Any]:
        """As ``Server.round_trip``."""
        try:
            connection = await self._take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        answers: Sequence[Any] = ()
        try:
            answers = await self._call(connection, self._set_up.with_digests(commands), wait)
            if missing := unknown_scripts(answers):
                try:
                    self._set_up.learn(await self._call(connection, self._set_up.commands))
                    left = self._set_up.with_digests([commands[number] for number in missing])
                    again = await self._call(connection, left)
                except LayerUnavailable as error:
                    again = [error] * len(missing)
                answers = completed(answers, missing, again)
        finally:
            if connection.is_connected:
                self._idle.append(connection)
            else:
                await self._drop(connection)
        if replies.other_server(answers):
            await self._drop_all()
        return answers

    async def close(self) -> None:
        """Let go of all connections."""
        await self._drop_all()
        await self._pool.disconnect()
        for pool in pools_of_sentinels(self._pool):
            await pool.disconnect()

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not has_ended(connection):
                return connection
            # Known before anything is sent: nothing has to be given up for it.
            await self._drop(connection)
        return await self._connect()

    async def _connect(self) -> Any:
        try:
            async with asyncio.timeout(self._connect_seconds):
                connection = await self._pool.get_connection(*GET_CONNECTION)
        except Exception as error:
            raise replies.unreachable(self.name, error) from error
        if not self._set_up.done:
            try:
                self._set_up.learn(await self._call(connection, self._set_up.commands))
            except BaseException:
                await self._drop(connection)
                raise
        return connection

    async def _drop(self, connection: Any) -> None:
        with suppress(Exception):
            await connection.disconnect(nowait=True)
        with suppress(Exception):
            await self._pool.release(connection)

    async def _drop_all(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await self._drop(connection)

    async def _call(self, connection: Any, commands: Sequence[Command], wait: float = 0) -> list[Any]:
        answers: list[Any] = []
        try:
            async with asyncio.timeout(self._seconds + wait):
                await connection.send_packed_command(_pack(commands))
                for _ in commands:
                    answers.append(await self._read(connection))
        except BaseException as error:
            with suppress(Exception):
                await connection.disconnect(nowait=True)
            if not isinstance(error, Exception):
                raise
            failure = replies.broken(self.name, error, self._seconds)
            answers += [failure] * (len(commands) - len(answers))
        return answers

    async def _read(self, connection: Any) -> Any:
        try:
            return await connection.read_response()
        except NoScriptError as error:
            return error
        except ResponseError as error:
            return replies.refusal(self.name, error)


def _pack(commands: Sequence[Command]) -> list[bytes]:
    """The commands as the protocol has them: in C, where redis-py would do it in Python."""
    return [b"".join([hiredis.pack_command(command) for command in commands])]
