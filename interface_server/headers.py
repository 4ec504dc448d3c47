"""Checks the headers in messages of consumers before they reach a client (specification, section 4)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers about the connection, which only the server sets (RFC 9110, section 7.6.1)."""

_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch


LONGEST_NAME_KEPT = 50
"""Bytes; whether a longer name is valid is not remembered."""

_is_short_name = lru_cache(maxsize=1000)(_is_name)


class BadHeader(ValueError):
    """A consumer sent an invalid header. The text says what was expected and what came."""


def checked_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    """Check a header list, and return its pairs with names in lower case. ``None`` stands for an empty list.

    Raises:
        BadHeader: it is not a list of pairs, or a pair holds a line break or the like.
    """
    if headers is None:
        return []
    if not isinstance(headers, (list, tuple)):
        raise BadHeader(f"headers must be a list of pairs of bytes, not {headers!r:.100}")
    checked = []
    for header in headers:
        try:
            name, value = header
            if not isinstance(name, bytes):
                if not isinstance(header, (list, tuple)):
                    raise TypeError  # a str of two characters, or a dict with two keys
                name = name.encode("ascii")
            value = value if isinstance(value, bytes) else value.encode("latin-1")
        except (TypeError, ValueError, AttributeError):
            raise BadHeader(f"a header must be a pair of bytes, not {header!r:.100}") from None
        if not (_is_short_name(name) if len(name) <= LONGEST_NAME_KEPT else _is_name(name)):
            raise BadHeader(f"the name of a header is a word without spaces and colons, not {name!r:.100}")
        if not _is_value(value):
            raise BadHeader(f"the value of a header may hold no line break or control character: {value!r:.100}")
        checked.append((name.lower(), value))
    return checked


def asks_to_close(name: bytes, value: bytes) -> bool:
    """Whether a header asks to close the connection (RFC 9110, section 7.6.1)."""
    return name == b"connection" and b"close" in [token.strip() for token in value.lower().split(b",")]
