"""The protocol of an HTTP answer: takes messages, gives ASGI events, and does no I/O (specification, section 4).

    waiting ──status, more_content──▶ streaming ──more_content──▶ streaming
       └────────status─────────▶ done ◀───────────content────────────┘

An invalid message raises ``BadAnswer``. This is an error of the consumer, and ends the exchange.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from channels_classic.layers.redelivery import BAD_GATEWAY
from interface_server.asgi_types import Event
from interface_server.headers import HOP_BY_HOP, BadHeader, asks_to_close, checked_headers
from interface_server.unknown_keys import check_keys

KEYS = frozenset({"status", "headers", "content", "more_content"})
"""The keys that a message of an answer can have."""

WITHOUT_CONTENT = (204, 304)
"""An answer with one of these statuses ends with its headers, even if a consumer sends content."""


class BadAnswer(Exception):
    """A consumer sent an invalid answer. The text says what was expected and what came."""


class AnswerState(enum.Enum):
    """The states of an answer."""

    WAITING = enum.auto()
    STREAMING = enum.auto()
    DONE = enum.auto()


WAITING, STREAMING, DONE = AnswerState


class Answer:
    """One HTTP answer.

    Arguments:
        has_content: whether the answer may have content, which it may not for a HEAD request.
    """

    def __init__(self, has_content: bool = True) -> None:
        self.state = WAITING
        self.status: int | None = None
        self.size = 0
        self._has_content = has_content
        self._length: int | None = None

    @property
    def has_begun(self) -> bool:
        """Whether its status and headers are fixed."""
        return self.state is not WAITING

    @property
    def is_complete(self) -> bool:
        """Whether nothing more follows."""
        return self.state is DONE

    def feed(self, content: Mapping[str, Any]) -> list[Event]:
        """Translate the next message of the answer into ASGI events. Messages after the last chunk give none.

        Raises:
            BadAnswer: the message is not valid now.
            UnknownKeys: the answer has begun, and the message has no known key.
        """
        if self.state is DONE:
            return []
        if self.state is STREAMING:
            check_keys(content, KEYS)
        body = content.get("content")
        if body is None:
            body = b""
        if not isinstance(body, bytes):
            raise BadAnswer(f"content must be bytes, not {body!r:.100}")
        more = bool(content.get("more_content", False))
        events: list[Event] = []
        if self.state is WAITING:
            events.append(self._start(content, len(body), more))
        elif "status" in content:
            raise BadAnswer(f"a second message with status, {content['status']!r:.100}, for one request")
        if self.status in WITHOUT_CONTENT or not self._has_content:
            body, more = b"", False  # the head ends the answer (RFC 9112, section 6.3)
        size = self.size + len(body)
        if self._length is not None and (size > self._length or (size < self._length and not more)):
            raise BadAnswer(f"{size} bytes of content do not go with content-length: {self._length}")
        self.state = STREAMING if more else DONE
        self.size = size
        events.append({"type": "http.response.body", "body": body, "more_body": more})
        return events

    def _start(self, content: Mapping[str, Any], size: int, more: bool) -> Event:
        status = content.get("status")
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise BadAnswer(
                f"the first message of an answer needs status, an int from 200 to 599, not {status!r:.100}"
            )
        headers: list[tuple[bytes, bytes]] = []
        lengths: list[bytes] = []
        try:
            for name, value in checked_headers(content.get("headers")):
                if name in HOP_BY_HOP:
                    # The server decides how it sends an answer. A consumer can only ask it to close.
                    if asks_to_close(name, value):
                        headers.append((name, b"close"))
                    continue
                if name == b"content-length":
                    lengths.append(value)
                    if status in WITHOUT_CONTENT:
                        continue
                headers.append((name, value))
        except BadHeader as error:
            raise BadAnswer(str(error)) from None
        if lengths and (len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 19):
            raise BadAnswer(f"content-length must be one number, not {b', '.join(lengths)!r:.100}")
        self._length = None
        if self._has_content and status not in WITHOUT_CONTENT:
            if lengths:
                self._length = int(lengths[0])
            # Without a length the server would have to send the content in chunks.
            elif not more:
                headers.append((b"content-length", b"%d" % size))
        self.status = status
        return {"type": "http.response.start", "status": status, "headers": headers}


def is_of_dead_worker(content: Mapping[str, Any]) -> bool:
    """Whether a message says that the worker of the answer has died. It may come in any state."""
    return all(content.get(key) == BAD_GATEWAY[key] for key in ("status", "content"))


def plain(status: int, text: str) -> dict[str, Any]:
    """Make the message of a short answer in plain text."""
    return {
        "status": status,
        "headers": [(b"content-type", b"text/plain; charset=utf-8")],
        "content": text.encode(),
    }
