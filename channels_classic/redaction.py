"""Error texts about ``CONFIG`` without the secrets in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from channels_classic.log import printable

HARMLESS = frozenset({"expiry", "group_expiry", "capacity", "channel_capacity", "prefix", "stats_prefix"})
"""Keys of ``CONFIG`` whose values may be shown; every other value may be, or hold, a password or a key."""

HIDDEN = "***"
LONG_ENOUGH = 4
"""Characters; a shorter value is hidden only where it is quoted, or it would be found in every word."""

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def one_line(text: object) -> str:
    """A text, or what an error says, without line breaks."""
    return printable(" ".join(str(text).split()))


def redacted(error: Exception, config: Mapping[str, Any]) -> tuple[str, Exception | None]:
    """What an error about ``config`` says, in one line and without its secrets.

    A part of a secret is one too: the parser of a URL complains of the piece that it could not read.

    Returns:
        The text; and the error as the cause to chain, unless its own text would give a secret away.
    """
    text = str(error)
    secrets = {secret for key, value in config.items() if key not in HARMLESS for secret in _texts(value)}
    safe = text
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= LONG_ENOUGH:
            safe = safe.replace(secret, HIDDEN)

    def hide(match: re.Match[str]) -> str:
        quoted = match[1] if match[1] is not None else match[2]
        known = quoted in config or quoted == HIDDEN or not quoted
        return match[0] if known or not any(quoted in secret for secret in secrets) else repr(HIDDEN)

    safe = _QUOTED.sub(hide, safe)
    return one_line(safe) or type(error).__name__, error if safe == text else None


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, word by word too, and of a URL the user's name and the password."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        yield from (value, repr(value)[1:-1], *value.split())
        if "@" in value:
            login = value.partition("://")[2].rpartition("@")[0]
            yield from filter(None, (login, *login.split(":", 1), unquote(login.partition(":")[2])))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)
