"""The tutorial: the project works after each section."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from tests.docs.tutorial import PREPARATIONS, Block, Reader, read
from tests.project import Project, Site, Socket
from tests.redis_server import RedisServer

PASSWORD = "correct horse battery staple"
SECTIONS = read()


@dataclass(frozen=True)
class Step:
    """The project after a section of the page, and what the section has beyond files."""

    project: Project
    servers: list[list[str]]
    blocks: list[Block]

    @contextmanager
    def running(self) -> Iterator[Site]:
        """The site, started as the page says, but for ``--reload``."""
        with ExitStack() as stack:
            site = None
            for name, *options in self.servers:
                if name == "runserver":
                    site = stack.enter_context(self.project.served(*options))
                else:
                    worker = stack.enter_context(self.project.running(name, *without_reload(options)))
                    worker.wait("websocket.receive")  # it says what it listens to
            assert site, "The page has not said how to start the site."
            yield site

    def do(self) -> None:
        """Run the commands of the section that are for a complete and running site."""
        commands = [command for block in self.blocks for command in block.commands()]
        others = [words[2:] for words in commands if words[:2] == ["python", "manage.py"]]
        others = [words for words in others if words[0] not in {"runserver", "runworker", *PREPARATIONS}]
        assert others
        for words in others:
            self.project.manage(*words)


def without_reload(options: list[str]) -> list[str]:
    """The options of a worker that keeps its interpreter: a new one takes most of the CPU of a section."""
    return [option for option in options if option != "--reload"]


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> dict[str, Step]:
    """The project after each section, in a folder of its own."""
    reader = Reader(tmp_path_factory.mktemp("reader"), f"{redis_server.host}:{redis_server.port}", PASSWORD)
    steps = {}
    for section, blocks in SECTIONS.items():
        reader.type_in(blocks)
        project = Project(tmp_path_factory.mktemp("step") / "mysite")
        project.environment = reader.project.environment
        shutil.copytree(reader.project.folder, project.folder)
        steps[section] = Step(project, reader.servers, blocks)
    return steps


def a_project(step: Step) -> None:
    with step.running() as site, site.connect():
        assert "The install worked successfully" in site.http.get("/").text


def a_first_consumer(step: Step) -> None:
    with step.running() as site, site.connect() as client:
        client.send("hello")
        assert client.recv() == "You said: hello"
        assert "The install worked" in site.http.get("/").text


def a_page(step: Step) -> None:
    with step.running() as site:
        assert '<form id="microphone">' in site.http.get("/").text
        assert site.http.get("/admin/login/").status_code == 200


def groups(step: Step) -> None:
    with step.running() as site, site.connect() as one, site.connect() as other:
        one.send("over")
        assert one.recv() == other.recv() == "over"
        with site.connect() as third:
            third.send("hello")
            assert one.recv() == other.recv() == third.recv() == "hello"


def several_processes(step: Step) -> None:
    with ExitStack() as stack:
        (command,) = [command for command in step.servers if command[0] == "runworker"]
        site = stack.enter_context(Step(step.project, step.servers[:1], []).running())
        assert "No worker threads" in site.server.log
        with step.project.running(*command) as worker:
            worker.wait("websocket.receive")
            client = stack.enter_context(site.connect())
            handled = worker.log.count("websocket.receive")
            client.send("hello")
            assert client.recv() == "hello"
            worker.wait(lambda: worker.log.count("websocket.receive") > handled)
            assert worker.end() == 0
        client.send("is anybody there?")
        with step.project.running(*without_reload(command)):
            assert client.recv() == "is anybody there?"
    # And all in one, as the page says.
    with Step(step.project, [["runserver"]], []).running() as site, site.connect() as client:
        client.send("hello")
        assert client.recv() == "hello"


def sessions(step: Step) -> None:
    with step.running() as site, ExitStack() as stack:
        queries = ("?band=marine", "?band=Marine!", "", "?band=%F0%9F%93%BB")
        one, same, unnamed, unspeakable = [stack.enter_context(site.connect(f"/{query}")) for query in queries]
        for text in ("ahoy", "anybody?"):
            one.send(text)
            assert one.recv() == same.recv() == text
        unspeakable.send("hello")
        assert unspeakable.recv() == unnamed.recv() == "hello"


@contextmanager
def log_in(site: Site, name: str) -> Iterator[httpx.Client]:
    """A browser in which somebody has logged in at the admin."""
    # As in Site: without the certificates.
    with httpx.Client(
        base_url=site.http.base_url, timeout=site.http.timeout, trust_env=False, verify=False
    ) as client:
        page = client.get("/admin/login/").text
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        form = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": token}
        answer = client.post("/admin/login/", params={"next": "/admin/"}, data=form)
        assert answer.status_code == 302, answer.text
        yield client


def tune_in(site: Site, who: httpx.Client, path: str = "/") -> AbstractContextManager[Socket]:
    """The socket of a page of the site, in the browser of somebody who has logged in."""
    origin = f"http://127.0.0.1:{site.port}"
    return site.connect(path, origin=origin, cookie=f"sessionid={who.cookies['sessionid']}")


def users(step: Step) -> None:
    with step.running() as site:
        names_and_strangers(site)


def names_and_strangers(site: Site) -> None:
    """Users who have logged in are heard by their names, and others are not heard."""
    with log_in(site, "ada") as ada, log_in(site, "grace") as grace, ExitStack() as stack:
        one = stack.enter_context(tune_in(site, ada, "/?band=marine"))
        other = stack.enter_context(tune_in(site, grace, "/?band=marine"))
        one.send("ahoy")
        assert one.recv() == other.recv() == "ada: ahoy"
        other.send("ahoy yourself")
        assert one.recv() == other.recv() == "grace: ahoy yourself"

        cookie = f"sessionid={ada.cookies['sessionid']}"
        own, foreign = f"http://127.0.0.1:{site.port}", "https://elsewhere.example"
        for headers in ({"origin": own}, {"cookie": cookie}, {"origin": foreign, "cookie": cookie}):
            with pytest.raises(InvalidStatus, match="403"), site.connect("/?band=marine", **headers):
                pass

        token = grace.cookies["csrftoken"]
        assert grace.post("/admin/logout/", data={"csrfmiddlewaretoken": token}).status_code == 200
        other.send("still here?")
        with pytest.raises(ConnectionClosedOK):
            other.recv()


def users_in_the_short_form(step: Step) -> None:
    with step.running() as site, log_in(site, "ada") as ada:
        names_and_strangers(site)
        path = f"/?session_key={ada.cookies['sessionid']}"
        with site.connect(path, origin=f"http://127.0.0.1:{site.port}") as client:
            client.send("hello")
            assert client.recv() == "ada: hello"


def logged(step: Step) -> list[tuple[str, str, str]]:
    """Band, caller and text of all calls in the database."""
    rows = [row["fields"] for row in json.loads(step.project.manage("dumpdata", "radio.Call"))]
    return [(row["band"], row["caller"], row["text"]) for row in rows]


def models(step: Step) -> None:
    with step.running() as site, log_in(site, "ada") as ada, tune_in(site, ada) as client:
        client.send("hello")
        assert client.recv() == "ada: hello"
        step.do()
        assert client.recv() == "station: Strong wind from the west"
    assert logged(step) == [("open", "ada", "hello"), ("open", "station", "Strong wind from the west")]


def slight_ordering(step: Step) -> None:
    with step.running() as site, log_in(site, "ada") as ada:
        said = []
        for number in range(20):
            with tune_in(site, ada, "/?band=busy") as client:
                client.send(str(number))  # while tune_in may still be at work
                said.append(f"ada: {number}")
                assert [client.recv() for _ in said[-11:]] == said[-11:]


def strict_ordering(step: Step) -> None:
    with step.running() as site, log_in(site, "ada") as ada, tune_in(site, ada) as client:
        words = [f"word {number}" for number in range(1, 51)]
        for word in words:
            client.send(word)
        heard = sorted(str(client.recv()) for _ in words)
    assert heard == sorted(f"ada: ({number}) {word}" for number, word in enumerate(words, 1))


EXERCISES: dict[str, Callable[[Step], None]] = {
    "A project": a_project,
    "A first consumer": a_first_consumer,
    "A page": a_page,
    "Groups": groups,
    "Several processes": several_processes,
    "Sessions": sessions,
    "Users": lambda step: None,  # only accounts are made
    "Step by step": users,
    "The short form": users_in_the_short_form,
    "Models": models,
    "Slight ordering": slight_ordering,
    "Strict ordering": strict_ordering,
}


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize("section", SECTIONS)
def test_section(steps: dict[str, Step], section: str) -> None:
    EXERCISES[section](steps[section])


def test_every_block_belongs_to_a_section() -> None:
    assert list(SECTIONS) == list(EXERCISES), "Each section with code needs an exercise here, and only those."
    languages = {name: {block.language for block in blocks} for name, blocks in SECTIONS.items()}
    assert {name for name in languages if "js" in languages[name]} == {"A first consumer"}
    assert {name for name in languages if "html" in languages[name]} == {"A page"}
    assert not {block.language for block in SECTIONS["Users"]} - {"sh"}


def test_in_the_console_of_a_browser(steps: dict[str, Step], browser: Browser) -> None:
    (script,) = [block.text for block in SECTIONS["A first consumer"] if block.language == "js"]
    script = script.replace("127.0.0.1:8000", "${location.host}").replace('"ws:', "`ws:").replace('/");', "/`);")
    with steps["A first consumer"].running() as site, browser.new_page(base_url=str(site.http.base_url)) as page:
        for typed in ("all at once", "line by line"):
            page.goto("/")
            with page.expect_console_message(lambda message: message.type == "log") as message:
                for part in [script] if typed == "all at once" else script.splitlines():
                    page.evaluate(f"{part}; 0")
                    if typed == "line by line":
                        page.wait_for_function("() => socket.readyState === WebSocket.OPEN")
            assert message.value.text == "You said: one two, one two", typed


@pytest.mark.usefixtures("redis_url")
def test_the_page_in_two_browsers(steps: dict[str, Step], browser: Browser) -> None:
    with (
        steps["Sessions"].running() as site,
        browser.new_page(base_url=str(site.http.base_url)) as one,
        browser.new_page(base_url=str(site.http.base_url)) as other,
    ):
        for page in (one, other):
            page.goto("/?band=marine")
            expect(page.get_by_text("(on the air)")).to_be_visible()
        one.get_by_placeholder("Say something").fill("<b>ahoy</b>")
        one.get_by_role("button", name="Send").click()
        for page in (one, other):
            expect(page.get_by_text("<b>ahoy</b>")).to_be_visible()
        expect(one.get_by_placeholder("Say something")).to_have_value("")
