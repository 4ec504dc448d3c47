"""A Redis server, for an event loop: the same as ``server.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis import replies
from channels_classic.layers.redis.addresses import GET_CONNECTION, pools_of_sentinels
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
        self._set_up = SetUp(name)
        self._idle: list[Any] = []

    async def round_trip(self, commands: Sequence[Command]) -> Sequence[Any]:
        """As ``Server.round_trip``."""
        try:
            connection = await self._take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        try:
            answers: Sequence[Any] = await self._call(connection, self._set_up.with_digests(commands))
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
                await self._pool.release(connection)
        return answers

    async def close(self) -> None:
        """Let go of all connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await self._pool.release(connection)
        await self._pool.disconnect()
        for pool in pools_of_sentinels(self._pool):
            await pool.disconnect()

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not has_ended(connection):
                return connection
            # The other side has closed it: known before anything is sent, nothing has to be given up for it.
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
        return await self._connect()

    async def _connect(self) -> Any:
        try:
            connection = await self._pool.get_connection(*GET_CONNECTION)
        except (TimeoutError, RedisError, OSError) as error:
            raise replies.unreachable(self.name, error) from error
        if not self._set_up.done:
            try:
                self._set_up.learn(await self._call(connection, self._set_up.commands))
            except BaseException:
                await self._pool.release(connection)
                raise
        return connection

    async def _call(self, connection: Any, commands: Sequence[Command]) -> list[Any]:
        answers: list[Any] = []
        try:
            await connection.send_packed_command(_pack(commands))
            for _ in commands:
                answers.append(await self._read(connection))
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, (TimeoutError, RedisError, OSError)):
                raise
            answers += [replies.broken(self.name, error)] * (len(commands) - len(answers))
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
