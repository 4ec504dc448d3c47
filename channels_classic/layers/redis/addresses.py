"""Where the Redis servers of a layer are, and how redis-py connects to them."""

from __future__ import annotations

import inspect
import math
import socket
from collections.abc import Mapping
from typing import Any, Protocol

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.retry
from redis.backoff import NoBackoff

# redis-py 5.2 and before asks for a command's name, later ones warn about it.
_name = inspect.signature(redis.ConnectionPool.get_connection).parameters.get("command_name")
GET_CONNECTION = ("_",) if _name is not None and _name.default is inspect.Parameter.empty else ()
"""The arguments of a pool's ``get_connection``."""

DEFAULTS: dict[str, Any] = {
    "socket_connect_timeout": 5,
    # A server that is gone without a word is noticed within half a minute.
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, option): value
        for option, value in {
            "TCP_KEEPIDLE": 10,
            "TCP_KEEPINTVL": 5,
            "TCP_KEEPCNT": 3,
            "TCP_USER_TIMEOUT": 20_000,
        }.items()
        if hasattr(socket, option)
    },
}

THREAD_TIMEOUT = 45
"""Seconds; longer than any wait for a message: only a server that hangs takes so long to answer a thread.

An event loop does without, since redis-py makes a task of every call for it.
"""

WAIT_MARGIN = 0.25
"""Seconds; Redis ends a wait in its own good time, up to 0.1 seconds late by default."""


def longest_wait(timeout: float | None) -> float:
    """How long to wait for a message at a stretch, so that a server with so much time to answer keeps to it.

    A longer wait would take the server for one that hangs. Of ``THREAD_TIMEOUT`` it is 30 seconds.
    """
    if timeout is None:
        return math.inf
    return max(0.01, timeout - max(timeout / 3, WAIT_MARGIN))


def check_hosts(hosts: Any) -> None:
    """Make sure that ``hosts`` is a list.

    Raises:
        ValueError: it is a single host, or something else.
    """
    if isinstance(hosts, (str, bytes, Mapping)):
        raise ValueError(f"hosts must be a list; put the single one into a list: [{hosts!r}].")


class PoolSource(Protocol):
    """Where the connections to one server come from; its ``str()`` names the server for people."""

    def pool(self, module: Any) -> Any:
        """A connection pool of ``redis`` or ``redis.asyncio``, whichever ``module`` is."""


class Address:
    """Where a server is and how to connect to it.

    Arguments:
        host: a URL, ``(host, port)``, or a dict of keywords for redis-py (with ``url`` or ``address`` for a URL).
        connection_kwargs: more keywords for redis-py.

    Raises:
        ValueError: it is none of these.
    """

    def __init__(self, host: Any, connection_kwargs: Mapping[str, Any]) -> None:
        keywords = dict(connection_kwargs)
        self.url: str | None = None
        if isinstance(host, str):
            self.url = host
        elif isinstance(host, Mapping):
            keywords.update(host)
            self.url = keywords.pop("url", None) or keywords.pop("address", None)
        elif isinstance(host, (tuple, list)) and len(host) == 2:
            keywords["host"], keywords["port"] = host
        else:
            raise ValueError(
                "hosts must be a list of URLs ('redis://localhost:6379/0'), (host, port) pairs or dicts "
                f"of keywords for redis-py; one of them is {host!r}."
            )
        self.keywords = keywords
        # Errors in a URL are the settings' and show at once, not when a message is sent.
        self.pool(redis)

    def pool(self, module: Any) -> Any:
        """A connection pool of ``redis`` or ``redis.asyncio``."""
        keywords = {**pool_defaults(module), **self.keywords, "decode_responses": False}
        if "unix_socket_path" in keywords:
            keywords["path"] = keywords.pop("unix_socket_path")
        if "path" in keywords or (self.url or "").startswith("unix:"):
            for name in ("socket_keepalive", "socket_keepalive_options"):
                keywords.pop(name, None)
        if self.url is not None:
            return module.ConnectionPool.from_url(self.url, **keywords)
        if "path" in keywords:
            keywords["connection_class"] = module.UnixDomainSocketConnection
        elif keywords.pop("ssl", False):
            keywords["connection_class"] = module.SSLConnection
        return module.ConnectionPool(**keywords)

    def __str__(self) -> str:
        pool = self.pool(redis).connection_kwargs
        where = pool.get("path") or f"{pool.get('host', 'localhost')}:{pool.get('port', 6379)}"
        return f"{where}, database {pool.get('db') or 0}"


def pool_defaults(module: Any) -> dict[str, Any]:
    """Keywords for a pool of ``redis`` or ``redis.asyncio`` that the user may override."""
    # Retrying is the layer's own business: redis-py would send messages twice.
    retry = {"retry": module.retry.Retry(NoBackoff(), 0)}
    return {**DEFAULTS, "socket_timeout": THREAD_TIMEOUT if module is redis else None, **retry}


def pools_of_sentinels(pool: Any) -> list[Any]:
    """The pools of connections to the sentinels that a pool asks where its server is."""
    manager = getattr(pool, "sentinel_manager", None)
    return [sentinel.connection_pool for sentinel in manager.sentinels] if manager else []
