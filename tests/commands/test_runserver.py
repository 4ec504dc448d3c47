"""``manage.py runserver``: real processes, as a developer starts them (specification, section 12)."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from channels_classic.management.commands.runserver import DevelopmentServer
from tests.commands.conftest import make_project, served
from tests.ports import free_port
from tests.project import DEADLINE, Project, Running, Site

CHAT = {
    "mysite/consumers.py": """\
        from channels_classic import Group
        from channels_classic.exceptions import DenyConnection

        def connect(message):
            if message["path"] == "/denied/":
                raise DenyConnection
            Group("chat").add(message.reply_channel)

        def receive(message):
            if message["text"] == "fail":
                raise RuntimeError("a bug in the consumer")
            Group("chat").send({"text": message["text"]})
    """,
    "mysite/routing.py": """\
        channel_routing = {
            "websocket.connect": "mysite.consumers.connect",
            "websocket.receive": "mysite.consumers.receive",
        }
    """,
    "mysite/chat.py": """\
        from .settings import *

        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
                "ROUTING": "mysite.routing.channel_routing",
            }
        }
    """,
}


@pytest.fixture(scope="module")
def chat(project: Project) -> Iterator[Site]:
    """The project with a chat in it."""
    project.write(CHAT)
    with served(project, "--noreload", "--settings", "mysite.chat", log="chat.txt") as site:
        yield site


# What it says.


def test_lines_at_the_start(chat: Site) -> None:
    chat.server.wait("worker threads")
    for line in (
        "System check identified no issues",
        f"Starting development server at http://127.0.0.1:{chat.port}/",
        "Quit the server with CONTROL-C.",
        "Channel layer 'default': InMemoryChannelLayer. Routing mysite.routing.channel_routing: 2 channels. "
        "4 worker threads here.",
    ):
        assert chat.server.log.count(line) == 1


def test_lines_for_sockets(chat: Site) -> None:
    with chat.connect("/lobby/%20?a=1") as client:
        client.send("hello")
        assert client.recv() == "hello"
    chat.server.wait("DISCONNECTED /lobby/%20?a=1")
    with pytest.raises(InvalidStatus), chat.connect("/denied/"):
        pass
    chat.server.wait("REJECTED /denied/")
    events = ("CONNECTING /lobby/%20?a=1", "CONNECTED /lobby/%20?a=1", "DISCONNECTED /lobby/%20?a=1")
    positions = [chat.server.log.index(f"WebSocket {event}") for event in events]
    assert positions == sorted(positions)
    assert "[127.0.0.1]" in chat.server.log


def test_a_consumer_that_raises_is_in_the_log_and_the_socket_lives_on(chat: Site) -> None:
    with chat.connect() as client:
        client.send("fail")
        client.send("still here")
        assert client.recv() == "still here"
    chat.server.wait("Error in the consumer mysite.consumers.receive on 'websocket.receive'")
    assert "a bug in the consumer" in chat.server.log


def test_views_and_sockets_side_by_side(chat: Site) -> None:
    assert chat.http.get("/big/").status_code == 200
    with chat.connect() as one, chat.connect() as two:
        one.send("hello")
        assert one.recv() == two.recv() == "hello"
        assert chat.http.get("/static/admin/css/base.css").status_code == 200


def test_lines_are_coloured_on_a_terminal(project: Project) -> None:
    project.write(CHAT)
    port = free_port()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--noreload", "--settings", "mysite.chat", f"127.0.0.1:{port}"],
        cwd=project.folder,
        env={**project.environment, "TERM": "xterm-256color", "DJANGO_COLORS": "dark"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(ours, 65536):
                output.extend(chunk)
        except OSError:  # the other end is closed
            pass

    reading = threading.Thread(target=read)
    reading.start()
    try:
        log = project.folder / "terminal.txt"
        log.touch()
        with Site(port, Running(process, log)) as site:
            site.server.wait(site.listens)
            assert site.http.get("/nothing/").status_code == 404
            with site.connect():
                pass
            site.server.wait(lambda: b"DISCONNECTED" in output)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE)
        reading.join(DEADLINE)
        os.close(ours)
    found = {line.split(b"]", 1)[-1] for line in bytes(output).splitlines() if b"\x1b[" in line}
    assert any(b"GET /nothing/" in line for line in found)
    assert any(b"DISCONNECTED" in line for line in found)


# Options.


def together(site: Site, seconds: float) -> list[str]:
    """Make two requests at the same time to a view that tells whether they ran together."""
    with ThreadPoolExecutor(2) as clients:
        return [answer.text for answer in clients.map(site.http.get, [f"/together/?seconds={seconds}"] * 2)]


def test_requests_run_side_by_side(site: Site) -> None:
    assert together(site, DEADLINE / 2) == ["together", "together"]


def test_nothreading(project: Project) -> None:
    with served(project, "--noreload", "--nothreading", log="nothreading.txt") as site:
        site.server.wait("1 worker thread here")
        assert "alone" in together(site, 0.5)


def test_timeouts(project: Project) -> None:
    project.write(
        {
            "mysite/silent.py": """\
                from .settings import *

                CHANNEL_LAYERS = {
                    "default": {
                        "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
                        "ROUTING": dict.fromkeys(["http.request", "websocket.connect"], "mysite.silent.ignore"),
                    }
                }
                CHANNELS_EXPLICIT_ACCEPT = True

                def ignore(message):
                    pass
            """
        }
    )
    options = ["--http_timeout", "0.5", "--websocket_handshake_timeout", "0.5"]
    with served(project, "--noreload", "--settings", "mysite.silent", *options, log="silent.txt") as site:
        assert site.http.get("/").status_code == 503
        with pytest.raises(InvalidStatus) as refused, site.connect():
            pass
        assert refused.value.response.status_code == 403
        site.server.wait("No answer to GET / within 0.5 s")
        site.server.wait("Nobody accepted the WebSocket / within 0.5 s")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="This machine has no IPv6.")
@pytest.mark.parametrize("arguments", [["--ipv6", "{port}"], ["[::1]:{port}"]], ids=str)
def test_ipv6(project: Project, arguments: list[str]) -> None:
    port = free_port()
    filled = [argument.format(port=port) for argument in arguments]
    with project.running("runserver", "--noreload", *filled, log="ipv6.txt") as server:
        server.wait(f"http://[::1]:{port}/")
        transport = httpx.HTTPTransport(retries=10)  # until it listens
        with httpx.Client(trust_env=False, timeout=DEADLINE, transport=transport) as client:
            meta = client.get(f"http://[::1]:{port}/meta/").json()
        assert meta["META"]["REMOTE_ADDR"] == "::1"


# What goes wrong.


def fails(project: Project, *arguments: str) -> str:
    """The error output of a command that has to fail and end."""
    done = project.python("manage.py", "runserver", *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def test_a_port_in_use(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for options in (["--noreload"], []):
            assert fails(project, *options, address).splitlines()[-1] == "Error: That port is already in use."
        assert (
            fails(project, "--noreload", "--noasgi", address).splitlines()[-1]
            == "Error: That port is already in use."
        )


def test_an_address_of_another_machine(project: Project) -> None:
    assert "Error: That IP address can't be assigned to." in fails(project, "--noreload", "192.0.2.1:8765")


def test_noworker_on_a_layer_that_no_other_process_can_reach(project: Project) -> None:
    error = fails(project, "--noreload", "--noworker", "127.0.0.1:0")
    assert "CommandError: --noworker needs a channel layer that other processes can reach" in error
    assert "CHANNEL_LAYERS['default'] is InMemoryChannelLayer" in error
    assert "Set its BACKEND to channels_classic.layers.RedisChannelLayer" in error
    assert "Traceback" not in error


MEMORY = "channels_classic.layers.InMemoryChannelLayer"


@pytest.mark.parametrize(
    ("layers", "setting", "value"),
    [
        ({"default": {"BACKEND": "nowhere.Layer", "ROUTING": {}}}, "['BACKEND']", "'nowhere.Layer'"),
        ({"other": {"BACKEND": MEMORY, "ROUTING": {}}}, "CHANNEL_LAYERS", "'default'"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_work(project: Project, layers: object, setting: str, value: str) -> None:
    project.write({"mysite/bad.py": f"from .settings import *\nCHANNEL_LAYERS = {layers}\n"})
    error = fails(project, "--noreload", "--settings", "mysite.bad", "127.0.0.1:0")
    assert "Traceback" not in error
    assert "CHANNEL_LAYERS" in error
    assert setting in error
    assert value in error


def test_a_setting_that_cannot_work_without_the_checks(project: Project) -> None:
    layers = '{"default": {"BACKEND": "nowhere.Layer", "ROUTING": {}}}'
    project.write({"mysite/bad.py": f"from .settings import *\nCHANNEL_LAYERS = {layers}\n"})
    error = fails(project, "--noreload", "--skip-checks", "--settings", "mysite.bad", "127.0.0.1:0")
    assert error.startswith("CommandError: CHANNEL_LAYERS['default']['BACKEND']: ")
    assert "'nowhere.Layer'" in error


# The end.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_in_order(project: Project, number: signal.Signals) -> None:
    project.write(CHAT)
    with served(project, "--noreload", "--settings", "mysite.chat", log="end.txt") as site:
        with site.connect() as client:
            client.send("hello")
            assert client.recv() == "hello"
            site.server.process.send_signal(number)
            with pytest.raises(ConnectionClosed):
                client.recv()
        assert site.server.process.wait(DEADLINE) == 0
        assert "Traceback" not in site.server.log


# Reloading.


def change(site: Site, file: Path, text: str, condition: Callable[[], bool]) -> None:
    """Write a file, and wait for the effect.

    A change in the first second of a process escapes Django's reloader, so the file is touched now and then.
    """
    file.write_text(text)
    touched = time.monotonic()

    def check() -> bool:
        nonlocal touched
        if time.monotonic() > touched + 2:
            file.touch()
            touched = time.monotonic()
        return condition()

    site.server.wait(check)


def test_changed_files_are_loaded_again(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    urls = """\
        from django.http import HttpResponse
        from django.urls import path

        urlpatterns = [path("", lambda request: HttpResponse("before"))]
    """
    project.write({"mysite/urls.py": urls})
    urls_file, settings_file = project.folder / "mysite" / "urls.py", project.folder / "mysite" / "settings.py"
    with served(project) as site:

        def answer() -> str | None:
            try:
                return site.http.get("/", headers={"Connection": "close"}).text
            except httpx.TransportError:  # between the old process and the new one
                return None

        assert answer() == "before"
        change(site, urls_file, urls_file.read_text().replace("before", "after"), lambda: answer() == "after")
        # A mistake in the settings is reported at once, and correct settings bring the site back.
        good = settings_file.read_text()
        bad = good + "CHANNEL_LAYERS = {'default': {'BACKEND': 'nowhere.Layer', 'ROUTING': {}}}\n"
        change(site, settings_file, bad, lambda: "CHANNEL_LAYERS['default']['BACKEND']" in site.server.log)
        assert answer() is None
        change(site, settings_file, good, lambda: answer() == "after")
        assert site.server.log.count("Traceback") == site.server.log.count("Exception in thread")


@pytest.mark.parametrize("port", [65536, 99999])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(OSError, match=f"^A port is a number from 0 to 65535, not {port}[.]$"):
        DevelopmentServer(("127.0.0.1", port))
