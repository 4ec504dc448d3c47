"""A Redis server, for threads: its connections, and the round trips over them.

This uses redis-py's connections without its clients: a round trip costs less, and it is known whether a server
that went away can have seen anything of it. Any error, of redis-py, the system or the server, becomes a
``LayerUnavailable`` here.
"""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.exceptions import NoScriptError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections import replies
from channels_classic.layers.redis.connections.addresses import (
    ANSWER_SECONDS,
    GET_CONNECTION,
    connections_left,
    pools_of_sentinels,
    stop_following,
)
from channels_classic.layers.redis.connections.set_up import SetUp, completed, unknown_scripts
from channels_classic.layers.redis.connections.steps import Command
from channels_classic.layers.redis.connections.thread_lines import ThreadLine, thread_line_of
from channels_classic.layers.traffic import traffic


class Server:
    """One server.

    Arguments:
        pool: redis-py's pool of connections to the server.
        name: the name of the server for people.
    """

    def __init__(self, pool: redis.ConnectionPool, name: str) -> None:
        self.name = name
        self._pool = pool
        self.seconds: float = pool.connection_kwargs.get("socket_timeout") or ANSWER_SECONDS
        """Seconds that the server may take for an answer."""
        pool.connection_kwargs["socket_timeout"] = self.seconds
        self.set_up = SetUp(name)
        # Idle connections are kept here, because to take one from redis-py's pool costs more than the round trip.
        self._idle: list[ThreadLine] = []
        self._left: Container[Any] = connections_left(pool)
        self._closings = 0
        """The number of times that all connections were closed."""
        self._is_other = False
        """Whether the connections may lead to a server that is no longer the right one."""
        self._process = os.getpid()

    def round_trip(self, commands: Sequence[Command], wait: float = 0) -> Sequence[Any]:
        """Send commands, and return their answers, with a ``LayerUnavailable`` in place of each that failed.

        Arguments:
            wait: seconds that one of the commands makes the server wait.
        """
        traffic.round_trips += 1
        try:
            line = self.take()
        except LayerUnavailable as error:
            return [error] * len(commands)
        answers: Sequence[Any] = ()
        try:
            answers = self.call(line, self.set_up.with_digests(commands), wait)
            if missing := unknown_scripts(answers):
                try:
                    self.set_up.learn(self.call(line, self.set_up.everything))
                    left = self.set_up.with_digests([commands[number] for number in missing])
                    again = self.call(line, left)
                except LayerUnavailable as error:
                    again = [error] * len(missing)
                answers = completed(answers, missing, again)
        finally:
            self.give(line)
        if self._is_other:
            self.drop_all()
        return answers

    def close(self) -> None:
        """Close all connections. One that another thread is making, or uses, is closed after its round trip."""
        self._closings += 1
        self.drop_all()
        stop_following(self._pool)
        self._pool.disconnect()
        for pool in pools_of_sentinels(self._pool):
            pool.disconnect()

    def take(self) -> ThreadLine:
        """Take a connection that nobody else uses until ``give`` returns it.

        Raises:
            LayerUnavailable: no connection could be made.
        """
        if self._process != os.getpid():
            # After a fork, a process must not use the connections of its parent.
            self._idle, self._process = [], os.getpid()
        while self._idle:
            try:
                line = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if line.is_open and self._is_current(line) and not line.is_readable():
                return line
            self.drop(line)
        closings = self._closings
        try:
            line = thread_line_of(self._pool.get_connection(*GET_CONNECTION), self._meaning)
            line.closings = closings
        except Exception as error:
            traffic.failures += 1
            raise replies.unreachable(self.name, error) from error
        try:
            self.set_up.learn(self.call(line, self.set_up.commands))
            if self.set_up.is_new:
                # A round trip that waits would wait in vain if the server lacks one of its other scripts.
                self.set_up.learn(self.call(line, self.set_up.everything))
        except BaseException:
            self.drop(line)
            raise
        line.run_id = self.set_up.run_id
        traffic.connections += 1
        return line

    def give(self, line: ThreadLine) -> None:
        """Return a connection that ``take`` gave. A closed one is dropped."""
        if line.is_open and self._is_current(line):
            self._idle.append(line)
        else:
            self.drop(line)

    def drop(self, line: ThreadLine) -> None:
        """Close a connection."""
        line.close()
        with suppress(Exception):
            self._pool.release(line.connection)

    def drop_all(self) -> None:
        """Close all idle connections, so that the next one leads to where the server is now."""
        idle, self._idle, self._is_other = self._idle, [], False
        for line in idle:
            self.drop(line)

    def call(self, line: ThreadLine, commands: Sequence[Command], wait: float = 0) -> list[Any]:
        """Send commands over one connection. Answers are as of ``round_trip``, or a ``NoScriptError``."""
        answers: list[Any] = []
        try:
            line.send(commands, self.seconds + wait)
            line.read(answers, len(commands))
        except BaseException as error:
            line.close()  # nobody would read the answers that are still on their way
            if not isinstance(error, Exception):
                raise
            answers += [self.failure(error)] * (len(commands) - len(answers))
        return answers

    def failure(self, error: Exception) -> LayerUnavailable:
        """Translate an error that broke a connection."""
        traffic.failures += 1
        return self._noted(replies.broken(self.name, error, self.seconds))

    def _meaning(self, error: Exception) -> Any:
        return error if isinstance(error, NoScriptError) else self._noted(replies.refusal(self.name, error))

    def _is_current(self, line: ThreadLine) -> bool:
        is_right = line.run_id == self.set_up.run_id and line.connection not in self._left
        return is_right and line.closings == self._closings

    def _noted(self, failure: LayerUnavailable) -> LayerUnavailable:
        self._is_other = self._is_other or isinstance(failure, replies.OtherServer)
        return failure
