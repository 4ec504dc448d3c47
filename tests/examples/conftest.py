"""The examples, each with its own process and database, in real browser windows."""

from __future__ import annotations

import http.cookiejar
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.browser import Windows, browser  # noqa: F401
from tests.forked import REPOSITORY, Process, start
from tests.ports import free_port
from tests.project import FOR_PROGRAMS

START_DEADLINE = 60  # seconds
PASSWORD = "three green umbrellas"

QUICK_HASHES = """\
from {} import *
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
"""The settings of an example, but for hashes that cost a third of a second at each log-in."""


class Visitor:
    """A browser without scripts: it keeps cookies, and fills in forms."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, path: str) -> int:
        """The status of the answer."""
        try:
            return int(self.opener.open(self.url + path).status)
        except urllib.error.HTTPError as error:
            return error.code

    def read(self, path: str) -> str:
        """The page at a path, or where it redirects to."""
        with self.opener.open(self.url + path) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **fields: str) -> str:
        """The path that the answer redirects to."""
        self.get("/login/")  # for the CSRF cookie, which each log-in changes
        fields["csrfmiddlewaretoken"] = next(
            cookie.value or "" for cookie in self.jar if cookie.name == "csrftoken"
        )
        data = urllib.parse.urlencode(fields).encode()
        return str(self.opener.open(self.url + path, data).url).removeprefix(self.url)

    def go_on_in(self, page: Page) -> None:
        """Give the window the cookies."""
        page.context.add_cookies(
            [{"name": each.name, "value": each.value or "", "url": self.url} for each in self.jar]
        )

    @property
    def cookie(self) -> str:
        """The header that a socket of this browser has."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.jar)


class Site:
    """An example in a process of its own, which may be killed and started again on the same port: the chat.

    Arguments:
        folder: where its database is.
        migration: the app and the migration that this database stops at.
    """

    example = "chat"
    settings = "chatsite.settings"
    database_variable = "CHAT_DATABASE"

    def __init__(self, folder: Path, migration: Sequence[str] = ()) -> None:
        self.database = folder / "db.sqlite3"
        self.log = folder / "server.log"
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        (folder / f"{self.example}_quick.py").write_text(QUICK_HASHES.format(self.settings))
        settings = ("REDIS_URL", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "HTTPS")
        self.environment = {key: value for key, value in os.environ.items() if key not in settings} | {
            **FOR_PROGRAMS,
            self.database_variable: str(self.database),
            "DJANGO_SETTINGS_MODULE": f"{self.example}_quick",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(folder)]),
        }
        self.process: Process | None = None
        self.manage("migrate", *migration)

    def manage(self, *arguments: str) -> None:
        """Runs a command that has to succeed."""
        status = self._manage(*arguments).wait(START_DEADLINE)
        assert status == 0, self.log.read_text()

    def start(self) -> None:
        """Starts the site and returns when it answers."""
        self.process = self._manage("runserver", "--noreload", self.address)
        deadline = time.monotonic() + START_DEADLINE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"The example site did not start:\n{self.log.read_text()}", pytrace=False)
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def execute(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        """Writes to the database directly."""
        database = sqlite3.connect(self.database)
        with database:
            database.executemany(statement, rows)
        database.close()

    def add_users(self, *names: str) -> None:
        """Makes accounts."""
        hashed = MD5PasswordHasher().encode(PASSWORD, "salt")
        self.execute(
            "INSERT OR IGNORE INTO auth_user (username, password, is_active, is_staff, is_superuser, first_name,"
            " last_name, email, date_joined) VALUES (?, ?, 1, 0, 0, '', '', '', '2026-01-01 12:00:00')",
            [(name, hashed) for name in names],
        )

    def log_in(self, name: str) -> Visitor:
        """Somebody with an account, logged in by the site's form."""
        self.add_users(name)
        visitor = Visitor(self.url)
        visitor.post("/login/", username=name, password=PASSWORD)
        return visitor

    def select(self, statement: str, *parameters: object) -> Any:
        """The single value of a query."""
        database = sqlite3.connect(self.database)
        (value,) = database.execute(statement, parameters).fetchone()
        database.close()
        return value

    def count(self, table: str, room: str) -> int:
        return int(self.select(f"SELECT count(*) FROM {table} WHERE room = ?", room))

    def _manage(self, *arguments: str) -> Process:
        command = [sys.executable, str(REPOSITORY / "examples" / self.example / "manage.py"), *arguments]
        with self.log.open("ab") as log:
            return start(command, REPOSITORY, self.environment, log)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("chat"))
    site.start()
    yield site
    site.kill()


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room that no other test uses."""
    name: str = request.node.name
    return name.removeprefix("test_").replace("_", "-")[:50]


@pytest.fixture(scope="module")
def windows(browser: Browser, site: Site) -> Windows:  # noqa: F811
    return Windows(browser, site.url)


@pytest.fixture
def open_page(windows: Windows, site: Site) -> Iterator[Callable[..., Page]]:
    """Opens a path of the site as a new visitor would, with nothing stored; scripts must not fail in it.

    With the name of a user, the visitor has logged in before.
    """
    with windows.visitors() as window:

        def open_page(path: str, user: str | None = None, **options: Any) -> Page:
            page = window(**options)
            if user:
                site.log_in(user).go_on_in(page)
            page.goto(path)
            return page

        yield open_page
    assert windows.errors == []


@pytest.fixture
def enter(open_page: Callable[..., Page], room: str) -> Callable[..., Page]:
    """Opens the test's room, takes a name there, and is connected."""

    def enter(name: str, **options: Any) -> Page:
        page = open_page(f"/rooms/{room}/", **options)
        page.get_by_label("Your name").fill(name)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Connected")
        return page

    return enter


class HeldBack:
    """Holds the first frame of a stream back, from a page's next load on, as if it came after later frames.

    Arguments:
        page: a fresh page that has one socket, with streams.
        stream: the stream.
    """

    def __init__(self, page: Page, stream: str) -> None:
        self._page = page
        self._stream = stream
        self._held: list[Callable[[], None]] = []
        self._passed = 0
        page.route_web_socket("**", self._connect)

    def _connect(self, client: WebSocketRoute) -> None:
        def passes(frame: str | bytes) -> None:
            if json.loads(frame)["stream"] == self._stream:
                self._held.append(lambda: client.send(frame))
            else:
                client.send(frame)
                self._passed += 1

        client.connect_to_server().on_message(passes)

    def release(self, after: int) -> None:
        """Let it through when so many frames of other streams have overtaken it."""
        deadline = time.monotonic() + START_DEADLINE
        while (self._passed < after or not self._held) and time.monotonic() < deadline:
            self._page.wait_for_timeout(10)  # lets the handlers run
        assert self._passed >= after
        for send in self._held:
            send()
