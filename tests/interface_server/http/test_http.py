"""HTTP over real sockets: every line of the specification, section 4, with the test as the worker."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from channels_classic.layers import InMemoryChannelLayer
from interface_server import InterfaceServer
from interface_server.http.upload import PART
from tests.interface_server.hosted import DEADLINE, Hosted, eventually, read_response, read_until_closed

Start = Callable[..., Hosted]


@pytest.fixture(autouse=True, params=["direct", "asgi"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways between an exchange and its connection: the second is the only one in other ASGI servers."""
    if request.param == "asgi":
        monkeypatch.setattr(InterfaceServer, "begin_exchange", lambda *_: None)


def answer(hosted: Hosted, **content: Any) -> str:
    """Answer the next request; its reply channel."""
    reply_channel: str = hosted.receive("http.request")["reply_channel"]
    hosted.send(reply_channel, **{"status": 200, **content})
    return reply_channel


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


# The request.


def test_a_request_as_a_message(hosted: Hosted) -> None:
    client = hosted.raw(
        b"GET /caf%C3%A9/a%2Fb+c/?q=%20&q=2+2&%C3%A9 HTTP/1.1\r\n"
        b"Host: example.com\r\nX-Twice: 1\r\nUser-Agent: test\r\nX-Twice: 2\r\n"
        b"X_Forwarded_For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4\r\nX-Raw: caf\xe9\r\n\r\n"
    )
    content = hosted.receive("http.request")
    reply_channel = content.pop("reply_channel")
    assert content == {
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/café/a/b+c/",
        "query_string": b"q=%20&q=2+2&%C3%A9",
        "root_path": "",
        "headers": [
            [b"host", b"example.com"],
            [b"x-twice", b"1"],
            [b"user-agent", b"test"],
            [b"x-twice", b"2"],
            [b"x-forwarded-for", b"1.2.3.4"],
            [b"x-raw", b"caf\xe9"],
        ],
        "body": b"",
        "client": list(client.getsockname()),
        "server": list(hosted.address),
    }
    hosted.send(reply_channel, status=200)
    assert read_response(client)[0].status == 200


def test_each_request_of_a_connection_has_its_own_reply_channel(hosted: Hosted) -> None:
    client = hosted.raw()
    reply_channels = set()
    for number in range(3):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        reply_channels.add(answer(hosted, content=b"%d" % number))
        assert read_response(client)[1] == b"%d" % number
    assert len(reply_channels) == 3
    processes = {name.partition("!")[0] for name in reply_channels}
    assert len(processes) == 1


def test_pipelined_requests_are_answered_in_order(hosted: Hosted) -> None:
    client = hosted.raw(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    for path in ("/1", "/2"):
        request = hosted.receive("http.request")
        assert request["path"] == path
        hosted.send(request["reply_channel"], status=200, content=path.encode())
        assert read_response(client)[1] == path.encode()


def test_bytes_in_the_path_that_are_not_utf_8(hosted: Hosted) -> None:
    hosted.raw(b"GET /%FFx HTTP/1.1\r\nHost: a\r\n\r\n")
    request = hosted.receive("http.request")
    assert request["path"] == "/\ufffdx"
    hosted.send(request["reply_channel"], status=200)


def test_http_1_0(hosted: Hosted) -> None:
    client = hosted.raw(b"GET / HTTP/1.0\r\n\r\n")
    request = hosted.receive("http.request")
    assert request["http_version"] == "1.0"
    hosted.send(request["reply_channel"], status=200, content=b"old")
    assert read_until_closed(client).endswith(b"\r\n\r\nold")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_the_method(hosted: Hosted, method: str) -> None:
    response = hosted.request(method, "/")
    request = hosted.receive("http.request")
    assert request["method"] == method
    hosted.send(request["reply_channel"], status=200, content=b"done")
    assert response.result(DEADLINE).text == "done"


def test_head_gets_the_headers_and_no_content(hosted: Hosted) -> None:
    client = hosted.raw(
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert hosted.receive_for(
        "http.disconnect", answer(hosted, headers=[[b"content-length", b"5"]], content=b"hello")
    )
    answer(hosted, headers=[[b"content-length", b"5"]])
    received = read_until_closed(client)
    assert received.count(b"content-length: 5") == 2
    assert b"hello" not in received


def test_a_body_is_inside_the_message(hosted: Hosted) -> None:
    response = hosted.request("POST", "/", content=b"a=1&b=2")
    request = hosted.receive("http.request")
    assert request["body"] == b"a=1&b=2"
    assert request.get("body_channel") is None
    hosted.send(request["reply_channel"], status=200)
    assert response.result(DEADLINE).status_code == 200


def test_a_body_in_chunks_is_put_together(hosted: Hosted) -> None:
    response = hosted.request("POST", "/", content=iter([b"one ", b"two ", b"three"]))
    request = hosted.receive("http.request")
    assert request["body"] == b"one two three"
    assert [b"transfer-encoding", b"chunked"] in request["headers"]
    hosted.send(request["reply_channel"], status=200)
    assert response.result(DEADLINE).status_code == 200


def test_a_client_that_waits_for_100_continue(hosted: Hosted) -> None:
    client = hosted.raw(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"body")
    assert hosted.receive("http.request")["body"] == b"body"


def receive_body(hosted: Hosted, request: dict[str, Any]) -> bytes:
    body: bytes = request["body"]
    more = True
    while more:
        part = hosted.receive(request["body_channel"])
        assert len(part["content"]) <= PART
        assert not part.get("closed")
        body += part["content"]
        more = part.get("more_content", False)
    return body


def take_body(hosted: Hosted) -> bytes:
    """The whole body of the next request, which is answered."""
    request = hosted.receive("http.request")
    body = receive_body(hosted, request)
    hosted.send(request["reply_channel"], status=200)
    return body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_takes_the_body_channel(hosted: Hosted, chunked: bool) -> None:
    sent = bytes(range(256)) * 12_000
    response = hosted.request("POST", "/", content=iter([sent[:700_000], sent[700_000:]]) if chunked else sent)
    request = hosted.receive("http.request")
    assert request["body_channel"].startswith("http.request.body?")
    assert 0 < len(request["body"]) < len(sent)
    assert receive_body(hosted, request) == sent
    hosted.send(request["reply_channel"], status=200, content=b"thanks")
    assert response.result(DEADLINE).text == "thanks"
    assert hosted.is_empty(request["body_channel"])


def upload(hosted: Hosted, size: int = 2_000_000) -> tuple[socket.socket, dict[str, Any]]:
    """A client that has sent a long body, and its request."""
    client = hosted.raw()
    client.sendall(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    return client, hosted.receive("http.request")


def rest_of_body(hosted: Hosted, channel: str) -> dict[str, Any]:
    """The last message on a body channel that was given up. The parts before it are skipped."""
    while (part := hosted.receive(channel)).get("content"):
        assert part["more_content"]
    return part


def test_an_answer_before_the_body_was_read_ends_the_exchange(hosted: Hosted) -> None:
    client, request = upload(hosted)
    hosted.send(request["reply_channel"], status=413, content=b"too much")
    response, content = read_response(client)
    assert (response.status, content) == (413, b"too much")
    assert hosted.receive_for("http.disconnect", request["reply_channel"])
    assert rest_of_body(hosted, request["body_channel"]) == {"closed": True}


def test_a_client_that_goes_away_while_its_body_is_read(hosted: Hosted) -> None:
    client, request = upload(hosted)
    client.close()
    reply_channel = request["reply_channel"]
    assert hosted.receive_for("http.disconnect", reply_channel) == {"reply_channel": reply_channel, "path": "/up"}
    assert rest_of_body(hosted, request["body_channel"]) == {"closed": True}


@pytest.mark.parametrize(
    "half",
    [
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Half: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
    ],
)
def test_half_a_request_from_a_client_that_has_left(start: Start, half: bytes) -> None:
    hosted = start()
    hosted.raw(half).close()
    response = hosted.get("/whole")
    request = hosted.receive("http.request")
    assert request["path"] == "/whole"
    assert hosted.is_empty("http.request")
    assert hosted.is_empty("http.disconnect")
    hosted.send(request["reply_channel"], status=200)
    assert response.result(DEADLINE).status_code == 200


@pytest.mark.parametrize("rate", [0, 100, 10_000])
def test_a_body_that_comes_slowly(start: Start, rate: int) -> None:
    """The rest comes after three time limits. In each of them 300 bytes have come."""
    hosted = start(http_timeout=0.5, min_body_rate=rate)
    client = hosted.raw(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n")
    try:
        for _ in range(10):
            time.sleep(0.15)
            client.sendall(b"x" * 300)
    except OSError:
        pass  # it was told already
    if rate == 10_000:
        assert read_response(client)[0].status == 408
    else:
        assert len(hosted.receive("http.request")["body"]) == 3000


def test_half_a_request_and_a_client_that_waits(start: Start) -> None:
    hosted = start(http_timeout=0.3)
    client = hosted.raw(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    response, content = read_response(client)
    assert (response.status, content) == (408, b"The request did not arrive in time.")
    eventually(lambda: hosted.access)
    assert [(path, details["status"]) for _, path, details in hosted.access] == [("/half", 408)]
    assert hosted.is_empty("http.request")
    assert hosted.is_empty("http.disconnect")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"GET /caf\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nna\xefve: 1\r\n\r\n",
    ],
)
def test_invalid_requests_get_400(hosted: Hosted, nonsense: bytes) -> None:
    assert read_until_closed(hosted.raw(nonsense)).startswith(b"HTTP/1.1 400 ")
    assert hosted.is_empty("http.request")


# The answer.


def test_headers_of_the_answer(hosted: Hosted) -> None:
    response = hosted.get()
    answer(
        hosted,
        status=404,
        headers=[[b"X-One", b"1"], [b"set-cookie", b"a=1"], [b"x-two", b"2"], [b"set-cookie", b"b=2"]],
        content=b"not here",
    )
    result = response.result(DEADLINE)
    assert (result.status_code, result.text) == (404, "not here")
    names = [name for name, _ in result.headers.multi_items()]
    assert [name for name in names if name in ("x-one", "x-two", "set-cookie")] == [
        "x-one",
        "set-cookie",
        "x-two",
        "set-cookie",
    ]
    assert result.headers["content-length"] == "8"
    assert "server" not in result.headers


def test_an_answer_in_chunks_arrives_chunk_by_chunk(hosted: Hosted) -> None:
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = answer(hosted, headers=[[b"x-stream", b"yes"]], more_content=True)
    with http.client.HTTPResponse(client) as response:
        response.begin()
        assert response.headers["x-stream"] == "yes"
        for chunk in (b"one", b"two"):
            hosted.send(reply_channel, content=chunk, more_content=True)
            assert response.read(3) == chunk
        hosted.send(reply_channel, content=b"end")
        assert response.read() == b"end"
    assert hosted.receive_for("http.disconnect", reply_channel)


def test_an_answer_in_chunks_with_a_length_of_its_own(hosted: Hosted) -> None:
    response = hosted.get()
    reply_channel = answer(hosted, headers=[[b"content-length", b"6"]], content=b"one", more_content=True)
    hosted.send(reply_channel, content=b"two", more_content=True)
    hosted.send(reply_channel)
    result = response.result(DEADLINE)
    assert (result.content, result.headers["content-length"]) == (b"onetwo", "6")
    assert "transfer-encoding" not in result.headers


@pytest.mark.parametrize("late", [{"content": b"more"}, {"status": 500, "content": b"second"}])
def test_what_comes_after_the_last_chunk_is_ignored(hosted: Hosted, late: dict[str, Any]) -> None:
    client = hosted.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    layer = hosted.layer
    layer.send_batch(
        [layer.prepare(reply_channel, message) for message in ({"status": 200, "content": b"all"}, late)]
    )
    assert read_response(client)[1] == b"all"
    hosted.send(reply_channel, **late)
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer(hosted, content=b"next")
    assert read_response(client)[1] == b"next"


def test_a_second_status_ends_the_connection(hosted: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    client = hosted.raw(b"GET /twice HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = answer(hosted, content=b"part", more_content=True)
    hosted.send(reply_channel, status=200, content=b"other")
    with pytest.raises(http.client.IncompleteRead):
        read_response(client)
    error = errors(caplog)[0]
    assert "/twice" in error
    assert "a second message with status, 200, for one request" in error
    assert hosted.receive_for("http.disconnect", reply_channel)["path"] == "/twice"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": b"page"}, "needs status"),
        ({"text": "for a socket"}, "needs status"),
        ({"status": "200"}, "needs status"),
        ({"status": 200, "content": "page"}, "content must be bytes"),
        ({"status": 200, "headers": 7}, "headers must be a list"),
        ({"status": 200, "headers": [[b"x", b"a\nb: c"]]}, "no line break"),
        ({"status": 200, "headers": [[b"x y", b"1"]]}, "the name of a header"),
        ({"status": 200, "headers": [[b"content-length", b"3"]], "content": b"four"}, "content-length: 3"),
    ],
    ids=str,
)
def test_an_invalid_answer_is_a_500_and_an_error_in_the_log(
    hosted: Hosted, caplog: pytest.LogCaptureFixture, message: dict[str, Any], reason: str
) -> None:
    response = hosted.get("/bad")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    hosted.send(reply_channel, **message)
    assert (response.result(DEADLINE).status_code, response.result().text) == (500, "Server Error (500)")
    [error] = errors(caplog)
    assert error.startswith("The answer to GET /bad is invalid")
    assert reason in error
    assert hosted.receive_for("http.disconnect", reply_channel)["path"] == "/bad"


def test_an_answer_shorter_than_it_said_is_seen_as_such(hosted: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    client = hosted.raw(b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = answer(hosted, headers=[[b"content-length", b"9"]], content=b"part", more_content=True)
    hosted.send(reply_channel, content=b"end")
    with pytest.raises(http.client.IncompleteRead):
        read_response(client)
    assert "7 bytes of content do not go with content-length: 9" in errors(caplog)[0]


# Nobody answers.


def test_no_answer_in_time(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    hosted = start(http_timeout=0.3)
    response = hosted.get("/slow")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    assert response.result(DEADLINE).status_code == 503
    assert hosted.receive("http.disconnect") == {"reply_channel": reply_channel, "path": "/slow"}
    [warning] = errors(caplog)
    assert "No answer to GET /slow within 0.3 s" in warning
    assert "http.request" in warning
    hosted.send(reply_channel, status=200, content=b"too late")
    response = hosted.get()
    answer(hosted, content=b"in time")
    assert response.result(DEADLINE).text == "in time"


def test_an_answer_that_stops_in_the_middle(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    hosted = start(http_timeout=0.3)
    client = hosted.raw(b"GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = answer(hosted, content=b"half", more_content=True)
    with pytest.raises(http.client.IncompleteRead):
        read_response(client)
    assert "The answer to GET /half was cut: it stopped in the middle" in errors(caplog)[0]
    assert hosted.receive("http.disconnect") == {"reply_channel": reply_channel, "path": "/half"}


def test_http_request_is_full(start: Start) -> None:
    hosted = start(InMemoryChannelLayer(channel_capacity={"http.request": 1}))
    first = hosted.get("/first")
    eventually(lambda: hosted.layer.channel_statistics("http.request")["messages_pending"])
    second = hosted.get("/second").result(DEADLINE)
    assert (second.status_code, second.text) == (503, "The server is busy; try again in a moment.")
    answer(hosted, content=b"served")
    assert first.result(DEADLINE).text == "served"
    assert hosted.receive("http.disconnect")["path"] == "/first"
    assert hosted.is_empty("http.disconnect")


def test_a_client_that_goes_away_while_it_waits(hosted: Hosted) -> None:
    client = hosted.raw(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    client.close()
    assert hosted.receive_for("http.disconnect", reply_channel)["path"] == "/gone"


def test_a_client_that_goes_away_in_the_middle_of_an_answer(hosted: Hosted) -> None:
    client = hosted.raw(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
    reply_channel = answer(hosted, content=b"first", more_content=True)
    assert client.recv(100)
    client.close()
    assert hosted.receive_for("http.disconnect", reply_channel)["path"] == "/gone"


def test_a_disconnect_that_finds_its_channel_full_is_dropped(start: Start) -> None:
    hosted = start(InMemoryChannelLayer(channel_capacity={"http.disconnect": 1}))
    for number in range(3):
        response = hosted.get(f"/{number}")
        answer(hosted, content=b"%d" % number)
        assert response.result(DEADLINE).text == f"{number}"
    eventually(lambda: hosted.layer.channel_statistics("http.disconnect")["channel_full_count"] > 0)
    assert hosted.receive("http.disconnect")["path"] == "/0"


def test_disconnects_are_sent_again_when_there_is_room(start: Start) -> None:
    hosted = start(InMemoryChannelLayer(channel_capacity={"http.disconnect": 1}))
    received = 0
    for number in range(1000):
        response = hosted.get(f"/{number}")
        answer(hosted, content=b"x")
        response.result(DEADLINE)
        if number > 2 and not hosted.is_empty("http.disconnect"):
            received += 1
            if received == 2:
                return
    pytest.fail("no http.disconnect came any more")


def test_many_small_chunks_at_once(hosted: Hosted) -> None:
    response = hosted.get()
    reply_channel = answer(hosted, more_content=True)
    layer = hosted.layer
    chunks: list[dict[str, Any]] = [{"content": b"%d," % number, "more_content": True} for number in range(5000)]
    assert (
        layer.send_batch([layer.prepare(reply_channel, chunk) for chunk in [*chunks, {"content": b"end"}]]) == []
    )
    assert response.result(DEADLINE).content == b"".join(b"%d," % number for number in range(5000)) + b"end"


def test_lines_for_the_access_log(start: Start) -> None:
    hosted = start()
    response = hosted.get("/line")
    answer(hosted, status=404, content=b"12345")
    response.result(DEADLINE)
    [(event, path, details)] = eventually(lambda: hosted.access)
    assert (event, path, details["status"], details["size"]) == ("http", "/line", 404, 5)
    assert details["seconds"] >= 0
    client = hosted.raw(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
    hosted.receive("http.request")
    client.close()
    eventually(lambda: len(hosted.access) == 2)
    assert hosted.access[1][2]["status"] == 499


def test_many_at_once(hosted: Hosted) -> None:
    responses = {f"/{number}": hosted.get(f"/{number}") for number in range(60)}
    for _ in responses:
        request = hosted.receive("http.request")
        hosted.send(request["reply_channel"], status=200, content=request["path"].encode())
    for path, response in responses.items():
        assert response.result(DEADLINE).text == path


def test_a_long_body_is_sent_on_at_the_workers_pace(start: Start) -> None:
    """Only a few parts of the body wait in the layer, even for a slow worker."""
    hosted = start()
    sent = bytes(range(256)) * 80_000  # 20 MB
    response = hosted.request("POST", "/up", content=sent)
    request = hosted.receive("http.request")
    channel = request["body_channel"]
    layer = hosted.layer
    eventually(lambda: layer.channel_statistics(channel)["channel_full_count"])
    assert layer.channel_statistics(channel)["messages_pending"] * PART <= 2**20
    bodies = hosted.server.exchanges.bodies
    assert bodies.memory < 2 * 2**20 < bodies.size
    assert receive_body(hosted, request) == sent
    hosted.send(request["reply_channel"], status=200)
    assert response.result(DEADLINE).status_code == 200
    eventually(lambda: (bodies.size, bodies.memory) == (0, 0))


def test_a_worker_hears_of_a_request_when_its_body_is_there(hosted: Hosted) -> None:
    client = hosted.raw(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 999_999)
    response = hosted.get("/quick")
    answer(hosted, content=b"first")
    assert response.result(DEADLINE).text == "first"
    client.sendall(b"x")
    assert take_body(hosted) == b"x" * 1_000_000


LIMITS = {"max_body_size": 3_000_000, "max_bodies_size": 4_000_000}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(start: Start, chunked: bool) -> None:
    hosted = start(**LIMITS)
    sent = b"x" * 3_000_001
    response = hosted.request("POST", "/up", content=iter([sent]) if chunked else sent).result(DEADLINE)
    assert (response.status_code, response.text) == (413, "The body of the request is too large.")
    assert hosted.is_empty("http.request")
    assert hosted.is_empty("http.disconnect")
    assert hosted.server.exchanges.bodies.size == 0
    response = hosted.request("POST", "/up", content=sent[1:])
    assert take_body(hosted) == sent[1:]
    assert response.result(DEADLINE).status_code == 200


def test_a_body_that_is_too_large_by_its_own_account_is_not_waited_for(start: Start) -> None:
    hosted = start(**LIMITS)
    client = hosted.raw(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000001\r\nExpect: 100-continue\r\n\r\n")
    assert read_response(client)[0].status == 413


def test_bodies_that_are_too_large_together(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    hosted = start(**LIMITS)
    responses = [hosted.request("POST", "/up", content=b"1" * 3_000_000)]
    # While nobody reads the first, most of it waits, and there is no room for the second.
    eventually(lambda: hosted.layer.channel_statistics("http.request")["messages_pending"])
    eventually(lambda: hosted.server.exchanges.bodies.size < 2_000_000)
    second = hosted.request("POST", "/up", content=b"2" * 3_000_000).result(DEADLINE)
    responses.append(hosted.request("POST", "/up", content=b"3" * 2_000_000))
    assert (second.status_code, second.text) == (503, "The server is busy; try again in a moment.")
    assert "the bodies of other requests fill max_bodies_size" in errors(caplog)[0]
    assert [len(take_body(hosted)) for _ in responses] == [3_000_000, 2_000_000]
    responses.append(hosted.request("POST", "/up", content=b"4" * 3_000_000))
    assert take_body(hosted) == b"4" * 3_000_000
    assert [response.result(DEADLINE).status_code for response in responses] == [200, 200, 200]


def test_a_body_that_comes_slowly_but_steadily(start: Start) -> None:
    """The time limit is for progress, and not for the whole body."""
    hosted = start(http_timeout=0.4)
    client = hosted.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(20):
        client.sendall(b"x" * 50)
        time.sleep(0.05)
    assert hosted.receive("http.request")["body"] == b"x" * 1000


def test_a_body_that_comes_too_slowly(start: Start) -> None:
    hosted = start(http_timeout=0.5)
    client = hosted.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    client.settimeout(0.02)
    received = b""
    for _ in range(200):
        try:
            client.sendall(b"x")
            received = client.recv(1000)
        except TimeoutError:
            continue
        break
    assert received.startswith(b"HTTP/1.1 408 ")
    assert hosted.is_empty("http.request")


def test_an_answer_to_head_ends_with_its_head(hosted: Hosted) -> None:
    """This also holds for a stream, and with another request behind it."""
    client = hosted.raw(
        b"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    stream = answer(hosted, content=b"event", more_content=True)
    assert hosted.receive_for("http.disconnect", stream)["path"] == "/stream"
    answer(hosted, content=b"next")
    received = read_until_closed(client)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert b"event" not in received
    assert received.endswith(b"next")


@pytest.mark.parametrize("size", [0, 10, 200_000])
def test_a_client_that_leaves_with_a_further_request_behind(hosted: Hosted, size: int) -> None:
    behind = b"POST /behind HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * size
    client = hosted.raw(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n" + behind)
    reply_channel = answer(hosted, content=b"event", more_content=True)
    assert client.recv(65536)
    client.close()
    assert hosted.receive_for("http.disconnect", reply_channel)["path"] == "/gone"


def test_parts_without_known_keys_give_one_warning_for_each_kind(
    hosted: Hosted, caplog: pytest.LogCaptureFixture
) -> None:
    misspelt = f"cotnent{len(hosted.access)}"  # of a kind that this server has not met
    for number in range(2):
        response = hosted.get(f"/odd/{number}")
        reply_channel = hosted.receive("http.request")["reply_channel"]
        hosted.send(reply_channel, status=200, content=b"one ", more_content=True)
        for _ in range(2):
            hosted.send(reply_channel, **{misspelt: b"part"})
        hosted.send(reply_channel, content=b"two")
        assert response.result(DEADLINE).content == b"one two"
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "A part of the answer to GET /odd/0 was ignored: it should have one of content," in record.getMessage()


def test_a_second_answer_later_is_logged(hosted: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    response = hosted.get("/twice")
    reply_channel = answer(hosted, content=b"first")
    assert response.result(DEADLINE).text == "first"
    hosted.send(reply_channel, status=500, content=b"second")
    eventually(lambda: errors(caplog) == ["A second answer to /twice was ignored."])


def test_a_late_answer_is_not_a_second_answer(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    hosted = start(http_timeout=0.2)
    response = hosted.get("/late")
    reply_channel = hosted.receive("http.request")["reply_channel"]
    assert response.result(DEADLINE).status_code == 503
    hosted.send(reply_channel, status=200, content=b"late")
    eventually(lambda: not hosted.layer.channel_statistics(reply_channel)["messages_pending"])
    assert len(errors(caplog)) == 1
    assert "No answer to GET /late" in errors(caplog)[0]
