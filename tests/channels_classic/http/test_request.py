from __future__ import annotations

import copy
import threading
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http.request import RawPostDataException
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.exceptions import RequestAborted, RequestTimeout
from channels_classic.http import request as request_module
from channels_classic.http.request import AsgiRequest
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.message import Message
from tests.http_messages import REPLY_CHANNEL, form, http_request

BODY_CHANNEL = "http.request.body?abc"


def asgi_request(path: str = "/", **content: Any) -> AsgiRequest:
    return AsgiRequest(http_request(path, **content))


# The start line and what is around it.


def test_what_a_get_request_is_made_of() -> None:
    request = asgi_request("/some/path/", query_string=b"a=1&b=2&b=3", scheme="https")

    assert isinstance(request, HttpRequest)
    assert request.method == "GET"
    assert request.path == "/some/path/"
    assert request.path_info == "/some/path/"
    assert request.GET["a"] == "1"
    assert request.GET.getlist("b") == ["2", "3"]
    assert request.POST == {}
    assert request.FILES == {}
    assert request.COOKIES == {}
    assert request.body == b""
    assert request.content_type == ""
    assert request.content_params == {}
    assert request.scheme == "https"
    assert request.is_secure()
    assert request.get_host() == "example.com"
    assert request.build_absolute_uri() == "https://example.com/some/path/?a=1&b=2&b=3"
    assert str(request.reply_channel) == REPLY_CHANNEL
    assert request.resolver_match is None
    assert repr(request) == "<AsgiRequest: GET '/some/path/?a=1&b=2&b=3'>"


def test_meta_has_what_wsgi_puts_there() -> None:
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": "0",
        "X-Custom-Thing": "caf\xe9",
    }
    assert asgi_request("/p", query_string=b"q=1", method="POST", headers=headers).META == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/p",
        "QUERY_STRING": "q=1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "10.0.0.2",
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_HOST": "10.0.0.1",
        "REMOTE_PORT": 50123,
        "HTTP_HOST": "example.com",
        "CONTENT_TYPE": "text/plain; charset=utf-8",
        "CONTENT_LENGTH": "0",
        "HTTP_X_CUSTOM_THING": "caf\xe9",
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
    }


def test_what_may_be_left_out_has_a_default() -> None:
    optional = ("http_version", "query_string", "headers", "client", "server")
    request = asgi_request(without=optional)

    assert request.META["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert request.META["SERVER_NAME"] == "unknown"
    assert request.META["SERVER_PORT"] == "0"
    assert "REMOTE_ADDR" not in request.META
    assert request.scheme == "http"
    assert request.GET == {}
    assert request.headers == {}


def test_a_message_without_a_reply_channel_makes_a_request_too() -> None:
    assert asgi_request(without=("reply_channel",)).reply_channel is None


@pytest.mark.parametrize(
    ("path", "root_path", "forced", "expected"),
    [
        ("/a/b", "", None, ("", "/a/b", "/a/b")),
        ("", "", None, ("", "/", "/")),
        ("*", "", None, ("", "/*", "/*")),
        ("/app/x", "/app", None, ("/app", "/x", "/app/x")),
        ("/app/x", "/app/", None, ("/app/", "/x", "/app/x")),
        ("/app", "/app", None, ("/app", "/", "/app/")),
        # The server says where the application is, but leaves that part out of the path.
        ("/x", "/app", None, ("/app", "/x", "/app/x")),
        ("/application/x", "/app", None, ("/app", "/application/x", "/app/application/x")),
        ("/app/x", "", "/app", ("/app", "/x", "/app/x")),
        ("/x", "", "/app", ("/app", "/x", "/app/x")),
        ("/inside/x", "/inside", "/app", ("/app", "/x", "/app/x")),
        ("/x", "", "", ("", "/x", "/x")),
        ("/app//x", "/app", None, ("/app", "//x", "/app//x")),
    ],
)
def test_the_path_below_a_script_name(
    settings: Any, path: str, root_path: str, forced: str | None, expected: tuple[str, str, str]
) -> None:
    settings.FORCE_SCRIPT_NAME = forced
    request = asgi_request(path, root_path=root_path)

    assert (request.script_name, request.path_info, request.path) == expected
    assert request.META["SCRIPT_NAME"] == expected[0]
    assert request.META["PATH_INFO"] == expected[1]


def test_the_path_and_the_query_string_may_hold_any_characters() -> None:
    request = asgi_request("/grüße/日本/", query_string="q=%C3%BC&raw=\xfc".encode("latin-1"))

    assert request.path == "/grüße/日本/"
    assert request.GET["q"] == "ü"
    assert request.get_full_path().startswith("/gr%C3%BC%C3%9Fe/%E6%97%A5%E6%9C%AC/?q=%C3%BC")


def test_a_proxy_may_say_that_the_request_was_secure(settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    assert asgi_request(headers={"X-Forwarded-Proto": "https"}).is_secure()
    assert not asgi_request().is_secure()


def test_a_request_can_be_copied() -> None:
    request = copy.copy(asgi_request("/p", query_string=b"a=1"))

    assert request.GET["a"] == "1"
    assert request.read() == b""


# Headers.


def test_a_header_that_comes_twice_is_joined() -> None:
    request = asgi_request(headers=[(b"accept", b"text/html"), (b"x-a", b"1"), (b"accept", b"text/plain")])

    assert request.META["HTTP_ACCEPT"] == "text/html,text/plain"
    assert request.headers["Accept"] == "text/html,text/plain"


def test_cookies_that_come_in_several_headers_are_all_there() -> None:
    cookies = [b"a=1; b=2", b"c=gr\xc3\xbcn", b"d=\xff"]
    request = asgi_request(headers=[(b"cookie", cookie) for cookie in cookies])

    assert request.COOKIES == {"a": "1", "b": "2", "c": "grün", "d": "\N{REPLACEMENT CHARACTER}"}


def test_a_header_with_an_underscore_cannot_forge_another() -> None:
    request = asgi_request(headers=[(b"x_user", b"root"), (b"content_length", b"7"), (b"x-fine", b"yes")])

    assert "HTTP_X_USER" not in request.META
    assert "CONTENT_LENGTH" not in request.META
    assert "" not in request.META
    assert request.META["HTTP_X_FINE"] == "yes"


def test_header_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    for round_ in range(20):
        headers = [(f"x-{round_}-{number}".encode(), b"1") for number in range(100)]
        assert asgi_request(headers=headers).META[f"HTTP_X_{round_}_99"] == "1"

    assert len(request_module.meta_keys) <= request_module.HEADER_NAMES_KEPT


def test_long_header_names_do_not_fill_it_either() -> None:
    before = dict(request_module.meta_keys)
    for number in range(50):
        name = f"x-{number}-{'a' * 250_000}".encode()
        assert asgi_request(headers=[(name, b"1")]).META[f"HTTP_X_{number}_{'A' * 250_000}"] == "1"
    added = set(request_module.meta_keys) - set(before)
    assert sum(map(len, added)) < 10_000


def test_the_memory_of_header_names_is_bounded_in_bytes() -> None:
    limit = request_module.HEADER_NAMES_KEPT * request_module.LONGEST_NAME_KEPT
    for number in range(3000):
        asgi_request(headers=[(f"x-{number}-".encode().ljust(number % 300, b"a"), b"1")])
    assert sum(map(len, request_module.meta_keys)) <= limit


@pytest.mark.parametrize(("name", "separator"), [("x-many", ","), ("cookie", "; ")])
def test_equal_headers_are_joined_in_linear_time(name: str, separator: str) -> None:
    """Counted, not timed: what is copied must not grow with the square of their number."""
    copied = 0

    class Counted(str):
        def __add__(self, other: str) -> Counted:
            nonlocal copied
            copied += len(self) + len(other)
            return Counted(str.__add__(self, other))

    class Value(bytes):
        def decode(self, *args: Any) -> str:
            return Counted(super().decode(*args))

    values = [Value(b"v" * 50) for _ in range(2000)]
    meta: dict[str, Any] = {}
    request_module.add_headers(meta, [(name.encode(), value) for value in values])
    (joined,) = meta.values()
    assert joined == separator.join(["v" * 50] * 2000)
    assert copied < 3 * len(joined)


def test_the_encoding_comes_from_the_content_type() -> None:
    request = asgi_request(query_string=b"a=%FC", headers={"Content-Type": 'text/plain; charset="latin-1"'})

    assert request.content_type == "text/plain"
    assert request.content_params == {"charset": "latin-1"}
    assert request.encoding == "latin-1"
    assert request.GET["a"] == "ü"
    request.encoding = "utf-8"
    assert request.GET["a"] == "\N{REPLACEMENT CHARACTER}"


# A message that is none.


@pytest.mark.parametrize(
    "content",
    [
        {"without": ("method",)},
        {"without": ("path",)},
        {"method": 1},
        {"path": 1},
        {"path": b"/bytes"},
        {"path": None},
        {"path": "/\udcff"},
        {"query_string": 5},
        {"headers": [(b"name",)]},
        {"headers": [("name", "value")]},
        {"headers": [(b"content-length", b"many")]},
        {"headers": [(b"content-length", b"-1")]},
        {"headers": [(b"content-length", b"5"), (b"content-length", b"6")]},
        {"headers": [(b"content-length", "²".encode("latin-1"))]},
        {"headers": [(b"content-type", b"text/plain; charset*=no-such-thing''utf-8")]},
        {"client": ["10.0.0.1"]},
        {"server": ["10.0.0.1"]},
        {"body": 7},
    ],
    ids=repr,
)
def test_a_malformed_message_is_a_bad_request(content: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"not an http\.request message|Content-Type"):
        asgi_request(**content)


def test_the_error_says_what_is_wrong() -> None:
    with pytest.raises(BadRequest, match="KeyError: 'method'"):
        asgi_request(without=("method",))
    with pytest.raises(BadRequest, match="Content-Length has to be a number, not '1,1'"):
        asgi_request(headers=[(b"content-length", b"1"), (b"content-length", b"1")])


def test_a_limit_of_the_settings_keeps_its_own_exception(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    with pytest.raises(TooManyFieldsSent):
        asgi_request(query_string=b"a=1&b=2").GET  # noqa: B018
    # Here Django parses the query string while the request is made.
    with pytest.raises(TooManyFieldsSent):
        asgi_request(query_string=b"a=1&b=2", headers={"Content-Type": "text/plain; charset=utf-8"})


# The body that comes along.


def test_the_body_reads_like_a_file() -> None:
    content = form(b"onetwothree\nfour\nfive", "text/plain")

    request = asgi_request(**content)
    assert request.read(3) == b"one"
    assert request.readline() == b"twothree\n"
    assert list(request) == [b"four\n", b"five"]
    assert request.read() == b""
    with pytest.raises(RawPostDataException):
        request.body  # noqa: B018

    request = asgi_request(**content)
    assert request.body == content["body"]
    assert request.body == content["body"]
    assert request.readlines() == [b"onetwothree\n", b"four\n", b"five"]


def test_a_form() -> None:
    request = asgi_request(**form(b"a=1&b=gr%C3%BCn&b="))

    assert request.POST.getlist("b") == ["grün", ""]
    assert request.POST["a"] == "1"
    assert request.FILES == {}
    assert request.body == b"a=1&b=gr%C3%BCn&b="


def test_a_form_that_is_not_posted_is_left_to_the_view() -> None:
    request = asgi_request(**{**form(b"a=1"), "method": "PUT"})

    assert request.POST == {}
    assert request.body == b"a=1"


def test_a_form_with_files(settings: Any, tmp_path: Any) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    fields = {
        "title": "Zeit",
        "small": SimpleUploadedFile("small.txt", b"few bytes", "text/plain"),
        "large": SimpleUploadedFile("large.bin", b"many bytes" * 1000),
    }
    request = asgi_request(**form(encode_multipart(BOUNDARY, fields), MULTIPART_CONTENT))

    assert request.POST["title"] == "Zeit"
    small, large = request.FILES["small"], request.FILES["large"]
    assert (small.name, small.content_type, small.read()) == ("small.txt", "text/plain", b"few bytes")
    assert large.read() == b"many bytes" * 1000
    assert large.temporary_file_path().startswith(str(tmp_path))
    request.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("over_channel", [False, True])
def test_more_than_the_settings_allow_is_refused_when_it_is_read(settings: Any, over_channel: bool) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    layer = InMemoryChannelLayer()
    content = form(b"a=" + 20 * b"x")
    if over_channel:
        layer.send(BODY_CHANNEL, {"content": content["body"]})
        content.update(body=b"", body_channel=BODY_CHANNEL)
    request = asgi_request(layer=layer, **content)

    with pytest.raises(RequestDataTooBig):
        request.POST  # noqa: B018
    request.close()


def test_a_body_of_unknown_length_is_a_form_too() -> None:
    body = encode_multipart(BOUNDARY, {"title": "Zeit"})
    request = asgi_request(method="POST", headers={"content-type": MULTIPART_CONTENT}, body=body)

    assert request.POST["title"] == "Zeit"


# The body that comes over a body channel.


def body_parts(layer: InMemoryChannelLayer, *parts: bytes) -> None:
    for number, part in enumerate(parts):
        layer.send(BODY_CHANNEL, {"content": part, "more_content": number < len(parts) - 1})


def test_a_body_in_several_messages() -> None:
    layer = InMemoryChannelLayer()
    body_parts(layer, b"=fou", b"r+li", b"", b"ghts")
    content = {**form(b"there_are=four+lights"), "body": b"there_are"}
    request = asgi_request(layer=layer, body_channel=BODY_CHANNEL, **content)

    assert request.POST["there_are"] == "four lights"
    assert layer.channel_statistics(BODY_CHANNEL)["messages_pending"] == 0
    request.close()


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_a_large_body_lies_on_disk(settings: Any, size: int) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 50_000
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    layer = InMemoryChannelLayer(channel_capacity={"http.request.body?*": 1000})
    body_parts(layer, *[b"x" * 1000] * (size // 1000))
    request = asgi_request(layer=layer, method="PUT", body_channel=BODY_CHANNEL)

    assert request._stream._rolled is (size > 50_000)  # type: ignore[attr-defined]
    assert request.META["CONTENT_LENGTH"] == str(size)
    assert request.body == b"x" * size
    request.close()


def test_files_that_come_in_chunks_of_unknown_length() -> None:
    layer = InMemoryChannelLayer(channel_capacity={"http.request.body?*": 1000})
    body = encode_multipart(BOUNDARY, {"file": SimpleUploadedFile("f.bin", b"0123456789" * 1000)})
    body_parts(layer, *(body[start : start + 900] for start in range(0, len(body), 900)))
    headers = {"content-type": MULTIPART_CONTENT, "transfer-encoding": "chunked"}
    request = asgi_request(layer=layer, method="POST", headers=headers, body_channel=BODY_CHANNEL)

    assert request.FILES["file"].read() == b"0123456789" * 1000
    request.close()


def test_a_body_is_waited_for() -> None:
    layer = InMemoryChannelLayer()
    message = http_request(layer=layer, method="PUT", body=b"first ", body_channel=BODY_CHANNEL)
    requests = []
    thread = threading.Thread(target=lambda: requests.append(AsgiRequest(message)))
    thread.start()
    body_parts(layer, b"second ", b"third")
    thread.join(30)

    (request,) = requests
    assert request.body == b"first second third"
    assert request.META["CONTENT_LENGTH"] == "18"
    request.close()


def test_closing_a_request_closes_its_body() -> None:
    layer = InMemoryChannelLayer()
    body_parts(layer, b"body")
    request = asgi_request(layer=layer, method="PUT", body_channel=BODY_CHANNEL)
    request.close()

    with pytest.raises(ValueError, match="closed"):
        request.read()


class ImpatientRequest(AsgiRequest):
    body_receive_timeout = 0


@pytest.mark.parametrize("parts", [[], [b"some"]])
def test_a_body_that_is_too_slow(parts: list[bytes]) -> None:
    layer = InMemoryChannelLayer()
    for part in parts:
        layer.send(BODY_CHANNEL, {"content": part, "more_content": True})

    with pytest.raises(RequestTimeout, match="no progress within 0 seconds"):
        ImpatientRequest(http_request(layer=layer, method="PUT", body_channel=BODY_CHANNEL))


def test_a_client_that_sends_drop_by_drop_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "SLOWEST_BODY", 100_000)
    layer = InMemoryChannelLayer(capacity=1)
    stopped = threading.Event()

    def drip() -> None:
        while not stopped.wait(0.001):
            try:
                layer.send(BODY_CHANNEL, {"content": b".", "more_content": True})
            except layer.ChannelFull:
                pass

    class FairlyPatientRequest(AsgiRequest):
        body_receive_timeout = 0.1

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(RequestTimeout):
            FairlyPatientRequest(http_request(layer=layer, method="PUT", body_channel=BODY_CHANNEL))
    finally:
        stopped.set()
        thread.join()


class FakeTime:
    """A clock that goes on as parts come."""

    def __init__(self, parts: list[tuple[float, bytes]]) -> None:
        self.now = 0.0
        self.parts = iter(parts)
        self.next: tuple[float, bytes] | None = None

    def monotonic(self) -> float:
        return self.now

    def receive(self, channels: Any, block: bool = False) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        if not block:
            return None, None
        self.next = self.next or next(self.parts)
        pause, content = self.next
        waited = min(pause, 5.0)  # a layer waits a few seconds in one call
        self.now += waited
        self.next = (pause - waited, content)
        if pause > waited:
            return None, None
        self.next = None
        return "body?a", {"content": content, "more_content": content != b"end"}


@pytest.mark.parametrize(
    ("parts", "arrives"),
    [
        ([(50.0, b"x" * 100_000)] * 20 + [(1.0, b"end")], True),  # steady progress for a quarter of an hour
        ([(50.0, b"x" * 100_000)] * 20 + [(61.0, b"x"), (1.0, b"end")], False),  # then none
        ([(1.0, b"x")] * 1000 + [(1.0, b"end")], False),  # drop by drop
        ([(30.0, b"")] * 3 + [(1.0, b"end")], False),  # parts without content are not progress
        ([(59.0, b"end")], True),
    ],
)
def test_a_body_has_to_make_progress(
    monkeypatch: pytest.MonkeyPatch, parts: list[tuple[float, bytes]], arrives: bool
) -> None:
    clock = FakeTime(parts)
    monkeypatch.setattr(request_module, "time", clock)
    body = request_module.receive_body(clock, "body?a", 60)  # type: ignore[arg-type]
    if arrives:
        assert b"".join(body) == b"".join(content for _, content in parts)
    else:
        with pytest.raises(RequestTimeout, match="no progress within 60 seconds"):
            list(body)
        assert clock.now < sum(pause for pause, _ in parts)


def test_a_body_of_which_parts_are_lost_is_not_taken_for_whole() -> None:
    layer = InMemoryChannelLayer()
    body_parts(layer, b"the rest")
    headers = {"content-length": "20"}

    with pytest.raises(RequestTimeout, match="Of a body of 20 bytes"):
        asgi_request(layer=layer, method="PUT", headers=headers, body_channel=BODY_CHANNEL)


def test_a_body_that_is_longer_than_the_client_said() -> None:
    layer = InMemoryChannelLayer()
    body_parts(layer, b"twice ", b"twice ")
    headers = {"content-length": "6"}

    with pytest.raises(BadRequest, match="A body of 6 bytes was announced, but 12 came"):
        asgi_request(layer=layer, method="PUT", headers=headers, body_channel=BODY_CHANNEL)


def test_a_client_that_goes_away() -> None:
    layer = InMemoryChannelLayer()
    layer.send(BODY_CHANNEL, {"content": b"some", "more_content": True})
    layer.send(BODY_CHANNEL, {"closed": True})

    with pytest.raises(RequestAborted):
        asgi_request(layer=layer, method="PUT", body_channel=BODY_CHANNEL)


# Django's own WSGI request as the measure.

PATHS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda text: f"/{text}")
HEADER_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(["accept", "x-a", "x-b-c", "cookie", "referer", "user-agent"]), HEADER_VALUES
)
CONTENT_TYPES = st.sampled_from(
    ["", "text/plain", "application/x-www-form-urlencoded", "text/plain; charset=latin-1", MULTIPART_CONTENT]
)


def wsgi_request(message: Message) -> WSGIRequest:
    """The same request as a WSGI server would hand it to Django (PEP 3333)."""
    body = message["body"]
    environ = {
        "REQUEST_METHOD": message["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": message["path"].encode().decode("latin-1"),
        "QUERY_STRING": message["query_string"].decode("latin-1"),
        "SERVER_NAME": message["server"][0],
        "SERVER_PORT": str(message["server"][1]),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
    }
    for name, value in message["headers"]:
        key = name.decode().upper().replace("-", "_")
        environ[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = value.decode("latin-1")
    return WSGIRequest(environ)


def outcome(request: HttpRequest, name: str) -> Any:
    try:
        value = getattr(request, name)
        return value() if callable(value) else value
    except Exception as error:
        return type(error)


@given(
    path=PATHS,
    query_string=st.binary(max_size=30),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD"]),
    headers=HEADERS,
    content_type=CONTENT_TYPES,
    body=st.binary(max_size=50) | st.sampled_from([b"a=1&b=%20", encode_multipart(BOUNDARY, {"a": "ü"})]),
)
def test_a_request_is_as_under_wsgi(
    path: str, query_string: bytes, method: str, headers: dict[str, str], content_type: str, body: bytes
) -> None:
    headers = {**headers, "content-length": str(len(body))}
    if content_type:
        headers["content-type"] = content_type
    message = http_request(path, query_string=query_string, method=method, headers=headers, body=body)
    ours, theirs = AsgiRequest(message), wsgi_request(message)

    names = ["path", "path_info", "method", "GET", "COOKIES", "POST", "FILES", "body", "content_type"]
    names += ["content_params", "encoding", "get_full_path", "build_absolute_uri", "get_host", "get_port"]
    for name in names:
        assert outcome(ours, name) == outcome(theirs, name), name
    assert dict(ours.headers) == dict(theirs.headers)
    for key, value in theirs.META.items():
        assert key == "wsgi.input" or ours.META[key] == value
