"""Another parser stands for a proxy: if both accept bytes, they read the same requests."""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st

from interface_server.transport.http_parser import BadRequest, RequestReader

Seen = tuple[list[tuple[bytes, bytes, bytes]], bool]
"""Method, target and body of each complete request, and whether the bytes were refused at last."""

REQUESTS = [
    b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
    b"HEAD /e HTTP/1.0\r\n\r\n",
    b"DELETE /f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
]
INSERTED = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"0",
        b"5",
        b"\0",
        b"\x0b",
        b"\x7f",
        b"\xff",
        b"\r\n\r\n",
    ),
    *(b"Content-Length: 3\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\n"),
]
edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 4), st.sampled_from([b"", *INSERTED])), max_size=3)


def ours(data: bytes) -> Seen:
    reader = RequestReader()
    reader.receive(data)
    seen = []
    try:
        while (head := reader.read_head()) is not None:
            body, more = b"", head.has_body
            while more:
                part = reader.read_body()
                if part is None:
                    return seen, False
                body += part[0]
                more = part[1]
            seen.append((head.method.encode(), head.path + b"?" * bool(head.query) + head.query, body))
            if not head.keep_alive:
                break
    except BadRequest:
        return seen, True
    return seen, False


def theirs(data: bytes) -> Seen:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    connection.receive_data(data)
    seen = []
    body = b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return seen, True
        if isinstance(event, h11.Request):
            method, target, body = event.method, event.target.removesuffix(b"?"), b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            seen.append((method, target, body))
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is h11.MUST_CLOSE:
                return seen, False
            connection.start_next_cycle()
        else:
            return seen, False


@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3), edits)
def test_two_parsers_see_the_same_requests(sent: list[bytes], changes: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(sent)
    for place, removed, inserted in changes:
        place %= len(data) + 1
        data = data[:place] + inserted + data[place + removed :]
    (seen, refused), (seen_there, refused_there) = ours(data), theirs(data)
    both = min(len(seen), len(seen_there))
    assert seen[:both] == seen_there[:both]
    if not (refused or refused_there):
        assert len(seen) == len(seen_there)
