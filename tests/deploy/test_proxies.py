"""The reverse proxies of the recipes, with only ports changed: real ones, before two interface servers."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port
from tests.programs import running
from tests.project import DEADLINE, MANAGE, REPOSITORY, Project, Running
from tests.redis_server import RedisServer

DEPLOY = REPOSITORY / "deploy"
CLIENT = "127.0.0.2"
"""Where clients connect from: an address that the interface servers do not trust as a proxy."""

FILES = {
    "manage.py": MANAGE,
    "myproject/__init__.py": "",
    "myproject/urls.py": """\
        from django.http import JsonResponse
        from django.urls import path

        def who(request, name):
            return JsonResponse({"client": request.META["REMOTE_ADDR"], "secure": request.scheme, "name": name})

        urlpatterns = [path("<path:name>", who)]
    """,
    "myproject/routing.py": """\
        def echo(message):
            message.reply_channel.send({"text": message["text"]})

        def connect(message):
            message.reply_channel.send({"accept": True})
            message.reply_channel.send({"text": message["client"][0]})

        channel_routing = {"websocket.connect": connect, "websocket.receive": echo}
    """,
}

SETTINGS = """\
    SECRET_KEY = "for tests"
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "myproject.urls"
    INSTALLED_APPS = ["channels_classic"]
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.RedisChannelLayer",
            "CONFIG": {"hosts": ["%s"]},
            "ROUTING": "myproject.routing.channel_routing",
        }
    }
"""


@dataclass(frozen=True)
class Site:
    """Two interface servers behind a proxy, and the project that answers."""

    port: int
    servers: list[Running]
    project: Project

    def get(self, path: str, **headers: str) -> httpx.Response:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=CLIENT), timeout=DEADLINE) as client:
            return client.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)

    def connect(self, path: str = "/ws/") -> ClientConnection:
        sock = socket.create_connection(("127.0.0.1", self.port), source_address=(CLIENT, 0))
        return connect(f"ws://127.0.0.1:{self.port}{path}", sock=sock, open_timeout=DEADLINE, proxy=None)

    def worker(self) -> AbstractContextManager[Running]:
        return self.project.running("runworker", "--threads", "2")


def nginx(folder: Path, ports: list[int], port: int) -> list[object]:
    program = shutil.which("nginx")
    text = (DEPLOY / "nginx.conf").read_text()
    own = "".join(
        f"{name}_temp_path {folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = replaced(text, {"listen 80;": f"listen {port};", "http {": f"http {{ access_log off; {own}"})
    text = replaced(text, {"127.0.0.1:8001": f"127.0.0.1:{ports[0]}", "127.0.0.1:8002": f"127.0.0.1:{ports[1]}"})
    (folder / "nginx.conf").write_text(text)
    options = f"daemon off; pid {folder}/nginx.pid; error_log stderr;"
    return [program, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf", "-g", options]


def haproxy(folder: Path, ports: list[int], port: int) -> list[object]:
    text = replaced((DEPLOY / "haproxy.cfg").read_text(), {"bind :80\n": f"bind 127.0.0.1:{port}\n"})
    text = replaced(text, {"127.0.0.1:8001": f"127.0.0.1:{ports[0]}", "127.0.0.1:8002": f"127.0.0.1:{ports[1]}"})
    (folder / "haproxy.cfg").write_text(text)
    return [shutil.which("haproxy"), "-f", folder / "haproxy.cfg"]


def replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        before, found, after = text.rpartition(old)
        assert found, f"The recipe has no {old!r} any more."
        text = before + new + after
    return text


PROXIES = {"nginx": nginx, "haproxy": haproxy}


@pytest.fixture(scope="module", params=PROXIES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer
) -> Iterator[Site]:
    program: str = request.param
    if shutil.which(program) is None:
        pytest.skip(f"No {program} on the PATH.")
    folder = tmp_path_factory.mktemp(program)
    project = Project(folder, {**FILES, "myproject/settings.py": SETTINGS % redis_server.url})
    ports, port = [free_port(), free_port()], free_port()
    with ExitStack() as stack:
        servers = []
        for number, own_port in enumerate(ports):
            command = [sys.executable, "-m", "interface_server", "--redis", redis_server.url, "--port", own_port]
            command += ["--proxy-headers", "--shutdown-timeout", "5"]
            server = stack.enter_context(running(command, folder, f"interface-{number}.txt"))
            server.wait("listens on")
            servers.append(server)
        proxy = stack.enter_context(running(PROXIES[program](folder, ports, port), folder, "proxy.txt"))
        site = Site(port, servers, project)
        proxy.wait(lambda: listens(port))
        yield site


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def worker(site: Site) -> Iterator[Running]:
    with site.worker() as worker:
        worker.wait("websocket.receive")
        yield worker


@pytest.mark.usefixtures("worker")
def test_views_learn_who_the_client_is(site: Site) -> None:
    answer = site.get("/page/", **{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
    assert answer.json() == {"client": CLIENT, "secure": "http", "name": "page/"}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("path", ["/ws/", "/ws/room/1/?a=b", "/rooms/one/ws"])
def test_sockets_at_their_paths(path: str, site: Site) -> None:
    with site.connect(path) as client:
        assert client.recv(DEADLINE) == CLIENT
        client.send("hello")
        assert client.recv(DEADLINE) == "hello"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("path", ["/", "/wsx", "/page/ws/nothing"])
def test_no_socket_elsewhere(path: str, site: Site) -> None:
    with pytest.raises(InvalidStatus):
        site.connect(path)


def test_new_code_goes_live_without_closing_a_socket(site: Site) -> None:
    with ExitStack() as stack:
        with site.worker() as old:
            old.wait("websocket.receive")
            client = stack.enter_context(site.connect())
            assert client.recv(DEADLINE) == CLIENT
        client.send("while there is no worker")
        with site.worker():
            assert client.recv(DEADLINE) == "while there is no worker"


@pytest.mark.usefixtures("worker")
def test_one_interface_server_is_stopped_and_no_request_fails(site: Site) -> None:
    # The last test of this module: the server does not come back.
    with ExitStack() as stack:
        clients = [stack.enter_context(site.connect()) for _ in range(4)]
        assert site.servers[0].end() == 0
        assert [site.get(f"/{number}").status_code for number in range(20)] == [200] * 20
        codes = [close_code(client) for client in clients]
        assert sorted(codes, key=str) == [1012, 1012, None, None]  # each server had half of them
        with site.connect() as client:
            assert client.recv(DEADLINE) == CLIENT


def close_code(client: ClientConnection) -> int | None:
    """The code with which a socket was closed; ``None`` if it still works."""
    try:
        assert client.recv(DEADLINE) == CLIENT
        client.send("still here")
        assert client.recv(DEADLINE) == "still here"
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd else 1006
    return None


@pytest.mark.parametrize("file", ["haproxy.cfg", "docker/haproxy.cfg"])
def test_every_haproxy_file_is_valid(file: str, tmp_path: Path) -> None:
    if shutil.which("haproxy") is None:
        pytest.skip("No haproxy on the PATH.")
    with running([shutil.which("haproxy"), "-c", "-f", DEPLOY / file], tmp_path) as check:
        assert check.process.wait(DEADLINE) == 0, check.log


def test_they_wait_longer_than_the_pings_and_the_timeouts() -> None:
    from interface_server.program.configuration import Configuration

    options = Configuration(redis=["redis://127.0.0.1"])
    quiet = max(options.ping_interval + options.ping_timeout, options.http_timeout)
    found = re.findall(r"(?:proxy_(?:read|send)_timeout|timeout (?:client|server|tunnel)) +(\d+)s", texts())
    assert len(found) == 9
    assert all(int(seconds) > quiet for seconds in found)


def texts() -> str:
    return "".join((DEPLOY / name).read_text() for name in ("nginx.conf", "haproxy.cfg", "docker/haproxy.cfg"))
