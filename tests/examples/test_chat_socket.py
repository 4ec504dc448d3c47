"""The socket of the example chat, with a client that misbehaves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.examples.conftest import Site

DEADLINE = 60  # seconds


@contextmanager
def joined(site: Site, room: str, name: str = "Ann") -> Iterator[ClientConnection]:
    url = f"ws://{site.address}/rooms/{room}/ws?name={name}"
    with connect(url, origin=Origin(site.url), compression=None, open_timeout=DEADLINE) as connection:
        yield connection


def next_frame(connection: ClientConnection, type: str) -> dict[str, Any]:
    """The next frame of a type. Others are skipped."""
    while True:
        frame: dict[str, Any] = json.loads(connection.recv(timeout=DEADLINE))
        if frame["type"] == type:
            return frame


def next_people(connection: ClientConnection) -> list[str]:
    return [person["name"] for person in next_frame(connection, "presence")["people"]]


def speak(connection: ClientConnection, text: object) -> None:
    connection.send(json.dumps({"type": "message", "name": "Ann", "text": text}))


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("{", "A frame is a JSON object"),
        ('["message"]', "A frame is a JSON object"),
        ("[" * 100_000, "A frame is a JSON object"),
        (b"\x00\xff", "A frame is a JSON object"),
        ('{"type": "dance"}', "The type of a frame"),
        ('{"type": ["message"]}', "The type of a frame"),
        ('{"type": "message"}', "An empty message"),
        ('{"type": "message", "text": 7}', "An empty message"),
        ('{"type": "message", "text": "\\ud800\\u0000 "}', "An empty message"),
        (json.dumps({"type": "message", "text": "x" * 2001}), "at most 2,000 characters; this one has 2,001"),
    ],
    ids=str,
)
def test_bad_frames_get_an_answer_and_the_site_goes_on(site: Site, sent: str | bytes, answer: str) -> None:
    with joined(site, "bad-frames") as connection:
        connection.send(sent)
        assert answer in next_frame(connection, "error")["text"]
        speak(connection, "still here")
        assert next_frame(connection, "message")["text"] == "still here"


@pytest.mark.parametrize("path", ["rooms/no%20spaces/ws", "rooms/a/b/ws", "rooms/../ws", "elsewhere"])
def test_sockets_to_nowhere_are_refused(site: Site, path: str) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{site.address}/{path}", origin=Origin(site.url), open_timeout=DEADLINE),
    ):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["ws", "rooms/tea/ws"])
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1.evil.example"])
def test_sockets_from_other_sites_are_refused(site: Site, path: str, origin: str | None) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{site.address}/{path}", origin=origin, open_timeout=DEADLINE),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_messages_are_saved_in_the_order_sent(site: Site, room: str) -> None:
    said = [f"{number}" for number in range(30)]
    with joined(site, room) as connection, joined(site, room, "Bob") as other:
        for text in said:
            speak(connection, text)
        assert [next_frame(other, "message")["text"] for _ in said] == said
    with joined(site, room) as connection:
        assert [message["text"] for message in next_frame(connection, "history")["messages"]] == said


def test_a_visitor_who_leaves_at_once_is_not_present(site: Site, room: str) -> None:
    with joined(site, room) as connection:
        assert next_people(connection) == ["Ann"]
        for _ in range(10):
            with joined(site, room, "Hasty") as hasty:
                for name in ("Hasty", "Hastier", "Hastiest"):
                    hasty.send(json.dumps({"type": "here", "name": name}))
        deadline = time.monotonic() + DEADLINE
        while site.count("rooms_presence", room) > 1:
            assert time.monotonic() < deadline
            connection.send('{"type": "here", "name": "Ann"}')
            next_people(connection)
        speak(connection, "the last word")
        next_frame(connection, "message")
        connection.send('{"type": "here", "name": "Ann"}')
        assert next_people(connection) == ["Ann"]


def test_history_is_the_last_fifty_oldest_first(site: Site, room: str) -> None:
    with joined(site, room) as connection:
        assert next_frame(connection, "history")["messages"] == []
        for number in range(52):
            speak(connection, f"{number}")
            assert next_frame(connection, "message")["text"] == f"{number}"
    with joined(site, room) as connection:
        history = next_frame(connection, "history")["messages"]
    assert [message["text"] for message in history] == [f"{number}" for number in range(2, 52)]
    assert [message["id"] for message in history] == sorted(message["id"] for message in history)


def test_the_largest_history_fits_into_one_frame(site: Site, room: str) -> None:
    largest = "🌿" * 2000
    site.execute(
        "INSERT INTO rooms_message (room, author, text, created) VALUES (?, 'Ann', ?, '2026-01-01 12:00:00')",
        [(room, largest)] * 50,
    )
    with joined(site, room) as connection:
        history = next_frame(connection, "history")["messages"]
    assert [message["text"] for message in history] == [largest] * 50


def test_people_are_counted_by_name_and_leave(site: Site, room: str) -> None:
    with joined(site, room, "Ann") as first:
        assert next_people(first) == ["Ann"]
        with joined(site, room, "%20B%C3%B6b%0A") as second:
            assert next_people(second) == ["Ann", "Böb"]
            assert next_people(first) == ["Ann", "Böb"]
            second.send('{"type": "here", "name": "Ann"}')
            assert next_people(first) == ["Ann"]
            second.send('{"type": "here", "name": ""}')
            assert next_people(first) == ["Ann", "guest"]
        assert next_people(first) == ["Ann"]


def test_visitors_of_a_dead_process_are_forgotten(site: Site, room: str) -> None:
    long_ago = "2026-01-01 12:00:00"
    site.execute(
        "INSERT INTO rooms_presence (room, reply_channel, name, since, seen) VALUES (?, ?, 'Ghost', ?, ?)",
        [(room, f"websocket.send.gone!{number}", long_ago, long_ago) for number in range(3)],
    )
    with joined(site, room) as connection:
        assert next_people(connection) == ["Ann"]
        assert site.count("rooms_presence", room) == 1
