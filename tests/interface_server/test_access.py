"""Lines of the access log: any request gives one line, with separate fields."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interface_server.access import client_of, describe

LINE = re.compile(r'(\S+) "((?:[^"\\]|\\.)*)" (\S+ \S+|\S+)')

client = st.none() | st.tuples(st.text(min_size=1), st.integers(0, 65535))


def line_of(event: str, scope: dict[str, Any], details: dict[str, Any]) -> str:
    return f"{client_of(scope)} {describe(event, scope, details)}"


@given(st.binary(), st.binary(), client)
def test_any_request_is_one_line(path: bytes, query: bytes, client: tuple[str, int] | None) -> None:
    scope = {
        "method": "GET",
        "http_version": "1.1",
        "path": "/" + path.decode("utf-8", "replace"),
        "raw_path": b"/" + path,
        "query_string": query,
        "client": client,
    }
    line = line_of("http", scope, {"status": 200, "size": 3})
    assert line.isprintable()
    found = LINE.fullmatch(line)
    assert found
    assert found[2].startswith("GET /")
    assert found[2].endswith(" HTTP/1.1")
    assert found[3] == "200 3"


@given(st.text(), client)
def test_any_event_of_a_socket_is_one_line(path: str, client: tuple[str, int] | None) -> None:
    line = line_of("websocket.disconnected", {"path": "/" + path, "client": client}, {"code": 1000})
    assert line.isprintable()
    found = LINE.fullmatch(line)
    assert found
    assert found[2].startswith("WebSocket DISCONNECTED /")
    assert found[3] == "1000"


def test_what_a_plain_line_looks_like() -> None:
    scope = {"method": "GET", "http_version": "1.1", "path": "/a b", "raw_path": b"/a%20b", "query_string": b"c=1"}
    assert describe("http", scope, {"status": 200, "size": 3}) == '"GET /a%20b?c=1 HTTP/1.1" 200 3'
    assert client_of({"client": ("192.0.2.1", 80)}) == "192.0.2.1"
    assert client_of({"client": None}) == "-"
