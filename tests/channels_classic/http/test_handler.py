from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from contextvars import copy_context
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception, request_finished, request_started
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token
from django.urls import get_script_prefix, path, reverse, set_script_prefix

from channels_classic.exceptions import RequestAborted
from channels_classic.handler import AsgiHandler, AsgiRequest, ViewConsumer
from channels_classic.http.handler import begin_at_root
from channels_classic.layers import ChannelFull, Delivery, InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.pending import PendingSends
from tests.http_messages import REPLY_CHANNEL, form, http_request, replies

# The database is for the signals of a request: Django looks then whether its connections are any good.
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


# The views.


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"hello {request.GET.get('name', '')}")


async def hello_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse("hello from a coroutine")


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body, content_type=request.content_type or "text/plain")


def cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(headers={"X-Custom": "café"})
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "日本")
    return response


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404("not in this house")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def broken(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("the view is broken")


def links(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"reverse": reverse("hello"), "prefix": get_script_prefix()})


def large(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * (AsgiHandler.chunk_size * 2 + 1))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        try:
            for number in range(3):
                log.append(f"made {number}")
                yield f"part {number}"
        finally:
            log.append("closed")

    return StreamingHttpResponse(parts())


def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        try:
            for number in range(3):
                await asyncio.sleep(0)
                log.append(f"made {number}")
                yield f"part {number}"
        finally:
            log.append("closed")

    return StreamingHttpResponse(parts())


def stream_broken(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        yield "the beginning"
        raise ZeroDivisionError("the stream is broken")

    return StreamingHttpResponse(parts())


def later(request: AsgiRequest) -> HttpResponse:
    raise AsgiRequest.ResponseLater


async def later_async(request: AsgiRequest) -> HttpResponse:
    raise request.ResponseLater


def later_with_session(request: Any) -> HttpResponse:
    request.session["waiting"] = str(request.reply_channel)
    raise request.ResponseLater


def count_visits(request: Any) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


def csrf_form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_token(request))


def handler500(request: HttpRequest) -> HttpResponse:
    if "fail" in request.GET:
        raise RuntimeError("the error page is broken")
    return HttpResponse("my error page", status=500)


urlpatterns = [
    path("hello/", hello, name="hello"),
    path("hello-async/", hello_async),
    path("echo/", echo),
    path("cookies/", cookies),
    path("missing/", missing),
    path("forbidden/", forbidden),
    path("broken/", broken),
    path("links/", links),
    path("large/", large),
    path("stream/", stream),
    path("stream-async/", stream_async),
    path("stream-broken/", stream_broken),
    path("later/", later),
    path("later-async/", later_async),
    path("later-with-session/", later_with_session),
    path("visits/", count_visits),
    path("form/", csrf_form),
]


def answer(path_: str, **content: Any) -> list[dict[str, Any]]:
    """All messages of the answer of a new handler."""
    return list(AsgiHandler()(http_request(path_, **content)))


def headers_of(reply: dict[str, Any]) -> dict[bytes, bytes]:
    return dict(reply["headers"])


# Answers.


def test_a_view_answers_in_one_message() -> None:
    assert answer("/hello/", query_string=b"name=world") == [
        {
            "status": 200,
            "headers": [[b"content-type", b"text/html; charset=utf-8"]],
            "content": b"hello world",
            "more_content": False,
        }
    ]


def test_an_asynchronous_view_answers_too() -> None:
    (reply,) = answer("/hello-async/")
    assert reply["content"] == b"hello from a coroutine"


def test_a_view_gets_the_body() -> None:
    (reply,) = answer("/echo/", **form(b"what a body", "text/x-test"))
    assert reply["content"] == b"what a body"
    assert headers_of(reply)[b"content-type"] == b"text/x-test"


def test_each_cookie_has_a_header_of_its_own() -> None:
    (reply,) = answer("/cookies/")

    assert headers_of(reply)[b"x-custom"] == "café".encode("latin-1")
    assert [value for name, value in reply["headers"] if name == b"set-cookie"] == [
        b"a=1; HttpOnly; Path=/",
        'b="日本"; Path=/'.encode(),
    ]


@pytest.mark.parametrize("at_root", [False, True], ids=["each prefix is set", "none at the root"])
@pytest.mark.parametrize("before", ["", "/before"])
def test_links_are_below_the_script_name(at_root: bool, before: str) -> None:
    def links_at(*root_paths: str) -> list[dict[str, str]]:
        replies = [reply for root in root_paths for reply in answer(f"{root}/links/", root_path=root)]
        return [json.loads(reply["content"]) for reply in replies]

    def in_a_thread() -> None:
        set_script_prefix(before)
        if at_root:
            begin_at_root()
        root, app = {"reverse": "/hello/", "prefix": "/"}, {"reverse": "/app/hello/", "prefix": "/app/"}
        # Each message has a context of its own, and a consumer may answer several requests.
        for _ in range(2):
            found = copy_context().run(links_at, "", "/app", "", "/app", "/app")
            assert found == [root, app, root, app, app]
        assert copy_context().run(links_at, "/app") == [app]
        assert links_at("") == [root]

    copy_context().run(in_a_thread)


def test_a_request_at_the_root_sets_no_prefix_if_there_is_none() -> None:
    def prefixes() -> list[str]:
        begin_at_root()
        set_script_prefix("/of/somebody/else")  # this is only to see that nobody sets another one
        answer("/links/")
        return [get_script_prefix()]

    assert copy_context().run(prefixes) == ["/of/somebody/else/"]


@pytest.mark.parametrize(
    ("path_", "status", "text"),
    [
        ("/missing/", 404, b"<h1>Not Found</h1>"),
        ("/no-such-url/", 404, b"<h1>Not Found</h1>"),
        ("/forbidden/", 403, b"<h1>403 Forbidden</h1>"),
        ("/broken/", 500, b"my error page"),
    ],
)
def test_error_pages(path_: str, status: int, text: bytes) -> None:
    (reply,) = answer(path_)
    assert reply["status"] == status
    assert text in reply["content"]


def test_an_error_in_a_view_is_signalled() -> None:
    requests = []

    def note(request: AsgiRequest, **kwargs: Any) -> None:
        requests.append(request.path)

    got_request_exception.connect(note)
    try:
        answer("/broken/")
    finally:
        got_request_exception.disconnect(note)
    assert requests == ["/broken/"]


def test_debug_pages(settings: Any) -> None:
    settings.DEBUG = True

    (reply,) = answer("/broken/")
    assert reply["status"] == 500
    assert b"ZeroDivisionError" in reply["content"]
    assert b"10.0.0.1" in reply["content"]  # META is on the page
    (reply,) = answer("/no-such-url/")
    assert reply["status"] == 404
    assert b"tried these URL patterns" in reply["content"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"without": ("method",)}, b"KeyError: 'method'"),
        ({"headers": [(b"content-length", b"many")]}, b"Content-Length"),
        ({"headers": {"content-type": "a/b; charset=utf-8"}, "query_string": b"a=1&b=2"}, b"FIELDS"),
    ],
)
def test_a_malformed_request_is_answered_with_400(
    settings: Any, caplog: pytest.LogCaptureFixture, content: dict[str, Any], reason: bytes
) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1

    (reply,) = answer("/hello/", **content)
    assert (reply["status"], reply["content"]) == (400, b"Bad Request (400)")
    assert reason.decode() in caplog.text
    settings.DEBUG = True
    (reply,) = answer("/hello/", **content)
    assert reason in reply["content"]


def test_a_body_that_is_too_slow_is_answered_with_408(caplog: pytest.LogCaptureFixture) -> None:
    class ImpatientRequest(AsgiRequest):
        body_receive_timeout = 0

    class ImpatientHandler(AsgiHandler):
        request_class = ImpatientRequest

    message = http_request("/echo/", method="PUT", body_channel="http.request.body?a")
    (reply,) = ImpatientHandler()(message)

    assert (reply["status"], reply["content"]) == (408, b"Request Timeout (408)")
    assert "/echo/" in caplog.text


def test_a_client_that_went_away_gets_nothing() -> None:
    layer = InMemoryChannelLayer()
    layer.send("http.request.body?a", {"closed": True})
    assert answer("/echo/", layer=layer, method="PUT", body_channel="http.request.body?a") == []


def test_the_error_page_may_fail_as_well() -> None:
    with pytest.raises(RuntimeError, match="the error page is broken"):
        answer("/broken/", query_string=b"fail")


def test_an_answer_is_as_under_wsgi(settings: Any) -> None:
    settings.MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
    ours, theirs = AsgiHandler(), WSGIHandler()
    for path_ in ("/hello/", "/hello", "/missing/", "/forbidden/", "/broken/", "/cookies/", "/stream/"):
        for method in ("GET", "HEAD", "POST"):
            status, headers, content = wsgi_answer(theirs, path_, method)
            messages = list(ours(http_request(path_, method=method)))
            if path_ != "/cookies/":  # one of them is what WSGI cannot carry
                assert f"{messages[0]['status']}" == status[:3]
                assert [[name.lower(), value] for name, value in headers] == [
                    [name.decode(), value.decode("latin-1")] for name, value in messages[0]["headers"]
                ]
                if (path_, method) == ("/stream/", "HEAD"):
                    content = b""  # a WSGI server makes it and throws it away
                assert b"".join(message["content"] for message in messages) == content


def wsgi_answer(handler: WSGIHandler, path_: str, method: str) -> tuple[str, list[tuple[str, str]], bytes]:
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path_,
        "HTTP_HOST": "example.com",
        "SERVER_NAME": "10.0.0.2",
        "SERVER_PORT": "8080",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    }
    started: list[Any] = []
    response = handler(environ, lambda *args: started.extend(args))
    content = b"".join(response)
    response.close()
    return started[0], started[1], content


# Large and streaming answers.


def test_a_large_answer_comes_in_chunks() -> None:
    replies_ = answer("/large/")

    size = 512 * 1024
    assert [len(reply["content"]) for reply in replies_] == [size, size, 1]
    assert [reply["more_content"] for reply in replies_] == [True, True, False]
    assert ["status" in reply for reply in replies_] == [True, False, False]


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 20, 21])
def test_chunks_are_as_large_as_allowed(length: int) -> None:
    class SmallHandler(AsgiHandler):
        chunk_size = 10

    content = bytes(range(length))
    messages = list(SmallHandler.encode_response(HttpResponse(content)))

    assert b"".join(message["content"] for message in messages) == content
    assert len(messages) == max(1, -(-length // 10))
    assert [message["more_content"] for message in messages] == [True] * (len(messages) - 1) + [False]
    streamed = list(SmallHandler.encode_response(StreamingHttpResponse([content])))
    assert [message["content"] for message in streamed[:-1]] == [message["content"] for message in messages]
    assert streamed[-1] == {"content": b"", "more_content": False}


def test_encode_response_needs_no_handler() -> None:
    response = HttpResponse("hello", status=201, content_type="text/plain")

    assert list(AsgiHandler.encode_response(response)) == [
        {
            "status": 201,
            "headers": [[b"content-type", b"text/plain"]],
            "content": b"hello",
            "more_content": False,
        }
    ]
    assert not response.closed


@pytest.mark.parametrize("path_", ["/stream/", "/stream-async/"])
def test_a_stream_is_made_as_it_is_read(path_: str) -> None:
    contents = []
    for message in AsgiHandler()(http_request(path_)):
        log.append("taken")
        contents.append((message["content"], message["more_content"]))

    assert contents == [(b"part 0", True), (b"part 1", True), (b"part 2", True), (b"", False)]
    assert log == ["made 0", "taken", "made 1", "taken", "made 2", "taken", "closed", "taken"]


@pytest.mark.parametrize("path_", ["/stream/", "/stream-async/"])
def test_a_stream_that_nobody_reads_to_its_end_is_closed(path_: str) -> None:
    finished = []

    def note(**kwargs: Any) -> None:
        finished.append(True)

    request_finished.connect(note)
    try:
        messages = AsgiHandler()(http_request(path_))
        next(messages)
        messages.close()
    finally:
        request_finished.disconnect(note)
    assert log == ["made 0", "closed"]
    assert finished == [True]


def test_a_file_is_read_in_large_pieces_and_closed() -> None:
    file = BytesIO(b"x" * 700_000)
    file.name = "file.bin"

    class FileHandler(AsgiHandler):
        def get_response(self, request: HttpRequest) -> Any:
            return FileResponse(file)

    messages = list(FileHandler()(http_request("/")))

    assert [len(message["content"]) for message in messages] == [512 * 1024, 700_000 - 512 * 1024, 0]
    assert headers_of(messages[0])[b"content-length"] == b"700000"
    assert file.closed


# Signals and middleware.


def test_the_signals_of_a_request() -> None:
    def started(sender: Any, environ: dict[str, Any], message: Message, **kwargs: Any) -> None:
        log.append(f"{sender.__name__} started {environ['PATH_INFO']} {message['path']}")

    def finished(sender: Any, **kwargs: Any) -> None:
        log.append(f"{sender.__name__} finished")

    request_started.connect(started)
    request_finished.connect(finished)
    try:
        for _ in AsgiHandler()(http_request("/hello/")):
            log.append("answered")
    finally:
        request_started.disconnect(started)
        request_finished.disconnect(finished)
    assert log == ["AsgiHandler started /hello/ /hello/", "answered", "AsgiHandler finished"]


def noting_middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def middleware(request: Any) -> Any:
        log.append("in")
        response = get_response(request)
        log.append(f"out {response.status_code}")
        return response

    return middleware


class AsyncMiddleware:
    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        # The mark by which Django and asgiref know a coroutine function.
        from asgiref.sync import markcoroutinefunction

        markcoroutinefunction(self)

    async def __call__(self, request: Any) -> Any:
        log.append("async in")
        response = await self.get_response(request)
        log.append(f"async out {response.status_code}")
        return response


class ExceptionMiddleware:
    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)

    def process_exception(self, request: Any, exception: Exception) -> HttpResponse:
        log.append(f"exception {type(exception).__name__}")
        return HttpResponse("all is well")


ALL_MIDDLEWARE = [f"{__name__}.{name}" for name in ("noting_middleware", "AsyncMiddleware", "ExceptionMiddleware")]


def test_middleware_of_all_kinds(settings: Any) -> None:
    settings.MIDDLEWARE = ALL_MIDDLEWARE

    (reply,) = answer("/hello/")
    assert reply["content"] == b"hello "
    assert log == ["in", "async in", "async out 200", "out 200"]


def test_middleware_may_turn_an_exception_into_a_response(settings: Any) -> None:
    settings.MIDDLEWARE = ALL_MIDDLEWARE

    (reply,) = answer("/broken/")
    assert reply["content"] == b"all is well"
    assert "exception ZeroDivisionError" in log


# Someone else answers.


@pytest.mark.parametrize("middleware", [[], ALL_MIDDLEWARE])
@pytest.mark.parametrize("path_", ["/later/", "/later-async/"])
def test_a_view_may_leave_the_answer_to_someone_else(
    settings: Any, caplog: pytest.LogCaptureFixture, path_: str, middleware: list[str]
) -> None:
    settings.MIDDLEWARE = middleware
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True

    def note(**kwargs: Any) -> None:
        log.append("got_request_exception")

    def finished(**kwargs: Any) -> None:
        log.append("finished")

    got_request_exception.connect(note)
    request_finished.connect(finished)
    try:
        assert answer(path_) == []
    finally:
        got_request_exception.disconnect(note)
        request_finished.disconnect(finished)
    # Middleware gets out of the request what it went into, but no exception.
    assert log == (["in", "async in", "async out 202", "out 202"] if middleware else []) + ["finished"]
    assert caplog.records == []


def test_nothing_that_middleware_makes_of_the_missing_answer_is_sent(settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": __name__}
    }
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    handler = AsgiHandler()
    for _ in range(2):
        message = http_request("/later/", headers={"if-none-match": "*", "accept-encoding": "gzip"})
        assert list(handler(message)) == []


def test_a_view_that_leaves_the_answer_to_someone_else_keeps_its_session(settings: Any) -> None:
    from django.contrib.sessions.models import Session

    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]

    assert answer("/later-with-session/") == []
    assert Session.objects.get().get_decoded() == {"waiting": REPLY_CHANNEL}


# Cookies that come back.


def test_a_session_lasts_from_request_to_request(settings: Any) -> None:
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    handler = AsgiHandler()
    cookie = ""
    for visit in (b"1", b"2", b"3"):
        (reply,) = handler(http_request("/visits/", headers={"cookie": cookie}))
        assert reply["content"] == visit
        cookie = sent_cookie(reply, settings.SESSION_COOKIE_NAME)


def test_csrf_protection(settings: Any) -> None:
    settings.MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
    handler = AsgiHandler()
    (page,) = handler(http_request("/form/"))
    token = page["content"]
    cookie = sent_cookie(page, settings.CSRF_COOKIE_NAME)

    content = form(b"csrfmiddlewaretoken=" + token)
    (reply,) = handler(http_request("/form/", **content))
    assert reply["status"] == 403
    content["headers"]["cookie"] = cookie
    (reply,) = handler(http_request("/form/", **content))
    assert reply["status"] == 200
    content["headers"]["origin"] = "http://elsewhere.example"
    (reply,) = handler(http_request("/form/", **content))
    assert reply["status"] == 403


def sent_cookie(reply: dict[str, Any], name: str) -> str:
    """What a browser would send back."""
    jar: SimpleCookie = SimpleCookie()
    for header, value in reply["headers"]:
        if header == b"set-cookie":
            jar.load(value.decode())
    return f"{name}={jar[name].coded_value}"


# The consumer.


def test_the_consumer_answers_on_the_reply_channel() -> None:
    layer = InMemoryChannelLayer()
    ViewConsumer()(http_request("/hello/", layer=layer), ignored="keyword")

    (reply,) = replies(layer)
    assert (reply["status"], reply["content"], reply["more_content"]) == (200, b"hello ", False)


def test_a_short_answer_waits_for_the_end_of_the_consumer_and_a_long_one_does_not() -> None:
    layer = InMemoryChannelLayer()
    consumer = ViewConsumer()

    with PendingSends() as pending:
        consumer(http_request("/hello/", layer=layer))
    assert [delivery.name for _, delivery in pending.deliveries] == [REPLY_CHANNEL]
    assert replies(layer) == []
    for path_, count in (("/large/", 3), ("/stream/", 4), ("/stream-async/", 4)):
        with PendingSends() as pending:
            consumer(http_request(path_, layer=layer))
        assert pending.deliveries == []
        assert len(replies(layer)) == count


def test_a_part_is_sent_before_the_next_one_is_made() -> None:
    layer = InMemoryChannelLayer()

    class WatchedHandler(AsgiHandler):
        def get_response(self, request: HttpRequest) -> Any:
            def parts() -> Iterator[bytes]:
                for number in range(3):
                    log.append(f"{len(replies(layer))} sent")
                    yield b"%d" % number

            return StreamingHttpResponse(parts())

    class WatchedConsumer(ViewConsumer):
        handler_class = WatchedHandler

    with PendingSends():
        WatchedConsumer()(http_request("/", layer=layer))
    assert log == ["0 sent", "1 sent", "1 sent"]


@pytest.mark.parametrize("path_", ["/hello/", "/stream/", "/stream-async/", "/large/"])
def test_a_full_reply_channel_is_waited_for(path_: str) -> None:
    layer = InMemoryChannelLayer(capacity=1, channel_capacity={"interface.*": 1})
    layer.send(REPLY_CHANNEL, {"content": b"in the way"})
    thread = threading.Thread(target=ViewConsumer(), args=[http_request(path_, layer=layer)])
    thread.start()

    deadline = time.monotonic() + 30
    while not layer.global_statistics()["channel_full_count"] and time.monotonic() < deadline:
        time.sleep(0.001)
    contents = []
    while not (contents and contents[-1].get("more_content") is False) and time.monotonic() < deadline:
        _, content = layer.receive(["interface.test!"], block=True)
        if content is not None:
            contents.append(content)
    thread.join(30)

    assert layer.global_statistics()["channel_full_count"] > 0
    sent = b"".join(content["content"] for content in contents[1:])
    made = b"".join(message["content"] for message in answer(path_))
    assert sent == made


def test_a_reply_channel_that_stays_full_ends_the_consumer() -> None:
    class ImpatientConsumer(ViewConsumer):
        send_timeout = 0.05

    layer = InMemoryChannelLayer(channel_capacity={"interface.*": 1})
    layer.send(REPLY_CHANNEL, {"content": b"in the way"})
    for path_ in ("/hello/", "/stream/"):
        with pytest.raises(ChannelFull, match=r"'interface\.test!1' is full"):
            ImpatientConsumer()(http_request(path_, layer=layer))
    assert log == ["made 0", "closed"]


def test_a_stream_that_breaks_off_ends_the_connection() -> None:
    layer = InMemoryChannelLayer()
    with PendingSends() as pending, pytest.raises(ZeroDivisionError, match="the stream is broken"):
        ViewConsumer()(http_request("/stream-broken/", layer=layer))

    beginning, end = replies(layer)
    assert (beginning["status"], beginning["content"], beginning["more_content"]) == (
        200,
        b"the beginning",
        True,
    )
    assert end == {"status": 500}
    assert pending.deliveries == []


def test_a_stream_that_ends_the_program_ends_the_connection() -> None:
    class Leaving(InMemoryChannelLayer):
        sent = 0

        def send_now(self, delivery: Delivery) -> None:
            super().send_now(delivery)
            self.sent += delivery.name == REPLY_CHANNEL
            if self.sent == 1:
                raise SystemExit

    layer = Leaving()
    with pytest.raises(SystemExit):
        ViewConsumer()(http_request("/stream/", layer=layer))
    assert replies(layer)[-1] == {"status": 500}


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("in_consumer", [False, True])
def test_nobody_asks_for_a_message_behind_the_last_one(parts: int, in_consumer: bool) -> None:
    ends = []

    class CountingHandler(AsgiHandler):
        @classmethod
        def encode_response(cls, response: Any) -> Iterator[dict[str, Any]]:
            try:
                for number in range(parts):
                    more = number < parts - 1
                    yield {"status": 200, "headers": [], "content": bytes([number]), "more_content": more}
                ends.append("asked")
            finally:
                ends.append("closed")

    class Consumer(ViewConsumer):
        handler_class = CountingHandler

    layer = InMemoryChannelLayer()
    with PendingSends() if in_consumer else nullcontext() as pending:
        Consumer()(http_request("/hello/", layer=layer))
    for to, delivery in pending.deliveries if pending else ():
        to.send_now(delivery)
    assert [reply["content"] for reply in replies(layer)] == [bytes([number]) for number in range(parts)]
    assert ends == ["closed"]


def test_an_error_before_the_answer_is_left_to_the_worker() -> None:
    layer = InMemoryChannelLayer()
    with pytest.raises(RuntimeError, match="the error page is broken"):
        ViewConsumer()(http_request("/broken/", layer=layer, query_string=b"fail"))
    assert replies(layer) == []


def test_a_client_that_has_left_gets_no_answer() -> None:
    layer = InMemoryChannelLayer()
    layer.send("http.request.body?a", {"closed": True})
    with PendingSends() as pending:
        ViewConsumer()(http_request("/echo/", layer=layer, method="PUT", body_channel="http.request.body?a"))
        ViewConsumer()(http_request("/later/", layer=layer))
    assert pending.names == set()


def test_a_message_without_a_reply_channel_cannot_be_answered() -> None:
    with pytest.raises(ValueError, match="reply_channel"):
        ViewConsumer()(http_request("/stream/", without=("reply_channel",)))
    assert log == []


def test_the_handler_is_made_once_and_only_when_it_is_needed() -> None:
    made = []

    class SlowHandler(AsgiHandler):
        def __init__(self) -> None:
            made.append(self)
            all_there.wait(30)
            super().__init__()

    class SlowConsumer(ViewConsumer):
        handler_class = SlowHandler

    all_there = threading.Event()
    consumer = SlowConsumer()
    assert made == []
    layer = InMemoryChannelLayer()
    messages = [http_request("/hello/", layer=layer) for _ in range(4)]
    threads = [threading.Thread(target=consumer, args=[message]) for message in messages]
    for thread in threads:
        thread.start()
    all_there.set()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1
    assert len(replies(layer)) == 4


def test_the_names_people_have_in_their_code() -> None:
    from channels_classic import handler

    assert {"AsgiHandler", "AsgiRequest", "ViewConsumer"} <= set(handler.__all__)
    assert issubclass(AsgiRequest.ResponseLater, Exception)
    assert RequestAborted.__module__ == "channels_classic.exceptions"
