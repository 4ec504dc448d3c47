"""Errors about CONFIG show no secret, however a layer quotes it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels_classic.redaction import HIDDEN, redacted

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=8, max_size=20).map(
    lambda text: f"Pw{text}"
)

PLACES: list[Callable[[str], dict[str, Any]]] = [
    lambda password: {"hosts": [f"redis://:{quote(password)}@db.example:6379/0"]},
    lambda password: {"hosts": [f"rediss://user:{password}@db.example/0"]},
    lambda password: {"hosts": [{"host": "db.example", "password": password}]},
    lambda password: {"hosts": [("db.example", 6379)], "connection_kwargs": {"password": password}},
    lambda password: {"symmetric_encryption_keys": [password]},
    lambda password: {"symmetric_encryption_keys": password},
    lambda password: {"password": password.encode()},
    lambda password: {"anything": {"deep": [{"inside": (password,)}]}},
]

WAYS: list[Callable[[str, dict[str, Any]], str]] = [
    lambda password, config: f"cannot use {password!r}",
    lambda password, config: f"cannot use {password}, which is wrong",
    lambda password, config: f"cannot use {config!r}",
    lambda password, config: f"cannot use {next(iter(config.values()))}",
    lambda password, config: f"the port must be a number, not {password[2:]!r}",
    lambda password, config: f"cannot read {password[2:]} as a port",
]


@settings(max_examples=20, deadline=None)
@given(PASSWORDS)
@example("Pw://looks-like/aURL")
@example("Pw://looks-like@aURL")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_no_secret_gets_through(place: Any, way: Any, password: str) -> None:
    config = place(password)
    text, cause = redacted(ValueError(way(password, config)), config)
    told = text + ("".join(traceback.format_exception(cause)) if cause else "")
    for secret in (password, password[2:], quote(password), repr(password)[1:-1], repr(password.encode())[2:-1]):
        assert secret not in told
    assert "\n" not in text


@given(st.text(max_size=100))
def test_an_error_is_one_line(text: str) -> None:
    line, _ = redacted(ValueError(text), {})
    assert line.isprintable()
    assert line


def test_harmless_text_stays() -> None:
    error = ValueError("expiry must be a number of seconds, not 'soon'; capacity 7, prefix 'asgi:'")
    config = {"expiry": "soon", "capacity": 7, "prefix": "asgi:", "hosts": ["redis://:secret@localhost"]}
    assert redacted(error, config) == (str(error), error)


def test_the_hint_of_an_error_stays() -> None:
    config = {"hosts": "redis://:secret@localhost"}
    text, cause = redacted(
        ValueError("hosts must be a list, such as ['...'], not 'redis://:secret@localhost'"), config
    )
    assert text == f"hosts must be a list, such as ['...'], not '{HIDDEN}'"
    assert cause is None
