"""Checks of a layer's keywords. Errors name the keyword and what to change, and never show a secret.

A value in the settings may be a password, or a URL or a dict that has one. So errors do not quote values as they
are.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

_USER_INFORMATION = re.compile(r"^(?P<scheme>[a-z+]*://)?(?:(?P<user>[^:@/]*):)?.*@", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"localhost|[\w.-]+:\d{1,5}|\d+\.\d+\.\d+\.\d+|-?\d+", re.ASCII)
_PORT = re.compile(r"^([a-z+]*://(?:[^@]*@)?[^/?#:@]*):(?!\d*(?:[/?#]|$))[^/?#@]*(?=[/?#]|$)", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&][^=&]*=)(?!\d+(?:&|$))[^&]*")


def masked(value: Any) -> str:
    """A text about a value that may be a secret, or contain one."""
    if isinstance(value, str):
        if "://" in value or "@" in value:
            public = _USER_INFORMATION.sub(_without_password, value, count=1)
            return repr(_PARAMETER.sub(r"\1***", _PORT.sub(r"\1:***", public)))
        # A str that is neither a host nor a number may be a password in the wrong place.
        return repr(value) if not value or _HOST.fullmatch(value) else "'***'"
    if isinstance(value, bytes):
        return f"b{masked(value.decode('utf-8', 'replace'))}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: '***'" for name in value if isinstance(name, str)) + "}"
    if isinstance(value, tuple):
        return f"({', '.join(map(masked, value))}{',' * (len(value) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(map(masked, value))}]"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return f"a value of type {type(value).__name__}"


def check_number(keyword: str, value: Any, whole: bool = False, zero: bool = False) -> None:
    """Check that the value of a keyword is a finite number above 0.

    Arguments:
        whole: whether it has to be an ``int``.
        zero: whether it may be 0.

    Raises:
        ValueError: it is not.
    """
    kinds = int if whole else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < 0 or (value == 0 and not zero):
        what = "a whole number" if whole else "a number"
        least = ", 0 or more" if zero else " above 0"
        raise ValueError(f"{keyword} of a channel layer must be {what}{least}, not {masked(value)}.")


def check_text(keyword: str, value: Any) -> None:
    """Check that the value of a keyword is a ``str``.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, str):
        raise ValueError(f"{keyword} of a channel layer must be a str, not {masked(value)}.")


def check_prefixes(keyword: str, value: Any, servers: int | None) -> list[str]:
    """The prefixes of the keys: one for all servers, or one for each.

    Arguments:
        servers: how many there are; ``None`` if that is not known yet, and there can be only one prefix.

    Raises:
        ValueError: it is neither a ``str`` nor a list with as many of them as there are servers.
    """
    if not isinstance(value, (list, tuple)):
        check_text(keyword, value)
        return [value]
    for prefix in value:
        check_text(keyword, prefix)
    if servers is None:
        raise ValueError(
            f"{keyword} of a channel layer must be a str here, because nobody says how many servers there are."
        )
    if len(value) != servers:
        raise ValueError(
            f"{keyword} of a channel layer must be one str, or a list with one for each of the {servers} servers "
            f"in hosts, not a list of {len(value)}."
        )
    return list(value)


def check_globs(keyword: str, value: Any) -> tuple[str, ...]:
    """Check the globs that a keyword has, and return them as a tuple.

    Raises:
        ValueError: the value is not a list of globs that channel names can match.
    """
    example = f"{keyword} of a channel layer must be a list of channel names or globs, such as ['mail.*']"
    if isinstance(value, str):
        raise ValueError(f"{example}; put the single one into a list: [{masked(value)}].")
    if not isinstance(value, (list, tuple)) or not all(isinstance(glob, str) for glob in value):
        raise ValueError(f"{example}, not {masked(value)}.")
    for glob in value:
        if not glob or "!" in glob or "?" in glob:
            raise ValueError(
                f"{example}, and one of them is {glob!r}: only normal channels count, without '?' and '!' in them."
            )
    return tuple(value)


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests a known name which is similar to ``name``; empty if there is none."""
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _without_password(found: re.Match[str]) -> str:
    return f"{found['scheme'] or ''}{found['user'] or ''}:***@"
