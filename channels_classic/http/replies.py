"""Answers that need no view."""

from __future__ import annotations

from typing import Any

Reply = dict[str, Any]
"""A message of an answer (specification, section 4)."""


def plain(status: int, text: str, *headers: tuple[bytes, bytes]) -> Reply:
    """A complete answer in plain text."""
    return {
        "status": status,
        "headers": [(b"content-type", b"text/plain; charset=utf-8"), *headers],
        "content": text.encode(),
    }


SERVER_ERROR = plain(500, "Server Error (500)")

NO_THREAD = plain(
    503, "Service Unavailable (503): too many streaming answers at the same time", (b"retry-after", b"10")
)
"""What a client is told whose streaming answer finds every stream thread busy."""

SECOND_STATUS: Reply = {"status": 500}
"""Ends the connection of a client that has a part of its answer already: so it sees that something is missing."""

NOTHING_YET: Reply = {"content": b"", "more_content": True}
"""A part that adds nothing: it shows whether a channel is full, without carrying the next part there in vain."""

END: Reply = {"content": b"", "more_content": False}
