"""``FrameEncoder``: encodes a message for many sockets once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interface_server.websocket.conversation import BadMessage, close_code, data_of
from interface_server.websocket.whole_frames import write_whole


class FrameEncoder:
    """Encodes messages for open sockets. It keeps the last one: a message to a group comes once per member."""

    def __init__(self) -> None:
        self._content: Mapping[str, Any] | None = None
        self._frame: bytes | None = None

    def encode(self, content: Mapping[str, Any]) -> bytes | None:
        """The frame for ``content``; ``None`` if it has something other than data, or is not valid."""
        if content is not self._content:
            self._content = content
            self._frame = None
            try:
                if close_code(content) is None and (data := data_of(content)) is not None:
                    self._frame = write_whole(data)
            except BadMessage:
                pass
        return self._frame
