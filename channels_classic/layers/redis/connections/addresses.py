"""The addresses of a layer's Redis servers, and the options with which redis-py connects to them."""

from __future__ import annotations

import inspect
import re
import socket
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.retry
from redis.backoff import NoBackoff

from channels_classic.layers.keywords import masked, suggestion

# redis-py up to 5.2 requires the name of a command; later versions warn about it.
_name = inspect.signature(redis.ConnectionPool.get_connection).parameters.get("command_name")
GET_CONNECTION = ("_",) if _name is not None and _name.default is inspect.Parameter.empty else ()
"""The arguments of a pool's ``get_connection``."""

CONNECT_SECONDS = 1.5
"""Seconds that a connection to a server or a sentinel may take to open. The system repeats its first packet after
a second. Its next pause is longer than that of the layer between two attempts."""

ANSWER_SECONDS = 5
"""Seconds that a server may take for an answer before it counts as hanging. ``socket_timeout`` in
``connection_kwargs`` changes this."""

DEFAULTS: dict[str, Any] = {
    "socket_connect_timeout": CONNECT_SECONDS,
    # A server that disappears without closing its connections is noticed within half a minute, even if nothing is
    # sent to it.
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

_DRIVER = redis.DriverInfo() if hasattr(redis, "DriverInfo") else None  # not in old versions

SCHEMES = ("redis://", "rediss://", "unix://")
_DATABASE = re.compile(r"(/[0-9]*)?/?").fullmatch
EXPECTED = (
    "hosts must be a list of URLs ('redis://localhost:6379/0'), (host, port) pairs or dicts of keywords "
    "for redis-py"
)


def check_hosts(hosts: Any) -> list[Any]:
    """Check ``hosts``, and return it as a list.

    Raises:
        ValueError: it is a single host, or no list of servers at all, or an empty one.
    """
    if isinstance(hosts, (str, bytes, Mapping)):
        raise ValueError(f"hosts must be a list; put the single one into a list: [{masked(hosts)}].")
    if not isinstance(hosts, Sequence):
        raise ValueError(f"{EXPECTED}, not {masked(hosts)}.")
    if len(hosts) == 2 and isinstance(hosts[0], str) and isinstance(hosts[1], int):
        pair = f"({masked(hosts[0])}, {hosts[1]})"
        raise ValueError(f"hosts must be a list of servers; put the single pair into a list: [{pair}].")
    if not hosts:
        raise ValueError("hosts is empty. Name a server, or leave hosts out for redis://localhost:6379/0.")
    return list(hosts)


class PoolSource(Protocol):
    """The source of connections to one server. Its ``str()`` names the server for people."""

    def pool(self, module: Any) -> Any:
        """Make a connection pool of ``module``, which is ``redis`` or ``redis.asyncio``."""


class Address:
    """The address of a server, and the options for its connections.

    Arguments:
        host: a URL, ``(host, port)``, or a dict of keywords for redis-py (with ``url`` or ``address`` for a URL).
        connection_kwargs: more keywords for redis-py.

    Raises:
        ValueError: the host has another form, or redis-py does not accept it. The text never shows a secret.
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
            raise ValueError(f"{EXPECTED}; one of them is {masked(host)}.")
        if self.url is not None and not (isinstance(self.url, str) and self.url.startswith(SCHEMES)):
            raise ValueError(
                f"A URL in hosts must begin with one of {', '.join(SCHEMES)}, not {masked(self.url)}."
            )
        if "host" in keywords and not isinstance(keywords["host"], str):
            raise ValueError(f"The host of a server in hosts must be a str, not {masked(keywords['host'])}.")
        if self.url is not None and not _DATABASE(urlsplit(self.url).path) and not self.url.startswith("unix:"):
            # redis-py would silently use database 0.
            raise ValueError(
                f"The path of a URL in hosts must be the number of a database, as /0, not {masked(self.url)}."
            )
        keywords.update(_port_and_database(keywords))
        self.keywords = keywords
        self._check()

    def pool(self, module: Any) -> Any:
        """Make a connection pool of ``redis`` or ``redis.asyncio``."""
        keywords = {**pool_defaults(module), **self.keywords, "decode_responses": False}
        if "unix_socket_path" in keywords:
            keywords["path"] = keywords.pop("unix_socket_path")
        if "path" in keywords or (self.url or "").startswith("unix:"):
            for name in ("socket_keepalive", "socket_keepalive_options"):
                keywords.pop(name, None)
        if self.url is not None:
            return with_driver(module.ConnectionPool.from_url(self.url, **keywords))
        if "path" in keywords:
            keywords["connection_class"] = module.UnixDomainSocketConnection
        elif keywords.pop("ssl", False):
            keywords["connection_class"] = module.SSLConnection
        return with_driver(module.ConnectionPool(**keywords))

    def __str__(self) -> str:
        pool = self.pool(redis).connection_kwargs
        where = pool.get("path") or f"{pool.get('host', 'localhost')}:{pool.get('port', 6379)}"
        return f"{where}, database {pool.get('db') or 0}"

    def _check(self) -> None:
        """Check that redis-py accepts all of it, so that errors show at once and not at the first message."""
        for module in (redis, redis.asyncio):
            try:
                pool = self.pool(module)
            except Exception:
                # The text of the error may quote what redis-py did not understand, such as a password.
                where = f"the URL {masked(self.url)}" if self.url else "a server"
                raise ValueError(f"redis-py does not understand {where} in hosts. {EXPECTED}.") from None
            check_keywords(pool, "hosts or connection_kwargs")


def check_keywords(pool: Any, setting: str) -> None:
    """Check that redis-py's connections accept the keywords of a pool.

    Arguments:
        setting: where they are from, for people.

    Raises:
        ValueError: they do not.
    """
    kind = pool.connection_class
    check_names(
        pool.connection_kwargs, {name for base in kind.__mro__ for name in _parameters(base.__init__)}, setting
    )
    try:
        kind(**pool.connection_kwargs)
    except Exception as error:
        raise ValueError(
            f"redis-py's connections do not take the keywords in {setting} ({type(error).__name__}): "
            f"{', '.join(sorted(pool.connection_kwargs))}."
        ) from None


def check_names(keywords: Iterable[str], known: Iterable[str], setting: str) -> None:
    """Check that all keywords are known.

    Arguments:
        setting: where they are from, for people.

    Raises:
        ValueError: one of them is not.
    """
    for name in keywords:
        if name not in known:
            raise ValueError(
                f"redis-py's connections have no keyword {name!r}, which is in {setting}.{suggestion(name, known)}"
            )


def check_client_keywords(module: Any, keywords: Iterable[str], setting: str) -> None:
    """The same for the keywords of redis-py's clients, which hold the connections to sentinels."""
    check_names(keywords, _parameters(module.Redis.__init__), setting)


def check_connection_kwargs(connection_kwargs: Any) -> dict[str, Any]:
    """Check ``connection_kwargs``, and return it as a dict.

    Raises:
        ValueError: it is not a dict with ``str`` keys.
    """
    if connection_kwargs is None:
        return {}
    if not isinstance(connection_kwargs, Mapping) or not all(isinstance(name, str) for name in connection_kwargs):
        raise ValueError(
            f"connection_kwargs must be a dict of keywords for redis-py, not {masked(connection_kwargs)}."
        )
    return dict(connection_kwargs)


def pool_defaults(module: Any) -> dict[str, Any]:
    """The default keywords for a pool of ``redis`` or ``redis.asyncio``. The settings can override them."""
    # The layer itself tries again; redis-py would send messages twice.
    retry = {"retry": module.retry.Retry(NoBackoff(), 0)}
    return {**DEFAULTS, "socket_timeout": ANSWER_SECONDS, **retry}


def with_driver(pool: Any) -> Any:
    """Let the connections of ``pool`` share what they tell a server about redis-py, and return it.

    Otherwise each looks for the version of redis-py among the installed packages, for half a millisecond.
    """
    keywords = pool.connection_kwargs
    if _DRIVER is not None and not keywords.keys() & {"driver_info", "lib_name", "lib_version"}:
        keywords["driver_info"] = _DRIVER
    return pool


def found_by(
    hosts: Sequence[Any] | None, connection_kwargs: Mapping[str, Any] | None
) -> Callable[[], Sequence[PoolSource]]:
    """The function that finds the servers which the settings name; one local server if they name none.

    Raises:
        ValueError: a setting has a value that is not allowed.
    """
    found = check_hosts(hosts) if hosts is not None else []
    keywords = check_connection_kwargs(connection_kwargs)
    addresses = [Address(host, keywords) for host in found or ["redis://localhost:6379/0"]]
    return lambda: addresses


def connections_left(pool: Any) -> Container[Any]:
    """The connections of a pool that must not be used again, because sentinels have announced another master."""
    left: Container[Any] = getattr(pool, "left", frozenset())
    return left


def stop_following(pool: Any) -> None:
    """Let a pool that follows its master by sentinels do so no longer."""
    if (switches := getattr(pool, "switches", None)) is not None:
        switches.leave(pool)


def pools_of_sentinels(pool: Any) -> list[Any]:
    """The pools of connections to the sentinels that ``pool`` asks for its server."""
    manager = getattr(pool, "sentinel_manager", None)
    return [sentinel.connection_pool for sentinel in manager.sentinels] if manager else []


def _port_and_database(keywords: Mapping[str, Any]) -> dict[str, int]:
    numbers = {}
    for name in ("port", "db"):
        value = keywords.get(name)
        if value is None:
            continue
        try:
            if isinstance(value, bool):
                raise ValueError
            numbers[name] = int(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"The {name} of a server in hosts must be a number, not {masked(value)}. {EXPECTED}."
            ) from None
    return numbers


@cache
def _parameters(function: Any) -> list[str]:
    # redis-py wraps some of its functions. To look costs a process more than all the rest of a layer.
    return list(inspect.signature(inspect.unwrap(function)).parameters)
