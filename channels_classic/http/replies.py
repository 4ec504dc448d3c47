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
"""The answer to a client whose streaming response finds all stream threads busy."""

SECOND_STATUS: Reply = {"status": 500}
"""Closes the connection in the middle of an answer, so that the client notices that something is missing."""

NOTHING_YET: Reply = {"content": b"", "more_content": True}
"""An empty part. It shows whether a channel is full, without sending the next part in vain."""

END: Reply = {"content": b"", "more_content": False}
