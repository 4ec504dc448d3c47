"""Messages that are encoded once for many sockets: those that an open socket would only send."""

from __future__ import annotations

from typing import Any

import pytest

from interface_server.unknown_keys import UnknownKeys
from interface_server.websocket.conversation import BadMessage, Conversation
from interface_server.websocket.frames import FrameEncoder


@pytest.mark.parametrize("close", [None, False, True, 0, "", [], {}, 1000, 4000, 999, "now"], ids=repr)
@pytest.mark.parametrize(
    "data",
    [
        {"text": "hello"},
        {"bytes": b"hello"},
        {"text": ""},
        {"text": 5},
        {"text": "a", "bytes": b"b"},
        {},
        {"a": 1},
    ],
    ids=str,
)
def test_it_agrees_with_the_protocol_of_an_open_socket(data: dict[str, Any], close: Any) -> None:
    content = {**data, "close": close}
    conversation = Conversation()
    conversation.feed({"accept": True})
    try:
        kinds = [event["type"] for event in conversation.feed(content)]
    except (BadMessage, UnknownKeys):
        kinds = []
    assert (FrameEncoder().encode(content) is not None) is (kinds == ["websocket.send"])


def test_the_same_message_is_encoded_once() -> None:
    frames = FrameEncoder()
    content = {"text": "hello"}
    assert frames.encode(content) == b"\x81\x05hello"
    assert frames.encode(content) is frames.encode(content)
    assert frames.encode({"text": "other"}) == b"\x81\x05other"
