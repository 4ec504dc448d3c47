"""Error texts about ``CONFIG`` without the secrets in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from channels_classic.log import printable

HARMLESS = frozenset({"expiry", "group_expiry", "capacity", "channel_capacity", "prefix", "stats_prefix"})
"""Keys of ``CONFIG`` whose values may be shown. Every other value may be, or contain, a password or a key."""

HIDDEN = "***"

TELLING = 6
"""Characters; a part of a password that is this long is hidden everywhere. A shorter one is hidden where it is
quoted.
"""

_SCHEME = "(?:rediss?|unix)://"
"""How the URL of a server begins. What begins in another way may be a password, whatever it looks like."""

_URL = re.compile(_SCHEME, re.IGNORECASE)

_OPEN_URL = re.compile(_SCHEME + r"[\w.:\[\]-]*(?:/\w*)?", re.IGNORECASE)
"""A URL in which no password fits."""

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


_PARAMETER = re.compile(r"(?<![^&;])([^=&;]*+)=[^&;]*")
_is_secret = re.compile(
    "token|key|secret|pass|auth|session|signature|sig|jwt|otp|code|ticket", re.IGNORECASE
).search
"""Whether the name of a parameter, such as ``session_key``, says that its value may be a secret."""


def masked_query(query: str) -> str:
    """A query string for a log, with ``***`` in place of values that are secrets by their name."""
    # One regular expression for all of this would take seconds for some queries of 100 KB.
    return _PARAMETER.sub(_masked, query)


def _masked(parameter: re.Match[str]) -> str:
    return f"{parameter[1]}={HIDDEN}" if _is_secret(parameter[1]) else parameter[0]


_LOGIN = re.compile(r"://[^\s'\"]*@")


def without_logins(text: str) -> str:
    """A text with ``***`` in place of the user's name and the password in each URL."""
    return _LOGIN.sub(f"://{HIDDEN}@", text)


def one_line(text: object) -> str:
    """A text, or the text of an error, without line breaks."""
    return printable(" ".join(str(text).split()))


def redacted(error: Exception, config: Mapping[str, Any]) -> tuple[str, Exception | None]:
    """The text of an error about ``config``, in one line and without its secrets.

    Parts of a secret are hidden too: the parser of a URL quotes the part that it could not read.

    Returns:
        The text, and the error as the cause to chain, unless its own text would reveal a secret.
    """
    text = str(error)
    secrets, passwords = set[str](), set[str]()
    for key, value in config.items():
        if key not in HARMLESS:
            for secret in _texts(value):
                secrets |= _spellings(secret)
                passwords |= _spellings(_login(secret) if _URL.match(secret) else secret)
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
    """``text`` without the parts that it shares with passwords, if they are longer than a few characters."""
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
    """The forms in which an error may contain a text: unchanged, decoded, and quoted."""
    plain = {secret, unquote(secret)}
    return {each for each in plain | {repr(each)[1:-1] for each in plain} if each}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, its words, and, for a URL, the user's name and the password."""
    if isinstance(value, bytes):
        yield from _texts(value.decode("latin-1"))
        yield from _texts(value.decode(errors="replace"))
        yield repr(value)[2:-1]
    elif isinstance(value, str) and _OPEN_URL.fullmatch(value):
        return
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
