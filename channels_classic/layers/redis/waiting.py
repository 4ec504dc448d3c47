"""Waiting on several Redis servers at once, by one thread."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.servers import Server, checked


class _Waiting(NamedTuple):
    """A connection that waits for a value; the identity is what its server calls it."""

    server: Server
    connection: Any
    identity: int

    @classmethod
    def on(cls, server: Server, keys: Sequence[str], timeout: float) -> _Waiting:
        connection = server.take()
        try:
            (identity,) = checked(server.exchange(connection, [("CLIENT", "ID")]))
            connection.send_command("BLPOP", *keys, timeout)
        except BaseException as error:
            server.drop(connection)
            if isinstance(error, (RedisError, OSError)):
                raise server.unavailable(error, connecting=False) from error
            raise
        return cls(server, connection, identity)

    def end(self, answered: bool) -> Any:
        """The answer: the name of a list and the value taken from it, or ``None``; or a ``LayerUnavailable``."""
        try:
            if not answered:
                self.server.trip([("CLIENT", "UNBLOCK", self.identity)])
            return self.server.read(self.connection)
        except BaseException as error:
            self.connection.disconnect()
            if isinstance(error, (RedisError, OSError)):
                return self.server.unavailable(error, connecting=False)
            raise
        finally:
            self.server.give(self.connection)


def wait_for_any(servers: Sequence[Server], keys: Sequence[str], timeout: float) -> list[Any]:
    """Wait on several servers at once for the first value of any of the lists.

    Returns:
        For each server ``None``, or a list's name and the value taken from it, or a ``LayerUnavailable``. There is
        more than one value where some came to several servers at the same time, and none if none came in time.
    """
    waiting: list[_Waiting] = []
    failure = None
    try:
        for server in servers:
            waiting.append(_Waiting.on(server, keys, timeout))
        answered, _, _ = select.select([one.connection._sock for one in waiting], [], [], timeout + 1)
    except LayerUnavailable as error:
        # Those that wait already may have been given something by now.
        failure, answered = error, []
    except BaseException:
        for one in waiting:
            one.server.drop(one.connection)
        raise
    answers = [one.end(one.connection._sock in answered) for one in waiting]
    return answers + [failure] * (len(servers) - len(waiting))
