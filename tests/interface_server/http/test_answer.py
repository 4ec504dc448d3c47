"""An HTTP answer without a socket: its messages become legal events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.http.answer import Answer, AnswerState, BadAnswer, plain
from interface_server.unknown_keys import UnknownKeys
from tests.interface_server.strategies import bad_headers, good_headers, oddities

START = "http.response.start"
BODY = "http.response.body"


def body(content: bytes, more: bool) -> dict[str, Any]:
    return {"type": BODY, "body": content, "more_body": more}


def test_an_answer_of_one_message_gets_its_length() -> None:
    answer = Answer()
    events = answer.feed({"status": 200, "headers": [[b"Content-Type", b"text/plain"]], "content": b"hello"})
    assert events == [
        {"type": START, "status": 200, "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")]},
        body(b"hello", False),
    ]
    assert (answer.state, answer.status, answer.size) == (AnswerState.DONE, 200, 5)


def test_the_optional_keys_have_their_defaults() -> None:
    assert Answer().feed({"status": 404}) == [
        {"type": START, "status": 404, "headers": [(b"content-length", b"0")]},
        body(b"", False),
    ]


def test_chunks_follow_the_first_message() -> None:
    answer = Answer()
    assert answer.feed({"status": 200, "headers": [], "more_content": True}) == [
        {"type": START, "status": 200, "headers": []},
        body(b"", True),
    ]
    assert answer.state is AnswerState.STREAMING
    assert answer.feed({"content": b"one", "more_content": True}) == [body(b"one", True)]
    assert answer.feed({"content": b"two"}) == [body(b"two", False)]
    assert (answer.state, answer.size) == (AnswerState.DONE, 6)


@pytest.mark.parametrize("late", [{"content": b"more"}, {"status": 200}, {"nonsense": 1}, {"content": "no bytes"}])
def test_what_comes_after_the_last_chunk_is_ignored(late: dict[str, Any]) -> None:
    answer = Answer()
    answer.feed({"status": 200, "content": b"all"})
    assert answer.feed(late) == []
    assert answer.size == 3


def test_content_none_is_empty() -> None:
    answer = Answer()
    assert answer.feed({"status": 200, "content": None, "more_content": True})[1] == body(b"", True)
    assert answer.feed({"content": None, "more_content": True}) == [body(b"", True)]
    assert answer.feed({"content": None}) == [body(b"", False)]


def test_a_part_with_unknown_keys_only() -> None:
    answer = Answer()
    answer.feed({"status": 200, "more_content": True})
    with pytest.raises(
        UnknownKeys, match="one of content, headers, more_content, status, but has cotnent"
    ) as error:
        answer.feed({"cotnent": b"misspelt"})
    assert error.value.keys == ("cotnent",)
    assert answer.feed({"content": b"fits", "extra": 1, "more_content": True}) == [body(b"fits", True)]
    assert answer.feed({}) == [body(b"", False)]


def test_a_second_status_is_an_error() -> None:
    answer = Answer()
    answer.feed({"status": 200, "more_content": True})
    with pytest.raises(BadAnswer, match="second message with status, 500"):
        answer.feed({"status": 500})


def test_headers_keep_their_order_and_their_duplicates() -> None:
    headers = [[b"set-cookie", b"a=1"], [b"x", b"y"], [b"set-cookie", b"b=2"]]
    [start, _] = Answer().feed({"status": 200, "headers": headers, "more_content": True})
    assert start["headers"] == [(b"set-cookie", b"a=1"), (b"x", b"y"), (b"set-cookie", b"b=2")]


def test_the_length_of_an_answer_to_head_is_left_to_the_consumer() -> None:
    answer = Answer(has_content=False)
    message = {"status": 200, "headers": [[b"content-length", b"1234"]], "content": b"not to be sent"}
    [start, content] = answer.feed(message)
    assert start["headers"] == [(b"content-length", b"1234")]
    assert content == body(b"", False)
    assert answer.size == 0
    [start, _] = Answer(has_content=False).feed({"status": 200})
    assert start["headers"] == []


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_has_none(status: int) -> None:
    answer = Answer()
    events = answer.feed({"status": status, "headers": [[b"content-length", b"3"]], "content": b"abc"})
    assert events == [{"type": START, "status": status, "headers": []}, body(b"", False)]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({}, "needs status, an int from 200 to 599, not None"),
        ({"status": "200"}, "not '200'"),
        ({"status": 100}, "not 100"),
        ({"status": 600}, "not 600"),
        ({"status": 200, "content": "text"}, "content must be bytes, not 'text'"),
        ({"status": 200, "headers": 5}, "headers must be a list of pairs of bytes, not 5"),
        ({"status": 200, "headers": [b"x: y"]}, "a header must be a pair of bytes, not b'x: y'"),
        ({"status": 200, "headers": [[b"x", 1]]}, "a header must be a pair"),
        ({"status": 200, "headers": ["xy"]}, "a header must be a pair of bytes, not 'xy'"),
        ({"status": 200, "headers": [{"a": "b", "c": "d"}]}, "a header must be a pair of bytes, not {"),
        ({"status": 200, "headers": [["näme", b"1"]]}, "a header must be a pair"),
        ({"status": 200, "headers": [["name", "\u20ac"]]}, "a header must be a pair"),
        ({"status": 200, "headers": [[b"", b"1"]]}, "name of a header"),
        ({"status": 200, "headers": [[b"a b", b"1"]]}, "name of a header"),
        ({"status": 200, "headers": [[b"x:y", b"1"]]}, "name of a header"),
        ({"status": 200, "headers": [[b"x(y)", b"1"]]}, "name of a header"),
        ({"status": 200, "headers": [[b"x", b"1\r\nset-cookie: a=b"]]}, "no line break"),
        ({"status": 200, "headers": [[b"content-length", b"many"]]}, "content-length"),
        ({"status": 200, "headers": [[b"content-length", b"+3"]], "content": b"abc"}, "content-length"),
        ({"status": 200, "headers": [[b"content-length", b"9" * 5000]]}, "content-length"),
        ({"status": 200, "headers": [[b"content-length", b"0"], [b"Content-Length", b"0"]]}, "not b'0, 0'"),
        (
            {"status": 200, "headers": [[b"content-length", b"2"]], "content": b"abc"},
            "3 bytes .* content-length: 2",
        ),
        (
            {"status": 200, "headers": [[b"content-length", b"4"]], "content": b"abc"},
            "3 bytes .* content-length: 4",
        ),
    ],
    ids=str,
)
def test_an_invalid_answer_is_refused_and_an_error_can_still_be_sent(message: dict[str, Any], reason: str) -> None:
    answer = Answer()
    with pytest.raises(BadAnswer, match=reason):
        answer.feed(message)
    assert answer.state is AnswerState.WAITING
    [start, content] = answer.feed(plain(500, "Server Error (500)"))
    assert start["status"] == 500
    assert content == body(b"Server Error (500)", False)


def test_a_stream_must_keep_to_its_length() -> None:
    answer = Answer()
    answer.feed({"status": 200, "headers": [[b"content-length", b"4"]], "content": b"ab", "more_content": True})
    with pytest.raises(BadAnswer, match=r"5 bytes .* content-length: 4"):
        answer.feed({"content": b"cde", "more_content": True})


plausible = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([200, 204, 304, 404]),
        "headers": good_headers,
        "content": st.binary(max_size=5),
        "more_content": st.booleans(),
    },
)
wild = st.fixed_dictionaries(
    {},
    optional={
        "status": st.integers() | oddities,
        "headers": bad_headers | oddities,
        "content": oddities,
        "more_content": oddities,
        "surprise": oddities,
    },
)
messages = plausible | st.builds(lambda first, second: {**first, **second}, plausible, wild)


class Client:
    """Takes ASGI events like a strict server, and fails at the first illegal one."""

    def __init__(self, has_content: bool) -> None:
        self.has_content = has_content
        self.started = self.finished = False
        self.expected: int | None = None
        self.got = 0

    def take(self, event: Any) -> None:
        assert not self.finished, "an event after the last one"
        if not self.started:
            assert event["type"] == START
            self.started = True
            assert type(event["status"]) is int
            for name, value in event["headers"]:
                assert isinstance(name, bytes)
                assert name == name.lower() != b""
                assert isinstance(value, bytes)
                assert b"\n" not in name + value
                assert b"\r" not in name + value
            lengths = [int(value) for name, value in event["headers"] if name == b"content-length"]
            assert len(lengths) <= 1
            self.expected = lengths[0] if lengths else None
            if event["status"] in (204, 304):
                assert self.expected is None
                self.has_content, self.expected = True, 0
        else:
            assert event["type"] == BODY
            self.got += len(event["body"])
            self.finished = event["more_body"] is False
            if self.has_content and self.expected is not None:
                assert self.got <= self.expected
                assert not self.finished or self.got == self.expected


@given(st.booleans(), st.lists(messages, max_size=8))
def test_whatever_consumers_send_the_client_sees_at_most_one_legal_answer(
    has_content: bool, sent: list[dict[str, Any]]
) -> None:
    answer, client = Answer(has_content), Client(has_content)
    for message in sent:
        before = answer.state
        try:
            events = answer.feed(message)
        except BadAnswer:
            break
        for event in events:
            client.take(event)
        assert (events == []) == (before is AnswerState.DONE)
    # What was refused has changed nothing: both sides still agree.
    assert client.started == (answer.state is not AnswerState.WAITING)
    assert client.finished == (answer.state is AnswerState.DONE)
