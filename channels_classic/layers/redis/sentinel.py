"""The Redis layer that finds its servers through Redis Sentinel (specification, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis
import redis.asyncio

from channels_classic.layers.keywords import check_number, masked
from channels_classic.layers.redis.connections.addresses import (
    Address,
    PoolSource,
    check_client_keywords,
    check_connection_kwargs,
    check_hosts,
)
from channels_classic.layers.redis.connections.masters import Service, known_services, sentinel_keywords
from channels_classic.layers.redis.connections.switches import Switches
from channels_classic.layers.redis.layer import RedisChannelLayer


class RedisSentinelChannelLayer(RedisChannelLayer):
    """A ``RedisChannelLayer`` over the masters that sentinels know.

    Arguments:
        hosts: the sentinels, as a list of ``(host, port)`` pairs or ``redis://`` URLs.
        services: the names of the masters. The default is all masters that the sentinels know.
        sentinel_refresh_interval: seconds after which the sentinels are asked again although nothing failed; 0 for
            never. Sentinels announce a switch themselves, and the layer asks them in any case when a connection
            fails.
        config: the keywords of ``RedisChannelLayer``. ``sentinel_kwargs`` in ``connection_kwargs`` has keywords
            for the connections to the sentinels, such as a password.
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
            check_client_keywords(module, sentinel_keywords(module, keywords), "sentinel_kwargs")

        Address({}, {name: value for name, value in keywords.items() if name != "sentinel_kwargs"})

        switches = Switches(sentinels, sentinel_keywords(redis, keywords))

        def find() -> Sequence[PoolSource]:
            masters = names or known_services(sentinels, keywords)
            return [Service(sentinels, name, keywords, sentinel_refresh_interval, switches) for name in masters]

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
        "it belongs in connection_kwargs, as {'sentinel_kwargs': {'password': …}}."
    )


def _check_services(services: Any) -> list[str]:
    if services is None:
        return []
    if isinstance(services, (str, bytes)):
        raise ValueError(f"services must be a list; put the single one into a list: [{masked(services)}].")
    if not isinstance(services, Sequence) or not all(isinstance(name, str) and name for name in services):
        raise ValueError(f"services must be a list of the names of masters, not {masked(services)}.")
    return list(services)
