"""Waiting on several Redis servers at once, by one thread."""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from typing import Any, NamedTuple

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.connections.private import socket_of
from channels_classic.layers.redis.connections.server import Server
from channels_classic.layers.redis.connections.set_up import completed, unknown_scripts
from channels_classic.layers.redis.connections.steps import Command, checked


class Waiting(NamedTuple):
    """What to do on one of several servers, over one connection.

    Arguments:
        server: the server.
        before: commands that come before the wait, whose answers do not matter.
        wait: the ``BLPOP`` that waits.
        behind: commands that come behind it.
    """

    server: Server
    before: Sequence[Command]
    wait: Command
    behind: Sequence[Command] = ()


class _Wait:
    """A connection on which a server has to wait.

    Raises:
        LayerUnavailable: nothing could be sent.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._server, before, wait, self._behind = waiting
        self._answers: list[Any] = []
        """Those of ``BLPOP`` and of the commands behind it, as far as they are known."""
        self.line = self._server.take()
        self._identity: Any = self.line.identity
        if self._identity is None:
            before = [*before, ("CLIENT", "ID")]
        self._before = len(before)
        commands = self._server.set_up.with_digests([*before, wait, *self._behind])
        try:
            self.line.send(commands, self._server.seconds)
        except BaseException as error:
            self.drop()
            if isinstance(error, Exception):
                raise self._server.failure(error) from error
            raise

    def begin(self) -> bool:
        """Read the answers in front of the wait. Returns whether the wait is over already."""
        before: list[Any] = []
        try:
            self.line.read(before, self._before)
        except Exception as error:
            self._fail(error)
            return True
        if self._identity is None:
            self._identity = before[-1]
            if isinstance(self._identity, int):  # and not a refusal
                self.line.identity = self._identity
        return self.line.is_readable()

    def end(self, answered: bool) -> Sequence[Any]:
        """End the wait, and return the answers, with a ``LayerUnavailable`` in place of each missing one."""
        answers, behind = self._answers, self._behind
        try:
            if not answered:
                checked([self._identity])
                checked(self._server.round_trip([("CLIENT", "UNBLOCK", self._identity)]))
            self.line.read(answers, 1 + len(behind))
        except Exception as error:
            self._fail(error)
        self._server.give(self.line)
        if missing := unknown_scripts(answers):
            again = self._server.round_trip([behind[number - 1] for number in missing])
            return completed(answers, missing, again)
        return answers

    def drop(self) -> None:
        """Close the connection."""
        self._server.drop(self.line)

    def _fail(self, error: Exception) -> None:
        self.line.close()
        failure = self._server.failure(error)
        self._answers += [failure] * (1 + len(self._behind) - len(self._answers))


def wait_for_any(asked: Sequence[Waiting], timeout: float) -> list[Sequence[Any]]:
    """Wait on several servers at once for the first entry of any of their lists.

    Arguments:
        asked: what to do on each server.
        timeout: seconds; the same as in the commands.

    Returns:
        For each server the answer of ``BLPOP``: ``None``, or the key of a list and the entry taken from it. Behind
        it come the answers of the commands behind the wait. There is a ``LayerUnavailable`` in place of each
        missing answer. There are several entries if some came to several servers at the same time.
    """
    waits: list[_Wait] = []
    failure = None
    try:
        for waiting in asked:
            try:
                waits.append(_Wait(waiting))
            except LayerUnavailable as error:
                # Those that wait already may have taken something by now.
                failure = error
                break
        over = {wait for wait in waits if wait.begin()}
        if not over and failure is None:
            readable = _readable([socket_of(wait.line.connection) for wait in waits], timeout + 1)
            over = {wait for wait in waits if socket_of(wait.line.connection) in readable}
        answers = [wait.end(wait in over) for wait in waits]
    except BaseException:
        for wait in waits:
            wait.drop()
        raise
    return answers + [[failure] * (1 + len(waiting.behind)) for waiting in asked[len(waits) :]]


def _readable(sockets: Sequence[Any], timeout: float) -> set[Any]:
    """Wait until one of the sockets has bytes to read, and return those that have."""
    # Windows has no poll. ``select`` would fail in a process that has more than a thousand files open.
    with getattr(selectors, "PollSelector", selectors.DefaultSelector)() as selector:
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
        return {key.fileobj for key, _ in selector.select(timeout)}
