"""The Redis layer whose servers are found through Redis Sentinel (specification, section 3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
import redis.asyncio.sentinel
import redis.sentinel
from redis.exceptions import RedisError

from channels_classic.layers.exceptions import LayerUnavailable
from channels_classic.layers.redis.addresses import pool_defaults
from channels_classic.layers.redis.layer import RedisChannelLayer
from channels_classic.layers.redis.servers import Servers

SENTINEL_TIMEOUT = 5
"""Seconds that a sentinel may take to answer."""


class _Service:
    """A master that the sentinels know by name, and follow when it moves."""

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
        pool = manager.master_for(self._name).connection_pool
        if self._refresh:
            _Refresher(pool, self._refresh)
        return pool

    def __str__(self) -> str:
        return f"Sentinel service {self._name!r}"


class _Refresher:
    """Makes a pool ask the sentinels again after a while, though its connections still work."""

    def __init__(self, pool: Any, interval: float) -> None:
        self._get_connection: Callable[..., Any] = pool.get_connection
        self._pool = pool
        self._interval = interval
        self._asked = time.monotonic()
        pool.get_connection = self.get_connection

    def get_connection(self, *arguments: Any, **keywords: Any) -> Any:
        """As the pool's own."""
        if time.monotonic() - self._asked > self._interval:
            self._asked = time.monotonic()
            self._pool.reset()
        return self._get_connection(*arguments, **keywords)


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
        **config: Any,
    ) -> None:
        if isinstance(services, str):
            raise ValueError(f"services must be a list; put the single one into a list: [{services!r}].")
        self._services = list(services or ())
        self._refresh = sentinel_refresh_interval
        super().__init__(hosts, **config)

    def _make_servers(self, hosts: Sequence[Any] | None, connection_kwargs: Mapping[str, Any]) -> Servers:
        if isinstance(hosts, (str, bytes, Mapping)):
            raise ValueError(f"hosts must be a list; put the single one into a list: [{hosts!r}].")
        sentinels = [_host_and_port(host) for host in (hosts or [("localhost", 26379)])]
        names = self._services or _known_services(sentinels, connection_kwargs)
        return Servers([_Service(sentinels, name, connection_kwargs, self._refresh) for name in names])


def _host_and_port(host: Any) -> tuple[str, int]:
    if isinstance(host, str):
        keywords: dict[str, Any] = redis.connection.parse_url(host)  # type: ignore[no-untyped-call]
        return keywords.get("host", "localhost"), keywords.get("port", 26379)
    try:
        name, port = host
        return str(name), int(port)
    except (TypeError, ValueError):
        raise ValueError(f"A sentinel must be a (host, port) pair or a redis:// URL, not {host!r}.") from None


def _sentinel_keywords(module: Any, connection_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords for the connections to the sentinels: one that is away must not keep us from asking the next."""
    ours = {**pool_defaults(module), "socket_timeout": SENTINEL_TIMEOUT}
    return {**ours, **connection_kwargs.get("sentinel_kwargs", {})}


def _known_services(sentinels: Sequence[tuple[str, int]], connection_kwargs: Mapping[str, Any]) -> list[str]:
    errors = []
    for host, port in sentinels:
        try:
            with redis.Redis(host=host, port=port, **_sentinel_keywords(redis, connection_kwargs)) as client:
                services = sorted(client.sentinel_masters())
        except (RedisError, OSError) as error:
            errors.append(f"{host}:{port}: {error}")
            continue
        if services:
            return services
        errors.append(f"{host}:{port} knows of no master")
    raise LayerUnavailable(f"No sentinel told of a master ({'; '.join(errors)}).", nothing_done=True)
