"""A WebSocket without a socket: messages become legal events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from interface_server.unknown_keys import UnknownKeys
from interface_server.websocket.conversation import BadMessage, Conversation, SocketState
from tests.interface_server.strategies import bad_headers, good_headers, oddities

ACCEPT: dict[str, Any] = {"type": "websocket.accept", "subprotocol": None, "headers": []}
REJECT = [{"type": "websocket.close", "code": 1000}]
HELLO = {"type": "websocket.send", "text": "hello"}


def close(code: int) -> dict[str, Any]:
    return {"type": "websocket.close", "code": code}


def opened() -> Conversation:
    conversation = Conversation()
    conversation.feed({"accept": True})
    return conversation


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ({"accept": True}, [ACCEPT]),
        ({"accept": True, "text": "hello"}, [ACCEPT, HELLO]),
        ({"text": "hello"}, [ACCEPT, HELLO]),
        ({"bytes": b"\x00"}, [ACCEPT, {"type": "websocket.send", "bytes": b"\x00"}]),
        ({"text": "hello", "close": True}, [ACCEPT, HELLO, close(1000)]),
        ({"text": "hello", "close": 4001}, [ACCEPT, HELLO, close(4001)]),
        ({"text": "hello", "close": False}, [ACCEPT, HELLO]),
        (
            {"accept": True, "text": None, "bytes": b"", "close": None},
            [ACCEPT, {"type": "websocket.send", "bytes": b""}],
        ),
        ({"accept": False}, REJECT),
        ({"accept": False, "text": "hello"}, REJECT),
        ({"close": True}, REJECT),
        ({"close": 4001}, REJECT),
        ({"accept": True, "close": True}, REJECT),
    ],
    ids=str,
)
def test_during_the_handshake(message: dict[str, Any], events: list[Any]) -> None:
    conversation = Conversation()
    assert conversation.feed(message) == events
    assert conversation.accepted == (events[0] == ACCEPT)
    assert (conversation.state is SocketState.CLOSED) == (events[-1]["type"] == "websocket.close")


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ({"text": "hello"}, [HELLO]),
        ({"text": ""}, [{"type": "websocket.send", "text": ""}]),
        ({"bytes": b"\xff"}, [{"type": "websocket.send", "bytes": b"\xff"}]),
        ({"close": True}, [close(1000)]),
        ({"close": 3000}, [close(3000)]),
        ({"text": "hello", "close": 1001}, [HELLO, close(1001)]),
        ({"close": False}, []),
        ({"accept": True}, []),
        ({"accept": False}, []),
        ({"accept": True, "text": "hello"}, [HELLO]),
        ({}, []),
        ({"something": "else", "accept": None}, []),
        ({"text": "hello", "bytes": b""}, [HELLO]),
        ({"text": "", "bytes": b"\xff"}, [{"type": "websocket.send", "bytes": b"\xff"}]),
        ({"text": "", "bytes": b""}, [{"type": "websocket.send", "text": ""}]),
    ],
    ids=str,
)
def test_when_open(message: dict[str, Any], events: list[Any]) -> None:
    assert opened().feed(message) == events


@pytest.mark.parametrize("message", [{"text": "hello"}, {"close": True}, {"accept": True}, {"text": 5}], ids=str)
def test_a_closed_socket_sends_nothing(message: dict[str, Any]) -> None:
    conversation = opened()
    conversation.feed({"close": True})
    assert conversation.feed(message) == []
    assert conversation.close(1001) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"text": "a", "bytes": b"b"}, "text or bytes, not both"),
        ({"text": b"a"}, "text must be a str, not b'a'"),
        ({"bytes": "a"}, "bytes must be bytes, not 'a'"),
    ],
    ids=str,
)
def test_an_invalid_message_is_ignored_as_a_whole(message: dict[str, Any], reason: str) -> None:
    conversation = opened()
    with pytest.raises(BadMessage, match=reason):
        conversation.feed(message)
    assert conversation.feed({"text": "hello"}) == [HELLO]
    conversation = Conversation()
    with pytest.raises(BadMessage, match=reason):
        conversation.feed(message)
    assert conversation.feed({"text": "hello"}) == [ACCEPT, HELLO]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({}, "accepts it, rejects it or brings data"),
        ({"accept": True, "subprotocol": "soap"}, "did not offer the subprotocol 'soap'"),
        ({"accept": 0}, "accept must be True or False, not 0"),
        ({"accept": ""}, "accept must be True or False, not ''"),
        ({"accept": 1}, "accept must be True or False, not 1"),
        ({"accept": [], "text": "hello"}, r"accept must be True or False, not \[\]"),
        ({"accept": True, "headers": 5}, "headers must be a list"),
        ({"accept": True, "headers": ["xy"]}, "a header must be a pair"),
        ({"accept": True, "headers": [[10**12, b""]]}, "a header must be a pair"),
        ({"accept": True, "headers": [[b"x", b"a\r\nb: c"]]}, "no line break"),
        ({"accept": True, "headers": [[b"a b", b"c"]]}, "name of a header"),
    ],
    ids=str,
)
def test_a_handshake_goes_on_after_an_invalid_message(message: dict[str, Any], reason: str) -> None:
    conversation = Conversation()
    with pytest.raises(BadMessage, match=reason):
        conversation.feed(message)
    assert conversation.state is SocketState.CONNECTING
    assert conversation.feed({"accept": True}) == [ACCEPT]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"close": "now"}, "a close code that can be sent, not 'now'"),
        ({"close": 0}, "not 0"),
        ({"close": 999}, "not 999"),
        ({"close": 1005}, "not 1005"),
        ({"close": 1006}, "not 1006"),
        ({"close": 1015}, "not 1015"),
        ({"close": 2999}, "not 2999"),
        ({"close": 5000}, "not 5000"),
        ({"text": "a", "close": 10**30}, "not 1000"),
        ({"accept": True, "close": "later"}, "not 'later'"),
        ({"text": 5, "close": 99}, "not 99"),
    ],
    ids=str,
)
def test_a_close_with_an_invalid_code(message: dict[str, Any], reason: str) -> None:
    """It ends the handshake. An open socket ignores it."""
    conversation = opened()
    with pytest.raises(BadMessage, match=reason) as ignored:
        conversation.feed(message)
    assert ignored.value.events == ()
    assert conversation.feed({"text": "hello"}) == [HELLO]
    conversation = Conversation()
    with pytest.raises(BadMessage, match=reason) as rejected:
        conversation.feed(message)
    assert rejected.value.events == REJECT
    assert conversation.feed({"accept": True}) == []


@pytest.mark.parametrize("conversation", [Conversation(), opened()], ids=["connecting", "open"])
def test_a_message_with_unknown_keys_only(conversation: Conversation) -> None:
    message: dict[Any, Any] = {"txet": "hello", 5: None}
    expected = "it should have one of accept, bytes, close, headers, subprotocol, text, but has 5, txet"
    state = conversation.state
    with pytest.raises(UnknownKeys, match=expected) as error:
        conversation.feed(message)
    assert error.value.keys == ("5", "txet")
    assert conversation.state is state


def test_headers_of_the_handshake() -> None:
    [event] = Conversation().feed({"accept": True, "headers": [[b"Set-Cookie", b"a=1"], ["x", "y"]]})
    assert event["headers"] == [(b"set-cookie", b"a=1"), (b"x", b"y")]


@pytest.mark.parametrize(
    ("offered", "agreeable", "named", "agreed"),
    [
        ([], [], None, None),
        ([], ["chat"], None, None),
        (["chat"], [], None, None),
        (["soap", "chat"], ["chat", "soap"], None, "soap"),
        (["soap", "chat"], ["chat"], None, "chat"),
        (["soap", "chat"], ["soap"], "chat", "chat"),
    ],
)
def test_subprotocols(offered: list[str], agreeable: list[str], named: str | None, agreed: str | None) -> None:
    [event] = Conversation(offered, agreeable).feed({"accept": True, "subprotocol": named})
    assert event["subprotocol"] == agreed


def test_half_a_surrogate_pair_does_not_reach_the_socket() -> None:
    [event] = opened().feed({"text": "caf\u00e9 \ud83d"})
    assert event["text"] == "caf\u00e9 ?"


def test_the_server_closes_for_reasons_of_its_own() -> None:
    assert opened().close(1013) == [close(1013)]
    assert Conversation().close(1013) == REJECT
    assert Conversation().reject() == REJECT


plausible = st.fixed_dictionaries(
    {},
    optional={
        "accept": st.sampled_from([True, True, False, None]),
        "text": st.text(max_size=3) | st.none(),
        "close": st.sampled_from([None, False, True, 1000, 1011, 4999]),
        "subprotocol": st.sampled_from([None, "chat"]),
        "headers": good_headers,
    },
)
wild = st.fixed_dictionaries(
    {},
    optional={
        "accept": oddities,
        "text": st.text(st.characters(), max_size=3) | st.just("\ud800") | oddities,
        "bytes": st.binary(max_size=3) | oddities,
        "close": st.integers(990, 1020) | st.integers() | oddities,
        "subprotocol": oddities,
        "headers": bad_headers | oddities,
        "surprise": oddities,
    },
)


class Socket(RuleBasedStateMachine):
    """Feeds a conversation in any order, and takes its events like a strict ASGI server."""

    @initialize(offered=st.lists(st.sampled_from(["chat", "soap"]), max_size=2))
    def connect(self, offered: list[str]) -> None:
        self.offered = offered
        self.conversation = Conversation(offered, ["chat"])
        self.state = SocketState.CONNECTING

    @rule(message=plausible | wild | st.builds(lambda first, second: {**first, **second}, plausible, wild))
    def feed(self, message: dict[str, Any]) -> None:
        try:
            events = self.conversation.feed(message)
        except BadMessage as error:
            self.take(error.events)
        except UnknownKeys:
            pass  # nothing of it is done: the invariant holds
        else:
            self.take(events)

    @rule(code=st.sampled_from([1001, 1009, 1013]))
    def close(self, code: int) -> None:
        self.take(self.conversation.close(code))

    def take(self, events: Any) -> None:
        for event in events:
            assert self.state is not SocketState.CLOSED, "an event after the close"
            if event["type"] == "websocket.accept":
                assert self.state is SocketState.CONNECTING
                self.state = SocketState.OPEN
                assert event["subprotocol"] in [None, *self.offered]
                for name, value in event["headers"]:
                    assert isinstance(name, bytes)
                    assert isinstance(value, bytes)
                    assert b"\n" not in name + value
            elif event["type"] == "websocket.send":
                assert self.state is SocketState.OPEN
                if "text" in event:
                    event["text"].encode()
                else:
                    assert isinstance(event["bytes"], bytes)
            else:
                assert event["type"] == "websocket.close"
                assert event["code"] in {*range(1000, 1015), *range(3000, 5000)} - {1004, 1005, 1006}
                self.state = SocketState.CLOSED

    @invariant()
    def both_sides_agree_on_the_state(self) -> None:
        assert self.conversation.state is self.state


Socket.TestCase.settings = settings(max_examples=100, stateful_step_count=15, deadline=None)
TestSocket = Socket.TestCase
