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

TELLING = 6
"""Characters; so much of a password is hidden wherever it stands. Less is hidden where it is quoted."""

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
    secrets, passwords = set[str](), set[str]()
    for key, value in config.items():
        if key not in HARMLESS:
            for secret in _texts(value):
                secrets |= _spellings(secret)
                passwords |= _spellings(_login(secret) if "://" in secret else secret)
    safe = text
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= TELLING:
            safe = safe.replace(secret, HIDDEN)
    safe = _without_parts(safe, passwords)

    def hide(match: re.Match[str]) -> str:
        quoted = match[1] if match[1] is not None else match[2]
        known = quoted in config or quoted == HIDDEN or not quoted
        return match[0] if known or not any(quoted in secret for secret in secrets) else repr(HIDDEN)

    safe = _QUOTED.sub(hide, safe)
    return one_line(safe) or type(error).__name__, error if safe == text else None


def _without_parts(text: str, passwords: set[str]) -> str:
    """``text`` without what it has in common with passwords, if that is more than a few characters."""
    hidden = [False] * len(text)
    for start in range(len(text) - TELLING + 1):
        if any(text[start : start + TELLING] in password for password in passwords):
            hidden[start : start + TELLING] = [True] * TELLING
    marked = "".join("\0" if hide else character for character, hide in zip(text, hidden, strict=True))
    return re.sub("\0+", HIDDEN, marked)


def _login(url: str) -> str:
    """The user's name and the password in a URL."""
    return url.partition("://")[2].rpartition("@")[0]


def _spellings(secret: str) -> set[str]:
    """A text as errors may have it: as it is, decoded, and quoted."""
    plain = {secret, unquote(secret)}
    return {each for each in plain | {repr(each)[1:-1] for each in plain} if each}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, word by word too, and of a URL the user's name and the password."""
    if isinstance(value, bytes):
        yield from _texts(value.decode("latin-1"))
        yield from _texts(value.decode(errors="replace"))
        yield repr(value)[2:-1]
    elif isinstance(value, str):
        yield from (value, *value.split())
        if "://" in value and (login := _login(value)):
            yield from (login, *login.split(":", 1))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)
