"""The Redis layer whose servers are found through Redis Sentinel (specification, section 3)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis
import redis.asyncio.sentinel
import redis.sentinel

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.keywords import check_number, masked
from channels_classic.layers.redis.connections.addresses import (
    Address,
    PoolSource,
    check_client_keywords,
    check_connection_kwargs,
    check_hosts,
    pool_defaults,
)
from channels_classic.layers.redis.layer import RedisChannelLayer

SENTINEL_TIMEOUT = 5
"""Seconds that a sentinel may take to answer."""


class _Service:
    """A master that the sentinels know by name, and follow when it moves.

    Arguments:
        sentinels: host and port of each.
        name: of the service.
        connection_kwargs: keywords for redis-py's connections.
        refresh: seconds after which the sentinels are asked again though nothing failed; 0 for never.
    """

    def __init__(
        self, sentinels: Sequence[tuple[str, int]], name: str, connection_kwargs: Mapping[str, Any], refresh: float
    ) -> None:
        self._sentinels = sentinels
        self._name = name
        self._connection_kwargs = connection_kwargs
        self._refresh = refresh

    def pool(self, module: Any) -> Any:
        """A pool whose connections ask the sentinels where the master is."""
        keywords = {**pool_defaults(module), **self._connection_kwargs, "decode_responses": False}
        keywords["sentinel_kwargs"] = _sentinel_keywords(module, self._connection_kwargs)
        manager = module.sentinel.Sentinel(self._sentinels, **keywords)
        kind = _RefreshedPool if module is redis else _RefreshedAsyncPool
        pool = manager.master_for(self._name, connection_pool_class=kind).connection_pool
        pool.refresh = self._refresh
        return pool

    def __str__(self) -> str:
        return f"Sentinel service {self._name!r}"


class _Refresh:
    """When the sentinels are to be asked again."""

    def __init__(self) -> None:
        self._asked = time.monotonic()

    def is_due(self, interval: float) -> bool:
        """Whether so many seconds have passed since they were asked; then they count as asked."""
        now = time.monotonic()
        if not interval or now - self._asked <= interval:
            return False
        self._asked = now
        return True


class _RefreshedPool(redis.sentinel.SentinelConnectionPool):
    """Asks the sentinels again after a while, though its connections still work."""

    refresh: float = 0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)  # type: ignore[no-untyped-call]
        self._last = _Refresh()

    def get_connection(self, *arguments: Any, **keywords: Any) -> Any:
        """As redis-py's."""
        if self._last.is_due(self.refresh):
            self.reset()  # type: ignore[no-untyped-call]
        return super().get_connection(*arguments, **keywords)


class _RefreshedAsyncPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """The same for event loops."""

    refresh: float = 0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)  # type: ignore[no-untyped-call]
        self._last = _Refresh()

    async def get_connection(self, *arguments: Any, **keywords: Any) -> Any:
        """As redis-py's."""
        if self._last.is_due(self.refresh):
            self.reset()  # type: ignore[no-untyped-call]
        return await super().get_connection(*arguments, **keywords)  # type: ignore[no-untyped-call]


class RedisSentinelChannelLayer(RedisChannelLayer):
    """A ``RedisChannelLayer`` over the masters that sentinels know.

    Arguments:
        hosts: the sentinels: a list of ``(host, port)`` pairs or ``redis://`` URLs.
        services: the names of the masters; all that the sentinels know if there are none.
        sentinel_refresh_interval: seconds after which the sentinels are asked again though nothing failed; 0
            for never. When a connection fails they are asked in any case.
        config: the keywords of ``RedisChannelLayer``; ``sentinel_kwargs`` in ``connection_kwargs`` are keywords
            for the connections to the sentinels, a password for example.
    """

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        services: Sequence[str] | None = None,
        sentinel_refresh_interval: float = 0,
        connection_kwargs: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        found = check_hosts(hosts) if hosts is not None else []
        sentinels = [_host_and_port(host) for host in found or [("localhost", 26379)]]
        names = _check_services(services)
        check_number("sentinel_refresh_interval", sentinel_refresh_interval, zero=True)
        keywords = check_connection_kwargs(connection_kwargs)
        for module in (redis, redis.asyncio):
            check_client_keywords(module, _sentinel_keywords(module, keywords), "sentinel_kwargs")

        Address({}, {name: value for name, value in keywords.items() if name != "sentinel_kwargs"})

        def find() -> Sequence[PoolSource]:
            masters = names or _known_services(sentinels, keywords)
            return [_Service(sentinels, name, keywords, sentinel_refresh_interval) for name in masters]

        super().__init__(find, **config)


def _host_and_port(host: Any) -> tuple[str, int]:
    try:
        if isinstance(host, str):
            keywords: dict[str, Any] = redis.connection.parse_url(host)  # type: ignore[no-untyped-call]
            return keywords.get("host", "localhost"), keywords.get("port", 26379)
        name, port = host
        if isinstance(name, str) and not isinstance(port, bool):
            return name, int(port)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"A sentinel in hosts must be a (host, port) pair or a redis:// URL, not {masked(host)}. A password for "
        "it belongs into connection_kwargs, as {'sentinel_kwargs': {'password': …}}."
    )


def _check_services(services: Any) -> list[str]:
    if services is None:
        return []
    if isinstance(services, (str, bytes)):
        raise ValueError(f"services must be a list; put the single one into a list: [{masked(services)}].")
    if not isinstance(services, Sequence) or not all(isinstance(name, str) and name for name in services):
        raise ValueError(f"services must be a list of the names of masters, not {masked(services)}.")
    return list(services)


def _sentinel_keywords(module: Any, connection_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords for the connections to the sentinels: one that is away must not keep us from asking the next."""
    ours = {**pool_defaults(module), "socket_timeout": SENTINEL_TIMEOUT}
    theirs = connection_kwargs.get("sentinel_kwargs", {})
    if not isinstance(theirs, Mapping):
        raise ValueError(f"sentinel_kwargs must be a dict of keywords for redis-py, not {masked(theirs)}.")
    return {**ours, **theirs}


def _known_services(sentinels: Sequence[tuple[str, int]], connection_kwargs: Mapping[str, Any]) -> list[str]:
    errors = []
    for host, port in sentinels:
        try:
            with redis.Redis(host=host, port=port, **_sentinel_keywords(redis, connection_kwargs)) as client:
                services = sorted(client.sentinel_masters())
        except Exception as error:
            errors.append(f"{host}:{port}: {error}")
            continue
        if services:
            return services
        errors.append(f"{host}:{port} knows of no master")
    raise LayerUnavailable(f"No sentinel knows a master ({'; '.join(errors)}).", nothing_done=True)
