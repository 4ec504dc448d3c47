"""Waiting on several Redis servers at once, by one thread."""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from typing import Any, NamedTuple

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.private import socket_of
from channels_classic.layers.redis.connections.server import Server
from channels_classic.layers.redis.connections.steps import Command, checked
from channels_classic.layers.redis.connections.thread_lines import ThreadLine


class _Wait(NamedTuple):
    """A connection that waits for an entry. The identity is the one that its server gives it."""

    server: Server
    line: ThreadLine
    identity: int

    @classmethod
    def on(cls, server: Server, command: Command) -> _Wait:
        line = server.take()
        try:
            (identity,) = checked(server.call(line, [("CLIENT", "ID")]))
            line.send([command], server.seconds)
        except BaseException as error:
            server.drop(line)
            if isinstance(error, Exception):
                raise server.failure(error) from error
            raise
        return cls(server, line, identity)

    def end(self, answered: bool) -> Any:
        """End the wait: the key of a list and the entry taken from it, ``None``, or a ``LayerUnavailable``."""
        try:
            if not answered:
                checked(self.server.round_trip([("CLIENT", "UNBLOCK", self.identity)]))
            answers: list[Any] = []
            self.line.read(answers, 1)
            return answers[0]
        except BaseException as error:
            self.line.close()
            if isinstance(error, Exception):
                return self.server.failure(error)
            raise
        finally:
            self.server.give(self.line)


def wait_for_any(asked: Sequence[tuple[Server, Command]], timeout: float) -> list[Any]:
    """Wait on several servers at once for the first entry of any of their lists.

    Arguments:
        asked: the servers, each with the ``BLPOP`` that waits there.
        timeout: seconds; the same as in the commands.

    Returns:
        For each server ``None``, or the key of a list and the entry taken from it, or a ``LayerUnavailable``.
        There are several entries if some came to several servers at the same time.
    """
    waits: list[_Wait] = []
    failure = None
    try:
        for server, command in asked:
            waits.append(_Wait.on(server, command))
        answered = _readable([socket_of(wait.line.connection) for wait in waits], timeout + 1)
    except LayerUnavailable as error:
        # Those that wait already may have taken something by now.
        failure, answered = error, set()
    except BaseException:
        for wait in waits:
            wait.server.drop(wait.line)
        raise
    answers = [wait.end(socket_of(wait.line.connection) in answered) for wait in waits]
    return answers + [failure] * (len(asked) - len(waits))


def _readable(sockets: Sequence[Any], timeout: float) -> set[Any]:
    """Wait until one of the sockets has bytes to read, and return those that have."""
    # ``select.select`` would fail in a process that has more than a thousand files open.
    with selectors.DefaultSelector() as selector:
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
        return {key.fileobj for key, _ in selector.select(timeout)}
