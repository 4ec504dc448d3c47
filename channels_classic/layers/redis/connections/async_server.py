"""A Redis server, for an event loop: the same as ``server.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import NoScriptError

from channels_classic.layers.cancellation import to_the_end
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
from channels_classic.layers.redis.connections.lines import Line, line_of
from channels_classic.layers.redis.connections.set_up import SetUp, completed, unknown_scripts
from channels_classic.layers.redis.connections.steps import Command
from channels_classic.layers.traffic import traffic

END_SECONDS = 2.0
"""Seconds that a server may take for the answers of a round trip whose task was cancelled. The task ends with
them."""


class Interrupted(asyncio.CancelledError):
    """The task was cancelled during a round trip.

    Arguments:
        answers: the answers that came nevertheless, with a ``LayerUnavailable`` in place of each missing one.
    """

    def __init__(self, answers: Sequence[Any]) -> None:
        super().__init__()
        self.answers = answers


class AsyncServer:
    """One server, for one event loop.

    Arguments:
        pool: redis-py's pool of asynchronous connections to the server.
        name: the name of the server for people.
        set_up: the set-up of the server.
    """

    def __init__(self, pool: Any, name: str, set_up: SetUp) -> None:
        self.name = name
        self._pool = pool
        # This class keeps the deadline, for the round trip as a whole: redis-py would make a task for every
        # command.
        self._seconds: float = pool.connection_kwargs.get("socket_timeout") or ANSWER_SECONDS
        pool.connection_kwargs["socket_timeout"] = None
        connecting = pool.connection_kwargs.get("socket_connect_timeout") or CONNECT_SECONDS
        self._connect_seconds = connecting * (1 + len(pools_of_sentinels(pool))) + self._seconds
        self._deadlines = Deadlines()
        self._set_up = set_up
        self._idle: list[Line] = []
        self._left: Container[Any] = connections_left(pool)
        self._is_closed = False
        self._is_other = False
        """Whether the connections may lead to a server that is no longer the right one."""

    async def round_trip(self, commands: Sequence[Command], wait: float = 0, takes: bool = False) -> Sequence[Any]:
        """As ``Server.round_trip``.

        Arguments:
            takes: whether the commands take something out of the server, so that the answers must not be lost.

        Raises:
            Interrupted: the task was cancelled during a round trip with ``takes``. The exception has the answers.
        """
        traffic.round_trips += 1
        try:
            line = await self._take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        answers: list[Any] = []
        try:
            await self._call(line, self._set_up.with_digests(commands), answers, wait, takes)
            if missing := unknown_scripts(answers):
                try:
                    self._set_up.learn(await self._call(line, self._set_up.everything, []))
                    left = self._set_up.with_digests([commands[number] for number in missing])
                    again = await self._call(line, left, [])
                except LayerUnavailable as error:
                    again = [error] * len(missing)
                answers = completed(answers, missing, again)
        except asyncio.CancelledError:
            if not takes:
                raise
            await to_the_end(self._end_early(line, len(commands), answers))
            missing = unknown_scripts(answers)
            refusals = [self._failure(replies.refusal(self.name, answers[number])) for number in missing]
            raise Interrupted(completed(answers, missing, refusals)) from None
        finally:
            if line.is_open and self._is_current(line):
                self._idle.append(line)
            else:
                await self._drop(line)
        if self._is_other:
            await self._drop_all()
        return answers

    async def close(self) -> None:
        """Let go of all connections. One that another task is making, or uses, is closed after its round trip."""
        self._is_closed = True
        await self._drop_all()
        stop_following(self._pool)
        await self._pool.disconnect()
        for pool in pools_of_sentinels(self._pool):
            await pool.disconnect()

    def forget(self) -> None:
        """Note that its event loop was closed, with all connections."""
        stop_following(self._pool)

    async def _take(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if line.is_open and self._is_current(line):
                return line
            # This is known before anything is sent, so nothing is lost.
            await self._drop(line)
        return await self._connect()

    async def _connect(self) -> Line:
        try:
            async with asyncio.timeout(self._connect_seconds):
                line = line_of(await self._pool.get_connection(*GET_CONNECTION), self._meaning)
        except Exception as error:
            traffic.failures += 1
            raise replies.unreachable(self.name, error) from error
        try:
            line.identity, *answers = await self._call(line, [("CLIENT", "ID"), *self._set_up.commands], [])
            self._set_up.learn(answers)
        except BaseException:
            await self._drop(line)
            raise
        line.run_id = self._set_up.run_id
        traffic.connections += 1
        return line

    def _is_current(self, line: Line) -> bool:
        is_right = line.run_id == self._set_up.run_id and line.connection not in self._left
        return is_right and not self._is_closed

    async def _drop(self, line: Line) -> None:
        await line.close()
        with suppress(Exception):
            await self._pool.release(line.connection)

    async def _drop_all(self) -> None:
        idle, self._idle, self._is_other = self._idle, [], False
        for line in idle:
            await self._drop(line)

    async def _call(
        self,
        line: Line,
        commands: Sequence[Command],
        answers: list[Any],
        wait: float = 0,
        takes: bool = False,
    ) -> list[Any]:
        """Send commands, and append their answers to ``answers``.

        If the task is cancelled, the connection is closed, because nobody would read the other answers. With
        ``takes`` it is left as it is.
        """
        deadline = self._deadlines.begin(self._seconds + wait)
        try:
            await line.send(commands)
            await line.read(answers, len(commands))
        except BaseException as raised:
            error = deadline.meaning(raised)
            if takes and isinstance(error, asyncio.CancelledError):
                raise
            await line.close()
            if not isinstance(error, Exception):
                raise
            traffic.failures += 1
            answers += [self._failure(replies.broken(self.name, error, self._seconds))] * (
                len(commands) - len(answers)
            )
        finally:
            self._deadlines.close(deadline)
        return answers

    async def _end_early(self, line: Line, count: int, answers: list[Any]) -> None:
        """Read the rest of ``count`` answers, and make the server end the wait that is among them."""
        pause = 0.01
        try:
            async with asyncio.timeout(END_SECONDS):
                while len(answers) < count:
                    if not isinstance(line.identity, LayerUnavailable):
                        await self.round_trip([("CLIENT", "UNBLOCK", line.identity)])
                    # The command may have arrived before the wait that it was to end. Then it is sent again.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await line.read(answers, count)
                    pause *= 2
        except Exception as error:
            await line.close()
            failure = self._failure(replies.broken(self.name, error, END_SECONDS))
            answers += [failure] * (count - len(answers))

    def _meaning(self, error: Exception) -> Any:
        return error if isinstance(error, NoScriptError) else self._failure(replies.refusal(self.name, error))

    def _failure(self, failure: LayerUnavailable) -> LayerUnavailable:
        self._is_other = self._is_other or isinstance(failure, replies.OtherServer)
        return failure
