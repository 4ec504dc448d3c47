"""Streaming answers do not keep workers from their work, and have the state of their view."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import re
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import get_script_prefix, path
from django.utils import timezone, translation

from channels_classic import Group
from channels_classic.handler import ViewConsumer
from channels_classic.layers import Process, fencing
from channels_classic.layers.gone import tell_gone
from channels_classic.stopping import Stopping
from tests.http_messages import REQUEST
from tests.interface_server.hosted import Hosted
from tests.worker.conftest import CLIENTS, DEADLINE, REPLY, StartWorkers, eventually, layer_with
from worker import WorkerGroup
from worker.streams import StreamThreads

pytestmark = pytest.mark.urls(__name__)

LARGE = 20 * 1024 * 1024
marker: contextvars.ContextVar[str] = contextvars.ContextVar("marker", default="none")


class Gate:
    """Holds streams up, and records what they did."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.closed: list[str] = []
        self.threads: dict[str, set[threading.Thread]] = defaultdict(set)


gate = Gate()


@pytest.fixture(autouse=True)
def _gate() -> None:
    gate.__init__()  # type: ignore[misc]


# The views.


def page(request: HttpRequest) -> HttpResponse:
    gate.threads["view"].add(threading.current_thread())
    return HttpResponse("a page")


def endless(request: HttpRequest) -> Iterator[str]:
    try:
        gate.threads["stream"].add(threading.current_thread())
        for number in itertools.count():
            yield f"data: {number}\n\n"
            gate.opened.wait(0.01)
    finally:
        gate.closed.append(request.path)


def events(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(endless(request), content_type="text/event-stream; charset=utf-8")


def waiting(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        gate.opened.wait(DEADLINE)  # before its first part
        yield "at last"

    return StreamingHttpResponse(parts())


def silent(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        yield "a part"
        gate.opened.wait(DEADLINE)
        yield "the rest"

    return StreamingHttpResponse(parts())


def download(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * LARGE)


def state(request: HttpRequest) -> StreamingHttpResponse:
    translation.activate("de")
    timezone.activate("Asia/Kathmandu")
    marker.set("of the view")
    User.objects.count()

    def parts() -> Iterator[str]:
        yield ", ".join(
            [
                translation.get_language(),
                timezone.get_current_timezone_name(),
                get_script_prefix(),
                marker.get(),
                str(User.objects.count()),
            ]
        )

    return StreamingHttpResponse(parts())


def state_async(request: HttpRequest) -> StreamingHttpResponse:
    translation.activate("de")
    marker.set("of the view")

    async def parts() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield f"{translation.get_language()}, {marker.get()}, {await User.objects.acount()}"

    return StreamingHttpResponse(parts())


def broken(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for number in range(int(request.GET["after"])):
            yield str(number)
        raise ZeroDivisionError("the stream is broken")

    return StreamingHttpResponse(parts())


def telling(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        Group("room", channel_layer=request.message.channel_layer).send({"text": "from the stream"})  # type: ignore[attr-defined]
        yield "told"
        gate.opened.wait(DEADLINE)

    return StreamingHttpResponse(parts())


def events_async(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        try:
            yield "data: 0\n\n"
            await asyncio.sleep(DEADLINE)  # for news that never come
        finally:
            gate.closed.append(request.path)

    return StreamingHttpResponse(parts(), content_type="Text/Event-Stream")


urlpatterns = [
    path("events-async/", events_async),
    path("page/", page),
    path("events/", events),
    path("endless/", lambda request: StreamingHttpResponse(endless(request), content_type="text/plain")),
    path("waiting/", waiting),
    path("silent/", silent),
    path("download/", download),
    path("state/", state),
    path("state-async/", state_async),
    path("broken/", broken),
    path("telling/", telling),
]


class Clients:
    """Clients without an interface server. Each has a reply channel, and can stop reading."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.replies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._numbers = itertools.count()

    def ask(self, path_: str, reads: bool = True, **content: Any) -> str:
        client = f"{CLIENTS}{next(self._numbers)}"
        if not reads:
            self.layer.pause([client])
        self.layer.send("http.request", {**REQUEST, "path": path_, "reply_channel": client, **content})
        return client

    def read(self, timeout: float = 0.05) -> None:
        for received in self.layer.receive_batch([CLIENTS], 100, timeout):
            self.replies[received.channel].append(received.content)

    def has(self, client: str) -> list[dict[str, Any]]:
        self.read(0)
        return self.replies[client]

    def is_answered(self, client: str) -> bool:
        replies = self.has(client)
        return bool(replies) and not replies[-1].get("more_content", False)

    def answer(self, client: str) -> tuple[int, bytes]:
        """The whole answer: its status, and its content."""
        eventually(lambda: self.is_answered(client))
        replies = self.replies[client]
        return replies[0]["status"], b"".join(reply.get("content", b"") for reply in replies)


@pytest.fixture
def start_workers(start_workers: StartWorkers) -> Iterator[StartWorkers]:
    """As usual, but streams at the gate can end before the workers have to."""
    yield start_workers
    gate.opened.set()


@pytest.fixture
def layer() -> Any:
    return layer_with({"http.request": ViewConsumer()}, capacity=10_000)


@pytest.fixture
def clients(layer: Any) -> Clients:
    return Clients(layer)


def test_ordinary_requests_go_on_as_if_nothing_were_there(
    layer: Any, clients: Clients, start_workers: StartWorkers
) -> None:
    start_workers(layer, 4)
    streams = [clients.ask("/events/") for _ in range(50)] + [clients.ask("/silent/") for _ in range(4)]
    stalled = [clients.ask("/download/") for _ in range(4)]
    layer.pause(stalled)
    eventually(lambda: all(clients.has(client) for client in streams))
    for _ in range(100):
        assert clients.answer(clients.ask("/page/")) == (200, b"a page")
    assert gate.threads["stream"].isdisjoint(gate.threads["view"])
    assert len(gate.threads["view"]) <= 4
    layer.resume(stalled)
    for client in stalled:
        assert clients.answer(client) == (200, b"x" * LARGE)


def test_before_its_first_part_it_keeps_nobody_either(
    layer: Any, clients: Clients, start_workers: StartWorkers
) -> None:
    start_workers(layer, 1)
    client = clients.ask("/waiting/")
    assert clients.answer(clients.ask("/page/")) == (200, b"a page")
    assert not clients.has(client)
    gate.opened.set()
    assert clients.answer(client) == (200, b"at last")


def test_a_large_response_to_a_client_that_does_not_read(
    layer: Any, clients: Clients, start_workers: StartWorkers
) -> None:
    """A thread takes over after the first refusal. The client gets all of it in order when it reads again."""
    start_workers(layer, 1)
    client = clients.ask("/download/", reads=False)
    assert clients.answer(clients.ask("/page/")) == (200, b"a page")
    layer.resume([client])
    assert clients.answer(client) == (200, b"x" * LARGE)


def test_a_large_response_to_a_client_that_reads_needs_no_thread(
    layer: Any, clients: Clients, start_workers: StartWorkers
) -> None:
    group = start_workers(layer, 1, stream_threads=1)
    client = clients.ask("/silent/")
    eventually(lambda: clients.has(client))
    assert clients.answer(clients.ask("/download/")) == (200, b"x" * LARGE)
    assert len(group._streams.running()) == 1


def test_without_a_free_thread_the_answer_is_503(
    layer: Any, clients: Clients, start_workers: StartWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    finished: list[Any] = []
    group = start_workers(layer, 2, stream_threads=3)
    streams = [clients.ask("/events/") for _ in range(3)]
    eventually(lambda: all(clients.has(client) for client in streams))

    def finish(**kwargs: Any) -> None:
        finished.append(kwargs)

    request_finished.connect(finish)
    try:
        for _ in range(5):
            status, content = clients.answer(clients.ask("/events/"))
            assert status == 503
            assert b"too many streaming answers" in content
    finally:
        request_finished.disconnect(finish)
    assert len(finished) == 5
    (text,) = (record.getMessage() for record in caplog.records)
    assert "All 3 stream threads are busy" in text
    assert "--stream-threads" in text
    tell_gone(layer, [streams[0]])
    eventually(lambda: len(group._streams.running()) == 2)
    client = clients.ask("/silent/")
    assert eventually(lambda: clients.has(client))[0]["status"] == 200


def test_a_large_response_without_a_free_thread_is_cut(
    layer: Any, clients: Clients, start_workers: StartWorkers
) -> None:
    start_workers(layer, 1, stream_threads=1)
    stream = clients.ask("/silent/")
    eventually(lambda: clients.has(stream))
    client = clients.ask("/download/", reads=False)
    assert clients.answer(clients.ask("/page/")) == (200, b"a page")
    layer.resume([client])
    assert clients.answer(clients.ask("/page/")) == (200, b"a page")


@pytest.mark.parametrize("path_", ["/events/", "/waiting/", "/state-async/"])
def test_an_answer_to_head_is_complete_with_its_head(
    layer: Any, clients: Clients, start_workers: StartWorkers, path_: str
) -> None:
    finished: list[Any] = []

    def finish(**kwargs: Any) -> None:
        finished.append(threading.current_thread())

    group = start_workers(layer, 1, stream_threads=1)
    request_finished.connect(finish)
    try:
        client = clients.ask(path_, method="HEAD")
        assert clients.answer(client) == (200, b"")
    finally:
        request_finished.disconnect(finish)
    assert len(clients.replies[client]) == len(finished) == 1
    assert not group._streams.running()
    assert not gate.threads["stream"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path_", "answer"),
    [
        ("/state/", b"de, Asia/Kathmandu, /app/, of the view, 1"),
        ("/state-async/", b"de, of the view, 1"),
    ],
)
def test_the_state_of_the_view_is_there(
    layer: Any, clients: Clients, start_workers: StartWorkers, path_: str, answer: bytes
) -> None:
    User.objects.create_user("ada")
    connection.inc_thread_sharing()  # as a live server in memory does
    try:
        start_workers(layer, 1)
        assert clients.answer(clients.ask(path_, root_path="/app")) == (200, answer)
    finally:
        connection.dec_thread_sharing()


def test_its_database_connections_are_its_own_and_closed(
    layer: Any, clients: Clients, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[threading.Thread] = []
    monkeypatch.setattr(connections, "close_all", lambda: closed.append(threading.current_thread()))
    start_workers(layer, 1)
    client = clients.ask("/events/")
    eventually(lambda: clients.has(client))
    tell_gone(layer, [client])
    eventually(lambda: closed)
    assert set(closed) == gate.threads["stream"]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_error(
    layer: Any, clients: Clients, start_workers: StartWorkers, caplog: pytest.LogCaptureFixture, after: int
) -> None:
    """Before the first part an answer is still possible. Later only the connection can be ended."""
    start_workers(layer, 1)
    client = clients.ask("/broken/", query_string=f"after={after}".encode())
    eventually(lambda: clients.is_answered(client))
    replies = clients.replies[client]
    if after:
        assert replies[0]["status"] == 200
        assert replies[-1] == {"status": 500}
    else:
        assert [reply["status"] for reply in replies] == [500]
        assert replies[0]["content"] == b"Server Error (500)"
    record = eventually(lambda: caplog.records and caplog.records[-1])
    assert record.getMessage() == "Error in the answer to GET /broken/:"
    assert "the stream is broken" in str(record.exc_info[1])


def test_the_sends_of_a_stream_do_not_wait_for_its_end(
    layer: Any, clients: Clients, start_workers: StartWorkers
) -> None:
    start_workers(layer, 1)
    layer.group_add("room", f"{CLIENTS}member")
    clients.ask("/telling/")
    assert eventually(lambda: clients.has(f"{CLIENTS}member")) == [{"text": "from the stream"}]


def test_the_client_leaves(layer: Any, clients: Clients, start_workers: StartWorkers) -> None:
    group = start_workers(layer, 1)
    client = clients.ask("/events/")
    eventually(lambda: clients.has(client))
    tell_gone(layer, [client])
    eventually(lambda: gate.closed == ["/events/"])
    eventually(lambda: not group._streams.running())


def test_the_client_leaves_while_it_takes_nothing(
    layer: Any, clients: Clients, start_workers: StartWorkers
) -> None:
    group = start_workers(layer, 1)
    client = clients.ask("/download/", reads=False)
    eventually(lambda: group._streams.running())
    layer.resume([client])
    eventually(lambda: clients.has(client))
    layer.pause([client])
    tell_gone(layer, [client])
    eventually(lambda: not group._streams.running())


def test_a_stop_ends_event_streams_and_lets_the_rest_finish(layer: Any, clients: Clients) -> None:
    from worker import WorkerGroup

    group = WorkerGroup(layer, 1, signal_handlers=False)
    group.start()
    stream, finite = clients.ask("/events/"), clients.ask("/silent/")
    eventually(lambda: clients.has(stream) and clients.has(finite))
    stopped: list[list[str]] = []
    thread = threading.Thread(target=lambda: stopped.append(group.stop()))
    thread.start()
    eventually(lambda: clients.is_answered(stream))
    assert clients.replies[stream][-1] == {"content": b"", "more_content": False}
    assert thread.is_alive()
    gate.opened.set()
    thread.join(DEADLINE)
    assert stopped == [[]]
    assert clients.answer(finite) == (200, b"a partthe rest")


def test_a_stop_ends_an_asynchronous_event_stream_that_waits_for_news(layer: Any, clients: Clients) -> None:
    from worker import WorkerGroup

    group = WorkerGroup(layer, 1, signal_handlers=False)
    group.start()
    client = clients.ask("/events-async/")
    eventually(lambda: clients.has(client))
    assert group.stop() == []
    assert clients.answer(client) == (200, b"data: 0\n\n")
    assert gate.closed == ["/events-async/"]


def test_a_stop_does_not_wait_forever(layer: Any, clients: Clients, caplog: pytest.LogCaptureFixture) -> None:
    from worker import WorkerGroup

    group = WorkerGroup(layer, 1, signal_handlers=False, stop_timeout=0.2)
    group.start()
    client = clients.ask("/endless/")
    eventually(lambda: clients.has(client))
    (left,) = group.stop()
    assert left.startswith("GET /endless/, for ")
    assert re.search(r"without waiting any longer for: GET /endless/, for \d+ s\.", caplog.text)
    tell_gone(layer, [client])
    eventually(lambda: not group._streams.running())
    assert group.stop() == []


def test_a_thread_that_cannot_be_started_leaves_its_place_free(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    streams = StreamThreads(limit=1)

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        assert not streams.start("one", REPLY, lambda stopping: None)
    assert caplog.messages == ["one gets 503. can't start new thread"]
    assert streams.start("another", REPLY, lambda stopping: None)


def test_a_stream_of_a_process_that_was_declared_dead(layer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The layer refuses its parts, and the log has one line about it."""
    layer.beat(Process("worker.one", {}))
    ended = threading.Event()
    streams = StreamThreads(ended=ended.set)

    def work(stopping: Stopping) -> None:
        layer.sweep(Process("worker.one", {}), lambda process: {})
        layer.send_now(layer.prepare("answers", {}))

    fencing.act_as(Actor("worker.one"))
    try:
        assert streams.start("GET /stream/", REPLY, work)
    finally:
        fencing.act_as(None)
    assert ended.wait(DEADLINE)
    assert layer.receive_batch(["answers"], 10) == []
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage().startswith("The answer to GET /stream/ was broken off. worker.one was declared")
    assert record.exc_info is None


class Actor(NamedTuple):
    """Code that acts in the name of a process."""

    process: str

    def confirm(self) -> None:
        """Ask nobody."""


def test_real_sockets_that_stall_and_stream(start_workers: StartWorkers) -> None:
    layer = layer_with({"http.request": ViewConsumer()}, capacity=1000)
    start_workers(layer, 4)
    with Hosted(layer.channel_layer) as hosted:
        opened = []
        for path_ in ["/events/"] * 10 + ["/download/"] * 4:
            client = hosted.raw()
            client.sendall(f"GET {path_} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            opened.append(client)
        for client in opened[:10]:
            assert client.recv(12) == b"HTTP/1.1 200"
        for _ in range(50):
            assert hosted.get("/page/").result(DEADLINE).text == "a page"


def test_the_end_of_a_stream_is_not_the_end_of_the_workers(layer: Any) -> None:
    gate.opened.set()
    group = WorkerGroup(layer, 1)
    running = threading.Thread(target=group.run)
    running.start()
    try:
        clients = Clients(layer)
        for _ in range(3):
            assert clients.answer(clients.ask("/waiting/")) == (200, b"at last")
            assert clients.answer(clients.ask("/page/")) == (200, b"a page")
        assert running.is_alive()
    finally:
        group.sigterm_handler()
        running.join(DEADLINE)
    assert not running.is_alive()
