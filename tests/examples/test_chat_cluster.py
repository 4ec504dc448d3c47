"""The example chat as several processes over Redis, in a real browser, with workers that come and go."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.examples.conftest import REPOSITORY, START_DEADLINE, Site
from tests.examples.test_chat_browser import people, say, texts
from tests.forked import Process, completed
from tests.interface_server.hosted import eventually
from tests.ports import free_port
from tests.programs import children_of, environment_with, is_alive
from tests.redis_server import RedisServer

Windows = Callable[..., Page]


class Cluster(Site):
    """An interface server and two workers, each a process of its own."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        super().__init__(folder)
        self.environment["REDIS_URL"] = redis_url
        self.workers: list[Process] = []

    def start(self) -> None:
        self.start_workers(2)
        self.process = self._manage("runserver", "--noworker", "--noreload", self.address)
        eventually(self._answers)

    def start_workers(self, number: int) -> None:
        """Start more workers, and wait until they receive."""
        wanted = self.log.read_text().count("channels: ") + number
        self.workers += [self._manage("runworker") for _ in range(number)]
        eventually(lambda: self.log.read_text().count("channels: ") == wanted)

    def kill(self) -> None:
        super().kill()
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with RedisServer() as redis:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), redis.url)
        cluster.start()
        yield cluster
        cluster.kill()


def test_workers_come_and_go_and_windows_stay(enter: Windows, site: Cluster) -> None:
    windows = enter("Ann", fresh=True), enter("Bob", fresh=True)
    reconnects: list[WebSocket] = []
    for window in windows:
        window.on("websocket", lambda websocket: reconnects.append(websocket))
    said: list[str] = []

    def talk() -> None:
        """Both say something, and both see all messages."""
        for window in windows:
            said.append(f"message {len(said)}")
            say(window, said[-1])
            for each in windows:
                expect(texts(each)).to_have_text(said)

    talk()

    # One is killed: the other one does its work.
    first, second = site.workers
    first.kill()
    first.wait()
    talk()
    talk()

    # The rest are replaced, as for a new version of the code.
    site.start_workers(2)
    second.send_signal(signal.SIGTERM)
    assert second.wait(START_DEADLINE) == 0
    talk()

    for window in windows:
        expect(window.get_by_role("status")).to_have_text("Connected")
        expect(people(window)).to_have_count(2)
    assert reconnects == []


def test_workers_serve_static_files_in_development(site: Cluster) -> None:
    with urllib.request.urlopen(f"{site.url}/static/rooms/chat.css") as answer:
        assert answer.headers["Content-Type"] == "text/css"


def test_the_procfile(tmp_path: Path) -> None:
    """``make cluster`` starts Redis, two interface servers and two workers. Ctrl-C ends them all."""
    honcho = Path(sys.executable).with_name("honcho")
    if not honcho.exists():
        pytest.skip("honcho is not installed: it is in the extra 'cluster'.")
    ports, redis_port = two_free_ports(), free_port()
    environment = environment_with(
        PATH=f"{honcho.parent}:/usr/bin:/bin:/usr/local/bin",
        CHAT_DATABASE=str(tmp_path / "chat.sqlite3"),
        REDIS_PORT=str(redis_port),
        REDIS_URL=f"redis://127.0.0.1:{redis_port}/0",
    )
    chat = REPOSITORY / "examples" / "chat"
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    assert completed(migrate, chat, environment, START_DEADLINE).returncode == 0
    command = [honcho, "start", "-p", str(ports[0]), "-c", "interface=2,worker=2"]
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=chat, env=environment, stdout=log, stderr=log)
    try:
        for port in ports:
            eventually(lambda port=port: answers(port))
        pids = [pid for child in children_of(process.pid) for pid in (child, *children_of(child))]
        assert len(pids) >= 5
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START_DEADLINE)
    eventually(lambda: not any(is_alive(pid) for pid in pids))
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def two_free_ports() -> tuple[int, int]:
    """A free port whose next one is free, too, outside of the range for clients."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            for number in (port, port + 1):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return port, port + 1


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=START_DEADLINE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
