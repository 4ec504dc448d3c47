"""``runserver --noreload`` stops, whatever its views do."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.commands.conftest import make_project, served
from tests.project import DEADLINE, Project, Site

VIEWS = {
    "mysite/urls.py": """\
        import threading
        import time

        from django.http import HttpResponse, StreamingHttpResponse
        from django.urls import path

        go = threading.Event()


        def soon(request):
            go.wait(60)
            return HttpResponse("soon")


        def never(request):
            while True:
                time.sleep(0.01)


        def endless(request):
            def parts():
                yield b"begin"
                while True:
                    time.sleep(0.01)
                    yield b"more"
            return StreamingHttpResponse(parts())


        def let_go(request):
            go.set()
            return HttpResponse("go")


        urlpatterns = [
            path("soon/", soon),
            path("never/", never),
            path("endless/", endless),
            path("go/", let_go),
        ]
    """
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("stopping"))
    project.write(VIEWS)
    return project


@pytest.fixture
def site(project: Project) -> Iterator[Site]:
    with served(project, "--noreload") as site:
        yield site


def asked(site: Site, path: str) -> socket.socket:
    """A client whose request has reached its view."""
    client = socket.create_connection(("127.0.0.1", site.port), DEADLINE)
    client.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
    if path == "/endless/":
        assert client.recv(1)
    return client


@pytest.mark.parametrize("path", ["/never/", "/endless/"])
def test_a_second_signal_ends_it(site: Site, path: str) -> None:
    with asked(site, path):
        site.http.get("/go/")
        site.server.process.send_signal(signal.SIGINT)
        site.server.wait(lambda: not site.listens())
        site.server.process.send_signal(signal.SIGINT)
        assert site.server.process.wait(DEADLINE) == 1
    assert "Told to stop again. Not finished: " in site.server.log
    assert path in site.server.log


@pytest.mark.parametrize("path", ["/never/", "/endless/"])
def test_it_ends_in_time(site: Site, path: str) -> None:
    with asked(site, path):
        site.http.get("/go/")
        site.server.process.send_signal(signal.SIGTERM)
        assert site.server.process.wait(DEADLINE) == 1
    assert path in site.server.log
    assert "Traceback" not in site.server.log


def test_what_runs_is_finished(site: Site) -> None:
    with ThreadPoolExecutor() as clients:
        client = asked(site, "/soon/")
        going = clients.submit(site.http.get, "/go/")
        assert going.result(DEADLINE).status_code == 200
        site.server.process.send_signal(signal.SIGTERM)
        assert b"soon" in client.recv(65536)
        client.close()
    assert site.server.process.wait(DEADLINE) == 0
