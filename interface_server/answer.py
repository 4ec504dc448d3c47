"""The protocol of an HTTP answer: messages in, ASGI events out, no I/O (specification, section 4).

    waiting ──status, more_content──▶ streaming ──more_content──▶ streaming
       └────────status─────────▶ done ◀───────────content────────────┘

A message that does not fit raises ``BadAnswer``: the fault is the consumer's, and the exchange ends.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from interface_server.asgi_types import Event


class BadAnswer(Exception):
    """A consumer sent what is no answer; the text says what was expected and what came."""


class State(enum.Enum):
    """How far an answer has got."""

    WAITING = enum.auto()
    STREAMING = enum.auto()
    DONE = enum.auto()


class Answer:
    """One HTTP answer.

    Arguments:
        has_content: whether an answer to this request may have content (not to HEAD).
    """

    def __init__(self, has_content: bool = True) -> None:
        self.state = State.WAITING
        self.status: int | None = None
        self.size = 0
        self._has_content = has_content

    def feed(self, content: Mapping[str, Any]) -> list[Event]:
        """The next message of the answer, as ASGI events; none for what comes after the last chunk.

        Raises:
            BadAnswer: the message does not fit.
        """
        if self.state is State.DONE:
            return []
        body = content.get("content", b"")
        if not isinstance(body, bytes):
            raise BadAnswer(f"content must be bytes, not {body!r:.100}")
        more = bool(content.get("more_content", False))
        events: list[Event] = []
        if self.state is State.WAITING:
            events.append(self._start(content, len(body), more))
        elif "status" in content:
            raise BadAnswer(f"a second message with status, {content['status']!r}, for one request")
        self.state = State.STREAMING if more else State.DONE
        self.size += len(body)
        events.append({"type": "http.response.body", "body": body, "more_body": more})
        return events

    def _start(self, content: Mapping[str, Any], size: int, more: bool) -> Event:
        status = content.get("status")
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise BadAnswer(
                f"the first message of an answer needs status, an int from 200 to 599, not {status!r:.100}"
            )
        headers = [_header(header) for header in content.get("headers", ())]
        # Without a length the server would have to frame the content in chunks.
        if not more and self._has_content and status not in (204, 304):
            if not any(name == b"content-length" or name == b"transfer-encoding" for name, _ in headers):
                headers.append((b"content-length", b"%d" % size))
        self.status = status
        return {"type": "http.response.start", "status": status, "headers": headers}


_FORBIDDEN_IN_NAME = frozenset(b"\x00\r\n :")
_FORBIDDEN_IN_VALUE = frozenset(b"\x00\r\n")


def _header(header: Any) -> tuple[bytes, bytes]:
    try:
        name, value = header
        name = name if isinstance(name, bytes) else name.encode("ascii")
        value = value if isinstance(value, bytes) else value.encode("latin-1")
    except (TypeError, ValueError, AttributeError):
        raise BadAnswer(f"a header must be a pair of bytes, not {header!r:.100}") from None
    if not name or not _FORBIDDEN_IN_NAME.isdisjoint(name) or not _FORBIDDEN_IN_VALUE.isdisjoint(value):
        raise BadAnswer(f"a header may hold no line break and its name no space or colon: {header!r:.100}")
    return name.lower(), value


def plain(status: int, text: str) -> dict[str, Any]:
    """The message of a short answer in plain text."""
    return {
        "status": status,
        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
        "content": text.encode(),
    }
