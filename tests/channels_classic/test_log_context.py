"""The id of a client in the log, and lines of JSON."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.layers import InMemoryChannelLayer
from channels_classic.log_context import ClientFilter, JsonFormatter, client_id
from channels_classic.message import Message
from channels_classic.redaction import masked_query
from channels_classic.routing import Router
from worker.consume import consume
from worker.consumer_log import ConsumerLog

REPLY = "interface.abc!def"


class Collected(logging.Handler):
    """Keeps each line as its formatter writes it."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.addFilter(ClientFilter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def run(consumer: Any, formatter: logging.Formatter, **content: Any) -> list[str]:
    """What is logged while ``consumer`` handles a message, by the project's and by our loggers."""
    handler = Collected(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        layer: Any = InMemoryChannelLayer()
        message = Message({"path": "/", **content}, "websocket.receive", layer)
        consume(message, Router({"websocket.receive": consumer}), 0, sender=Router)
    finally:
        root.removeHandler(handler)
    return handler.lines


def speaks(message: Message) -> None:
    logging.getLogger("radio").warning("over", extra={"band": "marine", "when": object})
    raise ValueError("a bug\nin two lines")


def test_lines_of_a_consumer_have_the_id_of_its_client() -> None:
    lines = run(speaks, logging.Formatter("%(client)s %(channel)s %(message)s"), reply_channel=REPLY)
    assert lines[0] == f"{client_id(REPLY)} websocket.receive over"
    assert lines[1].startswith(f"{client_id(REPLY)} websocket.receive Error in the consumer")


def test_lines_of_json() -> None:
    over, error = map(json.loads, run(speaks, JsonFormatter(), reply_channel=REPLY))
    assert over["client"] == error["client"] == client_id(REPLY)
    assert (over["level"], over["logger"], over["message"]) == ("WARNING", "radio", "over")
    assert over["band"] == "marine"
    assert over["channel"] == "websocket.receive"
    assert "Traceback" in error["exception"]
    assert "in two lines" in error["exception"]


def test_lines_outside_of_consumers() -> None:
    (line,) = run(lambda message: logging.getLogger("radio").warning("static"), JsonFormatter())
    assert "client" not in json.loads(line)
    handler = Collected(logging.Formatter("%(client)s %(channel)s"))
    handler.handle(logging.makeLogRecord({"msg": "outside"}))
    assert handler.lines == ["- -"]


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_any_text_is_one_line_of_json(text: str, extras: dict[str, str]) -> None:
    record = logging.makeLogRecord({"msg": "%s", "args": (text,), **{f"x_{key}": extras[key] for key in extras}})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == text


def test_the_id_is_not_a_channel_name_and_is_unique() -> None:
    ids = {client_id(f"interface.abc!{number}") for number in range(1000)}
    assert len(ids) == 1000
    assert all(len(each) == 10 for each in ids)
    assert client_id(None) == client_id("") == "-"


@pytest.mark.parametrize(
    ("query", "masked"),
    [
        ("band=marine", "band=marine"),
        ("session_key=abc&band=x", "session_key=***&band=x"),
        ("a=1&access_token=a.b.c&b=2", "a=1&access_token=***&b=2"),
        ("API-Key=1;x=2", "API-Key=***;x=2"),
        ("password=&token", "password=***&token"),
        ("x=token%3D1", "x=token%3D1"),
        ("sig=a=b", "sig=***"),
        ("", ""),
    ],
)
def test_secrets_in_a_query_string(query: str, masked: str) -> None:
    assert masked_query(query) == masked


@pytest.mark.parametrize(
    ("query", "masked"),
    [
        ("token" * 2**16, "token" * 2**16),
        ("=" * 2**16, "=" * 2**16),
        ("&" * 2**16, "&" * 2**16),
        ("key=" * 2**16, "key=***"),
        ("a=b&token=" * 2**10, "a=b" + "&token=***" * 2**10),
    ],
    ids=range(5),
)
def test_a_query_that_an_expression_would_read_over_and_over_again(query: str, masked: str) -> None:
    """A client chooses it, and all clients would wait for minutes."""
    assert masked_query(query) == masked


@given(st.lists(st.sampled_from(["a", "token", "Key", "=", "&", ";", "%3D", "b"]), max_size=20).map("".join))
def test_any_query(query: str) -> None:
    parts = re.split("([&;])", query)
    for place, part in enumerate(parts):
        name, equals, _ = part.partition("=")
        if equals and re.search("token|key", name, re.IGNORECASE):
            parts[place] = f"{name}=***"
    assert masked_query(query) == "".join(parts)


def test_a_line_for_each_consumer() -> None:
    router = Router({"websocket.connect": quiet, "websocket.receive": quiet, "calls": quiet})
    router.check_default()
    layer: Any = InMemoryChannelLayer()
    lines: list[str] = []
    log = ConsumerLog(router, lines.append)
    with log.listening():
        for channel, content in (
            (
                "websocket.connect",
                {"path": "/", "query_string": b"band=marine&session_key=x", "reply_channel": REPLY},
            ),
            ("websocket.receive", {"path": "/", "reply_channel": REPLY}),
            ("websocket.disconnect", {"path": "/", "reply_channel": REPLY}),
            ("websocket.receive", {"path": "/", "reply_channel": REPLY}),
            ("calls", {}),
        ):
            message = Message(content, channel, layer)
            log.begin(channel, message)
            consume(message, router, 0, sender=Router)
    name = f"{__name__}.quiet"
    assert [line.rpartition(" ms")[0].rpartition(" ")[0] for line in lines] == [
        f"websocket.connect /?band=marine&session_key=*** → {name}",
        f"websocket.receive /?band=marine&session_key=*** → {name}",
        f"websocket.receive / → {name}",  # the socket is gone, and forgotten
        f"calls → {name}",
    ]
    consume(Message({}, "calls", layer), router, 0, sender=Router)
    assert len(lines) == 4


def quiet(message: Message) -> None:
    """Do nothing."""
