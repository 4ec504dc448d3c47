"""Connections to masters that Redis Sentinel knows by name. The pools follow a master when it moves."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis
import redis.asyncio.sentinel
import redis.sentinel

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.keywords import masked
from channels_classic.layers.redis.connections.addresses import pool_defaults, with_driver
from channels_classic.layers.redis.connections.private import abort, shut_down
from channels_classic.layers.redis.connections.switches import Place, Switches

SENTINEL_SECONDS = 1.0
"""Seconds that a sentinel may take to answer. If it hangs, the process asks the next one."""


class Service:
    """A master that the sentinels know by name.

    Arguments:
        sentinels: the host and the port of each sentinel.
        name: the name of the service.
        connection_kwargs: keywords for redis-py's connections.
        refresh: seconds after which the sentinels are asked again although nothing failed; 0 for never.
        switches: tell when the master moves.
    """

    def __init__(
        self,
        sentinels: Sequence[Place],
        name: str,
        connection_kwargs: Mapping[str, Any],
        refresh: float,
        switches: Switches,
    ) -> None:
        self._sentinels = sentinels
        self._name = name
        self._connection_kwargs = connection_kwargs
        self._refresh = refresh
        self._switches = switches

    def pool(self, module: Any) -> Any:
        """Make a pool whose connections ask the sentinels for the master."""
        keywords = {**pool_defaults(module), **self._connection_kwargs, "decode_responses": False}
        keywords["sentinel_kwargs"] = sentinel_keywords(module, self._connection_kwargs)
        kinds: tuple[Any, Any] = (_Sentinels, _Pool) if module is redis else (_AsyncSentinels, _AsyncPool)
        manager = kinds[0](self._sentinels, **keywords)
        manager.switches = self._switches
        pool = manager.master_for(self._name, connection_pool_class=kinds[1]).connection_pool
        pool.refresh = _Refresh(self._refresh)
        pool.switches = self._switches
        return with_driver(pool)

    def __str__(self) -> str:
        return f"Sentinel service {self._name!r}"


class _Refresh:
    """Tells when to ask the sentinels again although nothing failed."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._asked = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to ask them again. If so, they count as asked from now on."""
        now = time.monotonic()
        if not self._interval or now - self._asked <= self._interval:
            return False
        self._asked = now
        return True


class _Sentinels(redis.sentinel.Sentinel):
    """Asks the sentinels, unless one of them has just announced a master."""

    switches: Switches

    def discover_master(self, service_name: str) -> Place:
        """As redis-py's."""
        place: Place = self.switches.recent(service_name) or super().discover_master(service_name)  # type: ignore[no-untyped-call]
        return place


class _AsyncSentinels(redis.asyncio.sentinel.Sentinel):
    """The same for event loops."""

    switches: Switches

    async def discover_master(self, service_name: str) -> Place:
        """As redis-py's."""
        return self.switches.recent(service_name) or await super().discover_master(service_name)


class _Pool(redis.sentinel.SentinelConnectionPool):
    """Connections for threads."""

    refresh: _Refresh
    switches: Switches

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()
        self.left: weakref.WeakSet[Any] = weakref.WeakSet()
        """The connections to a server that is no longer the master."""
        super().__init__(*arguments, **keywords)  # type: ignore[no-untyped-call]

    def make_connection(self) -> Any:
        """As redis-py's."""
        connection = super().make_connection()
        self._made.add(connection)
        return connection

    def get_connection(self, *arguments: Any, **keywords: Any) -> Any:
        """As redis-py's."""
        self.switches.follow(self)
        if self.refresh.is_due():
            self.reset()  # type: ignore[no-untyped-call]
        try:
            connection = super().get_connection(*arguments, **keywords)
        except BaseException:
            self.switches.doubt(self.service_name)
            raise
        self.left.discard(connection)
        return connection

    def leave_all_but(self, master: Place, at_once: bool) -> None:
        """See ``Follower``."""
        for connection in _elsewhere(self._made, master):
            self.left.add(connection)
            if at_once:
                shut_down(connection)


class _AsyncPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """The same for an event loop."""

    refresh: _Refresh
    switches: Switches

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()
        self.left: weakref.WeakSet[Any] = weakref.WeakSet()
        self._loop = asyncio.get_running_loop()
        super().__init__(*arguments, **keywords)  # type: ignore[no-untyped-call]

    def make_connection(self) -> Any:
        """As redis-py's."""
        connection = super().make_connection()  # type: ignore[no-untyped-call]
        self._made.add(connection)
        return connection

    async def get_connection(self, *arguments: Any, **keywords: Any) -> Any:
        """As redis-py's."""
        self.switches.follow(self)
        if self.refresh.is_due():
            self.reset()  # type: ignore[no-untyped-call]
        try:
            connection = await super().get_connection(*arguments, **keywords)  # type: ignore[no-untyped-call]
        except BaseException:
            self.switches.doubt(self.service_name)
            raise
        self.left.discard(connection)
        return connection

    def leave_all_but(self, master: Place, at_once: bool) -> None:
        """See ``Follower``."""
        with suppress(RuntimeError):  # the event loop has ended, and so have its connections
            self._loop.call_soon_threadsafe(self._leave_all_but, master, at_once)

    def _leave_all_but(self, master: Place, at_once: bool) -> None:
        for connection in _elsewhere(self._made, master):
            self.left.add(connection)
            if at_once:
                abort(connection)


def _elsewhere(connections: Iterable[Any], master: Place) -> list[Any]:
    return [one for one in list(connections) if (one.host, one.port) != master]


def sentinel_keywords(module: Any, connection_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords for redis-py's clients of the sentinels.

    Raises:
        ValueError: ``sentinel_kwargs`` is not a dict.
    """
    theirs = connection_kwargs.get("sentinel_kwargs", {})
    if not isinstance(theirs, Mapping):
        raise ValueError(f"sentinel_kwargs must be a dict of keywords for redis-py, not {masked(theirs)}.")
    return {**pool_defaults(module), "socket_timeout": SENTINEL_SECONDS, **theirs}


def known_services(sentinels: Sequence[Place], connection_kwargs: Mapping[str, Any]) -> list[str]:
    """The names of all masters that the sentinels know.

    Raises:
        LayerUnavailable: the sentinels know no master, or do not answer.
    """
    errors = []
    for host, port in sentinels:
        try:
            with redis.Redis(host=host, port=port, **sentinel_keywords(redis, connection_kwargs)) as client:
                services = sorted(client.sentinel_masters())
        except Exception as error:
            errors.append(f"{host}:{port}: {error}")
            continue
        if services:
            return services
        errors.append(f"{host}:{port} knows of no master")
    raise LayerUnavailable(f"No sentinel knows a master ({'; '.join(errors)}).", nothing_done=True)
