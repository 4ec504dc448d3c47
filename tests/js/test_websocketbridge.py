"""``WebSocketBridge`` in Chromium, with a real server, which may go away and come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import Windows
from tests.ports import free_port
from tests.project import MANAGE, Project, Site

SETTINGS = """\
    SECRET_KEY = "for tests"
    DEBUG = True
    STATIC_URL = "/static/"
    INSTALLED_APPS = ["django.contrib.staticfiles", "channels_classic"]
    ROOT_URLCONF = "myproject.urls"
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
            "ROUTING": "myproject.routing.routing",
        },
    }
"""
URLS = """\
    from django.http import HttpResponse
    from django.urls import path

    PLAIN = '<script src="/static/{}/js/websocketbridge.js"></script>'
    MODULE = '''
        <script type="module">
            import {WebSocketBridge} from "/static/channels_classic/js/websocketbridge.mjs";
            window.channels = {WebSocketBridge};
        </script>
    '''

    def page(request, script):
        return HttpResponse(f"<!doctype html><title>bridge</title>{script}")

    urlpatterns = [
        path("plain/", page, {"script": PLAIN.format("channels_classic")}),
        path("old/", page, {"script": PLAIN.format("channels")}),
        path("module/", page, {"script": MODULE}),
    ]
"""
ROUTING = """\
    import json

    from channels_classic import route
    from channels_classic.sessions import enforce_ordering

    @enforce_ordering
    def connect(message):
        subprotocol = "chat" if message["path"] == "/chat/" else None
        message.reply_channel.send({"accept": True, "subprotocol": subprotocol})
        message.reply_channel.send({"text": json.dumps({"hello": message["path"]})})

    @enforce_ordering
    def receive(message):
        frame = json.loads(message["text"])
        if "raw" in frame:
            message.reply_channel.send({"text": frame["raw"]})
        else:
            message.reply_channel.send(message.content)

    routing = [route("websocket.connect", connect), route("websocket.receive", receive)]
"""
BRIDGE = """(options) => {
    window.received = [];
    window.opened = 0;
    const bridge = window.bridge = new channels.WebSocketBridge(options);
    bridge.connect(window.path ?? "/a/", window.protocols, {minReconnectionDelay: 50, maxReconnectionDelay: 200});
    bridge.socket.addEventListener("open", () => { window.opened += 1; });
    bridge.listen((payload, stream) => received.push(["listen", payload, stream]));
    for (const stream of ["first", "second"]) {
        bridge.demultiplex(stream, (payload, stream) => received.push(["stream", payload, stream]));
    }
}"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {
        "manage.py": MANAGE,
        "myproject/__init__.py": "",
        "myproject/settings.py": SETTINGS,
        "myproject/urls.py": URLS,
        "myproject/routing.py": ROUTING,
    }
    return Project(tmp_path_factory.mktemp("bridge"), files)


@contextmanager
def serving(project: Project, port: int) -> Iterator[Site]:
    with (
        project.running("runserver", "--noreload", f"127.0.0.1:{port}", log="server.txt") as server,
        Site(port, server) as site,
    ):
        server.wait(site.listens)
        yield site


@pytest.fixture(scope="module")
def site(project: Project) -> Iterator[Site]:
    with serving(project, free_port()) as site:
        yield site


@pytest.fixture(scope="module")
def windows(browser: Browser) -> Windows:
    return Windows(browser)


@pytest.fixture
def page(windows: Windows) -> Iterator[Page]:
    with windows.visitors() as window:
        yield window()


def opened(page: Page, site: Site, path: str = "plain", options: dict[str, Any] | None = None) -> Page:
    page.goto(f"http://127.0.0.1:{site.port}/{path}/")
    page.wait_for_function("window.channels !== undefined")
    page.evaluate(BRIDGE, options)
    return page


def received(page: Page, number: int) -> Any:
    """The first ``count`` messages."""
    page.wait_for_function("number => received.length >= number", arg=number)
    return page.evaluate("received")


@pytest.mark.parametrize("path", ["plain", "old", "module"])
def test_messages_and_streams(page: Page, site: Site, path: str) -> None:
    opened(page, site, path)
    page.evaluate("""() => {
        bridge.send({text: "\\u00fc"});
        bridge.stream("first").send({number: 1});
        bridge.stream("unknown").send({});
        bridge.stream("constructor").send({});
        bridge.stream("second").send([null]);
        bridge.send([1]);
    }""")
    assert received(page, 5) == [
        ["listen", {"hello": "/a/"}, None],
        ["listen", {"text": "\u00fc"}, None],
        ["stream", {"number": 1}, "first"],
        ["stream", [None], "second"],
        ["listen", [1], None],
    ]


def test_invalid_frames(page: Page, site: Site) -> None:
    errors: list[str] = []
    note = lambda message: errors.append(message.text)  # noqa: E731
    page.on("console", note)
    opened(page, site)
    page.evaluate("""() => {
        for (const raw of ["no json", "null", "1", "{}"]) {
            bridge.send({raw});
        }
    }""")
    assert received(page, 4)[1:] == [["listen", value, None] for value in (None, 1, {})]
    page.remove_listener("console", note)
    assert any("because it is not JSON" in error for error in errors)


def test_urls_and_protocols(page: Page, site: Site) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/plain/")
    for url in ("/chat/", f"ws://127.0.0.1:{site.port}/chat/"):
        page.evaluate("([url]) => { window.path = url; window.protocols = ['other', 'chat']; }", [url])
        page.evaluate(BRIDGE)
        assert received(page, 1) == [["listen", {"hello": "/chat/"}, None]]
        assert page.evaluate("bridge.socket.protocol") == "chat"
        assert page.evaluate("bridge.socket.url") == f"ws://127.0.0.1:{site.port}/chat/"


def test_connect_again_leaves_no_socket_behind(page: Page, site: Site) -> None:
    opened(page, site)
    received(page, 1)
    page.evaluate("() => { window.first = bridge.socket; bridge.connect('/b/'); }")
    assert received(page, 2)[1] == ["listen", {"hello": "/b/"}, None]
    assert page.evaluate("[first.readyState, first.shouldReconnect]") == [3, False]


def test_send_before_connect(page: Page, site: Site) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/plain/")
    error = page.evaluate("""() => {
        try {
            new channels.WebSocketBridge().send({});
        } catch (error) {
            return error.message;
        }
    }""")
    assert "call connect() before send()" in error


def test_a_server_that_comes_back(page: Page, project: Project) -> None:
    """Messages that were sent while it was away arrive once and in order."""
    port = free_port()
    with serving(project, port) as site:
        opened(page, site)
        received(page, 1)
    page.wait_for_function("bridge.socket.readyState !== 1")
    assert page.evaluate("[0, 1, 2].map((number) => bridge.stream('first').send({number}))") == [True] * 3
    with serving(project, port):
        assert [payload["number"] for _, payload, stream in received(page, 5) if stream] == [0, 1, 2]
        assert page.evaluate("opened") == 2
    # And once more: the back-off has not been used up.
    page.wait_for_function("bridge.socket.readyState !== 1")
    with serving(project, port):
        assert received(page, 6)[5] == ["listen", {"hello": "/a/"}, None]


def test_waiting_frames_are_bounded(page: Page, project: Project) -> None:
    port = free_port()
    with serving(project, port) as site:
        opened(page, site, options={"maxEnqueuedMessages": 3})
        received(page, 1)
    page.wait_for_function("bridge.socket.readyState !== 1")
    assert page.evaluate("[0, 1, 2, 3].map((number) => bridge.send({number}))") == [True, True, True, False]
    with serving(project, port):
        numbers = [payload["number"] for _, payload, _ in received(page, 5) if "number" in payload]
        assert numbers == [0, 1, 2]
    page.wait_for_function("bridge.socket.readyState !== 1")
    assert page.evaluate("bridge.send('x'.repeat(700_000))") is True
    assert page.evaluate("bridge.send('x'.repeat(700_000))") is False
    assert page.evaluate("bridge.send('x')") is True


def test_closing_is_for_good(page: Page, site: Site) -> None:
    opened(page, site)
    received(page, 1)
    page.evaluate("bridge.socket.close()")
    page.wait_for_timeout(500)  # ten times the shortest pause
    assert page.evaluate("[opened, bridge.socket.readyState]") == [1, 3]


def test_pauses_are_not_the_same_for_all_pages(page: Page, site: Site) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/plain/")
    pauses = page.evaluate("""() => [1, 2, 3].map(() => {
        const bridge = new channels.WebSocketBridge();
        bridge.connect("/a/");
        bridge.socket.close();
        return bridge._settings.minReconnectionDelay;
    })""")
    assert len(set(pauses)) == 3
    assert all(500 <= pause <= 1500 for pause in pauses)
