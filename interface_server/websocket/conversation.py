"""The protocol of a WebSocket: takes messages, gives ASGI events, and does no I/O (specification, section 4).

    connecting ──accept: True, or data──▶ open ──close──▶ closed
        └────────accept: False, or close──────────────────▲

During the handshake, data accepts the socket. Data with ``close`` accepts it, is sent, and closes it. An invalid
``close`` rejects it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from interface_server.asgi_types import Event
from interface_server.headers import BadHeader, checked_headers
from interface_server.unknown_keys import check_keys

NORMAL_CLOSURE = 1000


KEYS = frozenset({"accept", "text", "bytes", "close", "subprotocol", "headers"})
"""The keys that a message to a socket can have."""


class BadMessage(Exception):
    """A consumer sent a message that is not valid now. The text says what was expected and what came.

    Attributes:
        events: the ASGI events to send all the same.
    """

    events: Sequence[Event] = ()


class SocketState(enum.Enum):
    """The states of a socket."""

    CONNECTING = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Conversation:
    """The rules for the messages to one WebSocket.

    Arguments:
        offered: the subprotocols that the client offers.
        agreeable: the subprotocols that the server accepts if the consumer names none.
    """

    def __init__(self, offered: Sequence[str] = (), agreeable: Sequence[str] = ()) -> None:
        self.state = SocketState.CONNECTING
        self.accepted = False
        self._offered = offered
        self._agreeable = agreeable

    def feed(self, content: Mapping[str, Any]) -> list[Event]:
        """Translate a message of a consumer into ASGI events.

        Raises:
            BadMessage: the message is not valid now. Only the ``events`` of the error are to be sent.
            UnknownKeys: the message has no known key.
        """
        if self.state is SocketState.CLOSED:
            return []
        check_keys(content, KEYS)
        close = self._close_code(content)
        data = data_of(content)
        events: list[Event] = []
        if self.state is SocketState.CONNECTING:
            accept = content.get("accept")
            if accept is False or (data is None and close is not None):
                return self.reject()
            if accept is not None and accept is not True:
                # 0 or "" may well be meant as a refusal.
                raise BadMessage(f"accept must be True or False, not {accept!r:.100}")
            if data is None and accept is None:
                raise BadMessage("the first message to a socket accepts it, rejects it or brings data")
            events.append(self._accept(content))
        if data is not None:
            events.append({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
        if close is not None:
            events.append(self._close(close))
        return events

    def reject(self) -> list[Event]:
        """Refuse the handshake: the client sees status 403."""
        self.state = SocketState.CLOSED
        return [{"type": "websocket.close", "code": NORMAL_CLOSURE}]

    def close(self, code: int) -> list[Event]:
        """Close with ``code`` for a reason of the server."""
        if self.state is SocketState.CONNECTING:
            return self.reject()
        return [self._close(code)] if self.state is SocketState.OPEN else []

    def _accept(self, content: Mapping[str, Any]) -> Event:
        subprotocol = content.get("subprotocol")
        if subprotocol is None:
            subprotocol = next((name for name in self._offered if name in self._agreeable), None)
        elif subprotocol not in self._offered:
            raise BadMessage(f"the client did not offer the subprotocol {subprotocol!r}, but {self._offered!r}")
        try:
            headers = checked_headers(content.get("headers"))
        except BadHeader as error:
            raise BadMessage(str(error)) from None
        self.state = SocketState.OPEN
        self.accepted = True
        return {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers}

    def _close_code(self, content: Mapping[str, Any]) -> int | None:
        try:
            return close_code(content)
        except BadMessage as error:
            # The consumer certainly wants the socket not to be open, so the client need not wait for the timeout.
            if self.state is SocketState.CONNECTING:
                error.events = self.reject()
            raise

    def _close(self, code: int) -> Event:
        self.state = SocketState.CLOSED
        return {"type": "websocket.close", "code": code}


def data_of(content: Mapping[str, Any]) -> str | bytes | None:
    """The data in a message, if it has any.

    Raises:
        BadMessage: the message has both text and bytes, or one of them has the wrong type.
    """
    text, data = content.get("text"), content.get("bytes")
    if text and data:
        raise BadMessage("a message may bring text or bytes, not both")
    if text is not None and not data:
        if not isinstance(text, str):
            raise BadMessage(f"text must be a str, not {text!r:.100}")
        return _encodable(text)
    if data is not None and not isinstance(data, bytes):
        raise BadMessage(f"bytes must be bytes, not {data!r:.100}")
    return data


def close_code(content: Mapping[str, Any]) -> int | None:
    """The code with which a message closes the socket; ``None`` if it does not.

    Raises:
        BadMessage: the message asks for a code that cannot be sent.
    """
    close = content.get("close")
    if close is None or close is False:
        return None
    if close is True:
        return NORMAL_CLOSURE
    if isinstance(close, int) and (close == NORMAL_CLOSURE or 1001 <= close <= 1014 or 3000 <= close <= 4999):
        if close not in (1004, 1005, 1006):
            return close
    raise BadMessage(f"close must be True or a close code that can be sent, not {close!r:.100}")


def _encodable(text: str) -> str:
    """``text`` with a question mark for each lone surrogate, which UTF-8 cannot encode."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")
