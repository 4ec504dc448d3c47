"""Messages that tests write by hand, in the forms that the specification has for those of clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["as_bytes", "as_text", "in_standard_form"]


def as_bytes(value: Any) -> Any:
    """A ``str`` in UTF-8; anything else as it is."""
    return value.encode() if isinstance(value, str) else value


def as_text(value: Any) -> Any:
    """``bytes`` as the text that they are in UTF-8; anything else as it is."""
    return value.decode() if isinstance(value, bytes) else value


def in_standard_form(content: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``content`` in which path, query string and headers look as in the message of a client.

    Old tests write ``{"path": b"/", "query_string": "a=b", "headers": {"host": "example.com"}}``. What has the
    form of the specification (section 4) already stays what it is.

    Raises:
        UnicodeDecodeError: the path is in ``bytes`` that are not UTF-8.
    """
    content = dict(content)
    for key in ("path", "root_path"):
        if key in content:
            content[key] = as_text(content[key])
    if "query_string" in content:
        content["query_string"] = as_bytes(content["query_string"])
    headers = content.get("headers")
    if headers:
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        content["headers"] = [[_header_name(name), _header_value(value)] for name, value in pairs]
    return content


def _header_name(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.lower().encode("latin-1")


def _header_value(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")
