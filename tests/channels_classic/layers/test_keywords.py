"""Errors in the CONFIG of a layer name the keyword and the remedy, and never have a secret."""

from __future__ import annotations

import re
import traceback
from typing import Any

import pytest

from channels_classic.layers import InMemoryChannelLayer, RedisChannelLayer, RedisSentinelChannelLayer
from channels_classic.layers.keywords import masked

SECRET = "hunter2SECRET"

URL = f"redis://user:{SECRET}@localhost:6379/0"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"hosts": URL}, "hosts.*list"),
        ({"hosts": URL.encode()}, "hosts.*list"),
        ({"hosts": {"host": "localhost", "password": SECRET}}, "hosts.*list"),
        ({"hosts": {URL}}, "hosts.*list"),
        ({"hosts": ("localhost", 6379)}, r"hosts.*pair.*\[\('localhost', 6379\)\]"),
        ({"hosts": ["localhost", 6379]}, r"hosts.*pair.*\[\('localhost', 6379\)\]"),
        ({"hosts": 6379}, "hosts.*list"),
        ({"hosts": [("localhost", 6379, SECRET)]}, "hosts.*pairs"),
        ({"hosts": [("localhost", SECRET)]}, "port.*number"),
        ({"hosts": [(SECRET, None, None)]}, "hosts.*pairs"),
        ({"hosts": [[SECRET]]}, "hosts.*pairs"),
        ({"hosts": [SECRET]}, "URL.*redis://"),
        ({"hosts": [f"user:{SECRET}@localhost:6379"]}, "URL.*redis://"),
        ({"hosts": [f"http://:{SECRET}@localhost:6379"]}, "URL.*redis://"),
        ({"hosts": [f"redis://:{SECRET}"]}, "URL"),
        ({"hosts": [f"redis://:{SECRET}@localhost:port"]}, "URL"),
        ({"hosts": [f"redis://:{SECRET}@localhost:6379/0?socket_timeout={SECRET}"]}, "URL|connections"),
        ({"hosts": [f"redis://localhost:6379/0?passwrd={SECRET}"]}, "passwrd.*Did you mean 'password'"),
        ({"hosts": [{"host": "localhost", "passwrd": SECRET}]}, "passwrd.*Did you mean 'password'"),
        ({"hosts": [{"hots": "localhost", "password": SECRET}]}, "hots.*Did you mean 'host'"),
        ({"hosts": [{"host": "localhost", "port": SECRET}]}, "port.*number"),
        ({"hosts": [{"host": 6379, "password": SECRET}]}, "host.*str"),
        ({"hosts": [{"url": SECRET}]}, "URL.*redis://"),
        ({"connection_kwargs": {"pasword": SECRET}}, "pasword.*Did you mean 'password'"),
        ({"connection_kwargs": [SECRET]}, "connection_kwargs.*dict"),
        ({"connection_kwargs": SECRET}, "connection_kwargs.*dict"),
        ({"symmetric_encryption_keys": SECRET}, "symmetric_encryption_keys.*list"),
        ({"symmetric_encryption_keys": SECRET.encode()}, "symmetric_encryption_keys.*list"),
        ({"symmetric_encryption_keys": {SECRET: 1}}, "symmetric_encryption_keys.*list"),
        ({"symmetric_encryption_keys": [SECRET, 7]}, "symmetric_encryption_keys.*list"),
        ({"symmetric_encryption_keys": 7}, "symmetric_encryption_keys.*list"),
        ({"symmetric_encryption_keys": [SECRET, ""]}, "symmetric_encryption_keys.*empty"),
        ({"prefix": [SECRET, SECRET]}, "prefix.*str"),
        ({"prefix": b"asgi:"}, "prefix.*str"),
        ({"stats_prefix": None}, "stats_prefix.*str"),
        ({"at_least_once": "mail"}, "at_least_once.*list"),
        ({"at_least_once": {"mail": SECRET}}, "at_least_once.*list"),
        ({"at_least_once": [7]}, "at_least_once.*list"),
        ({"at_least_once": None}, "at_least_once.*list"),
        ({"at_least_once": ["mail", ""]}, "at_least_once.*normal channels"),
        ({"at_least_once": ["body?x"]}, "at_least_once.*normal channels"),
        ({"at_least_once": ["interface.*!"]}, "at_least_once.*normal channels"),
        ({"max_deliveries": 0}, "max_deliveries.*whole number above 0"),
        ({"max_deliveries": 1.5}, "max_deliveries.*whole number"),
        ({"max_deliveries": True}, "max_deliveries.*whole number"),
    ],
    ids=str,
)
def test_errors_have_no_secrets(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.compile(told, re.DOTALL)) as error:
        RedisChannelLayer(**config)
    assert SECRET not in "".join(traceback.format_exception(error.value, chain=True)).split("Traceback")[-1][-500:]
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"hosts": f"redis://:{SECRET}@localhost:26379"}, "hosts.*list"),
        ({"hosts": ("localhost", 26379)}, "hosts.*pair"),
        ({"hosts": [f"redis://:{SECRET}@localhost:port"]}, "sentinel"),
        ({"hosts": [{"host": "localhost", "password": SECRET}]}, "sentinel.*sentinel_kwargs"),
        ({"hosts": [("localhost", 26379, SECRET)]}, "sentinel.*sentinel_kwargs"),
        ({"services": SECRET}, "services.*list"),
        ({"services": [SECRET, 7]}, "services.*list"),
        ({"services": 7}, "services.*list"),
        ({"sentinel_refresh_interval": SECRET}, "sentinel_refresh_interval.*number"),
        ({"sentinel_refresh_interval": -1}, "sentinel_refresh_interval.*number"),
        ({"connection_kwargs": {"sentinel_kwargs": SECRET}}, "sentinel_kwargs.*dict"),
        ({"connection_kwargs": {"sentinel_kwargs": {"pasword": SECRET}}}, "pasword.*Did you mean 'password'"),
        ({"connection_kwargs": {"pasword": SECRET}}, "pasword.*Did you mean 'password'"),
    ],
    ids=str,
)
def test_errors_about_sentinels(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.compile(told, re.DOTALL)) as error:
        RedisSentinelChannelLayer(**config)
    assert SECRET not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize(
    "config",
    [
        {"expiry": float("inf")},
        {"expiry": float("nan")},
        {"group_expiry": SECRET},
        {"capacity": 1.5},
        {"capacity": [SECRET]},
        {"channel_capacity": [SECRET]},
        {"channel_capacity": 7},
        {"channel_capacity": {"http.*": SECRET}},
        {"channel_capacity": {"http.*": 0}},
        {"channel_capacity": {7: 7}},
        {"channel_capacity": {re.compile(rb"http"): 7}},
    ],
    ids=str,
)
def test_keywords_of_every_layer(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(config))) as error:
        InMemoryChannelLayer(**config)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("redis://:secret@host:1/0", "'redis://:***@host:1/0'"),
        ("redis://user:secret@host", "'redis://user:***@host'"),
        ("redis://us:er:se@cr/et@host", "'redis://us:***@host'"),
        ("rediss://secret@host", "'rediss://:***@host'"),
        ("unix://user:secret@/path", "'unix://user:***@/path'"),
        ("redis://host/0?db=1&password=secret&ssl_keyfile_password=secret", None),
        ("secret", "'***'"),
        ("localhost", "'localhost'"),
        ("redis.example:6379", "'redis.example:6379'"),
        (("host", "secret"), "('***', '***')"),
        ({"host": "secret", "password": "secret"}, "{'host': '***', 'password': '***'}"),
        (None, "None"),
        (object(), "a value of type object"),
    ],
)
def test_values_in_errors(value: Any, told: str | None) -> None:
    assert told is None or masked(value) == told
    assert "secret" not in masked(value)


def test_unreachable_sentinels_fail_at_the_first_use() -> None:
    RedisSentinelChannelLayer([("localhost", 1)])
    RedisSentinelChannelLayer([("no-such-host.invalid", 26379)])
