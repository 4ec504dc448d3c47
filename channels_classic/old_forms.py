"""Old forms of names, patterns and hand-written messages, which Channels 1 accepted.

They are refused unless ``channels_classic.legacy`` is imported, which sets ``accepted``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

accepted = False
"""Whether the old forms are accepted."""


def name_of(value: Any) -> Any:
    """A name in ``bytes`` as text, if old forms are accepted; anything else unchanged."""
    return value.decode("ascii") if accepted and isinstance(value, bytes) else value


def pattern_of(value: Any) -> Any:
    """A regular expression for ``bytes`` as one for text, if old forms are accepted; anything else unchanged."""
    if accepted and isinstance(value, re.Pattern) and isinstance(value.pattern, bytes):
        return re.compile(value.pattern.decode("ascii"), value.flags | re.ASCII)
    return name_of(value)


def content_of(content: dict[str, Any], channel_name: str) -> dict[str, Any]:
    """The content of a message from a client in the standard form, if old forms are accepted.

    A message is taken to be one from a client if it has a path, and a reply channel or a client's channel.
    """
    if accepted and "path" in content and not _is_standard(content):
        if "reply_channel" in content or name_of(channel_name or "").startswith(("http.", "websocket.")):
            return in_standard_form(content)
    return content


def _is_standard(content: Mapping[str, Any]) -> bool:
    headers = content.get("headers") or ()
    return (
        isinstance(content["path"], str)
        and not isinstance(content.get("query_string"), str)
        and not isinstance(headers, Mapping)
        and all(isinstance(name, bytes) for name, _ in headers)
    )


def in_standard_form(content: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``content`` in which path, query string and headers look as in the message of a client.

    Old tests write ``{"path": b"/", "query_string": "a=b", "headers": {"host": "example.com"}}``. Values that
    already have the form of the specification (section 4) do not change.

    Raises:
        UnicodeDecodeError: the path is in ``bytes`` that are not UTF-8.
    """
    content = dict(content)
    for key in ("path", "root_path"):
        if isinstance(content.get(key), bytes):
            content[key] = content[key].decode()
    if isinstance(content.get("query_string"), str):
        content["query_string"] = content["query_string"].encode()
    headers = content.get("headers")
    if headers:
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        content["headers"] = [[_header_name(name), _header_value(value)] for name, value in pairs]
    return content


def _header_name(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.lower().encode("latin-1")


def _header_value(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")
