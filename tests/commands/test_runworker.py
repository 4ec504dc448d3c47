"""``manage.py runworker``: real processes over Redis, with an interface server and its clients before them."""

from __future__ import annotations

import os
import re
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import redis

from channels_classic.layers import RedisChannelLayer
from tests.conftest import LayerOn
from tests.interface_server.hosted import eventually
from tests.ports import free_port
from tests.programs import children_of, is_alive, running
from tests.project import DEADLINE, MANAGE, Project, Running, Site
from tests.redis_server import RedisServer

WAIT = 60.0  # seconds in one call to the layer

STARTED = re.compile(r"Worker (\d+), (\d+) thread\(s\), layer '(\w+)', channels: (.*)")

SETTINGS = """\
    SECRET_KEY = "for tests"
    DEBUG = True
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "myproject.urls"
    INSTALLED_APPS = ["django.contrib.staticfiles", "channels_classic", "myproject"]
    STATIC_URL = "/static/"
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
    LAYER = {"BACKEND": "channels_classic.layers.RedisChannelLayer", "ROUTING": "myproject.routing.routing"}
    CHANNEL_LAYERS = {
        "default": {**LAYER, "CONFIG": {"hosts": ["%(url)s"]}},
        "second": {**LAYER, "CONFIG": {"hosts": ["%(url)s"], "prefix": "second:", "stats_prefix": "second-meta:"}},
        "memory": {**LAYER, "BACKEND": "channels_classic.layers.InMemoryChannelLayer"},
    }
"""

CONSUMERS = """\
    import os
    import time
    from pathlib import Path

    from channels_classic import Channel

    VERSION = "%s"

    def receive(message):
        message.reply_channel.send({"text": f"{VERSION} {os.getpid()} {message['text']}"})

    def slow(message):
        # Until the test says so.
        Path(message["folder"], f"started-{message['number']}").touch()
        while not Path(message["folder"], "go").exists():
            time.sleep(0.01)
        Channel("answers").send({"number": message["number"]})

    def thumbnail(message):
        Channel("answers").send({"thumbnail": True})
"""

FILES = {
    "manage.py": MANAGE,
    "myproject/__init__.py": "",
    "myproject/routing.py": """\
        routing = {
            "websocket.receive": "myproject.consumers.receive",
            "slow": "myproject.consumers.slow",
            "thumbnails": "myproject.consumers.thumbnail",
        }
    """,
    "myproject/urls.py": """\
        import os
        import sys
        from django.db import connection
        from django.http import HttpResponse, JsonResponse
        from django.urls import path

        def query(request):
            before = connection.connection is not None
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            return JsonResponse({"open before": before, "queries": len(connection.queries)})

        urlpatterns = [
            path("pid/", lambda request: HttpResponse(str(os.getpid()))),
            path("query/", query),
            path("exit/", lambda request: sys.exit("a view that ends the program")),
        ]
    """,
    "myproject/static/page.css": "body { color: red }",
    "myproject/consumers.py": CONSUMERS % "old",
}


class Workers:
    """``runworker`` in a process of its own."""

    def __init__(self, program: Running) -> None:
        self.program = program

    @property
    def pids(self) -> list[int]:
        """The processes that have logged their channels, in order."""
        return [int(found[0]) for found in STARTED.findall(self.program.log)]

    @property
    def living(self) -> list[int]:
        return [pid for pid in self.pids if is_alive(pid)]

    def tell(self, number: int) -> None:
        self.program.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.tell(number)
        return self.program.process.wait(DEADLINE)


@pytest.fixture
def project(tmp_path: Path, redis_url: str) -> Project:
    return Project(tmp_path, {**FILES, "myproject/settings.py": SETTINGS % {"url": redis_url}})


@pytest.fixture
def layer(redis_url: str, layer_on: LayerOn) -> RedisChannelLayer:
    return layer_on([redis_url])


@contextmanager
def runworker(
    project: Project, *options: object, processes: int = 1, log: str = "worker.txt"
) -> Iterator[Workers]:
    """Workers that have started, until the end of the block."""
    with project.running("runworker", *map(str, options), log=log) as program:
        workers = Workers(program)
        program.wait(lambda: len(workers.pids) >= processes)
        try:
            yield workers
        finally:
            (project.folder / "go").touch()  # a test that failed keeps no consumer waiting


@pytest.fixture
def site(project: Project, redis_url: str) -> Iterator[Site]:
    """An interface server, without workers of its own."""
    port = free_port()
    command = [sys.executable, "-m", "interface_server", "--redis", redis_url, "--port", port]
    with running(command, project.folder, "interface.txt") as server, Site(port, server) as site:
        server.wait(site.listens)
        yield site


def answer(layer: RedisChannelLayer) -> dict[str, object]:
    """The next message on the channel that consumers answer on."""
    while True:
        for received in layer.receive_batch(["answers"], 1, WAIT):
            return received.content


def started(project: Project, number: int) -> bool:
    return (project.folder / f"started-{number}").exists()


def refusal(project: Project, *options: str) -> str:
    """The one line with which the command ends."""
    done = project.python("manage.py", "runworker", *options)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


# What it does.


def test_database_connections_end_with_the_request(project: Project, site: Site) -> None:
    with runworker(project):
        answers = [site.http.get("/query/").json() for _ in range(3)]
    assert answers == [{"open before": False, "queries": 1}] * 3


def test_it_serves_clients_of_an_interface_server(project: Project, site: Site) -> None:
    with runworker(project, "--threads", 3) as workers, site.connect() as client:
        (pid,) = workers.pids
        assert pid == workers.program.process.pid
        assert site.http.get("/pid/").text == str(pid)
        client.send("hello")
        assert client.recv() == f"old {pid} hello"
        assert "3 thread(s), layer 'default', channels: http.request, slow, thumbnails, websocket.connect," in (
            workers.program.log
        )


def test_a_view_that_ends_the_program_ends_its_request(project: Project, site: Site) -> None:
    with runworker(project) as workers:
        assert site.http.get("/exit/").status_code == 500
        assert site.http.get("/pid/").text == str(workers.pids[0])
        assert "SystemExit: a view that ends the program" in workers.program.log


def test_static_files_in_development(project: Project) -> None:
    with project.served("--noworker") as site, runworker(project):
        assert site.http.get("/static/page.css").text == "body { color: red }"


def test_threads_run_consumers_at_once(project: Project, layer: RedisChannelLayer) -> None:
    for number in range(3):
        layer.send("slow", {"number": number, "folder": str(project.folder)})
    with runworker(project, "--threads", 3) as workers:
        workers.program.wait(lambda: all(started(project, number) for number in range(3)))
        (project.folder / "go").touch()
        assert {answer(layer)["number"] for _ in range(3)} == {0, 1, 2}


def test_which_channels(project: Project, layer: RedisChannelLayer) -> None:
    layer.send("slow", {"number": 1, "folder": str(project.folder)})
    with runworker(project, "--only-channels", "thumb*", "--only-channels", "http.*") as workers:
        assert STARTED.findall(workers.program.log)[0][3] == "http.request, thumbnails"
        layer.send("thumbnails", {})
        assert answer(layer) == {"thumbnail": True}
    with runworker(project, "--exclude-channels", "websocket.*", "--exclude-channels", "slow") as workers:
        assert STARTED.findall(workers.program.log)[0][3] == "http.request, thumbnails"
    assert not started(project, 1)


def test_options_by_the_environment(project: Project, layer: RedisChannelLayer) -> None:
    project.environment |= {"CHANNELS_WORKER_THREADS": "2", "CHANNELS_WORKER_ONLY_CHANNELS": "thumb* http.*"}
    with runworker(project, "--threads", 3) as workers:
        assert STARTED.findall(workers.program.log)[0][1:] == ("3", "default", "http.request, thumbnails")
    project.environment["CHANNELS_WORKER_THREADS"] = "two"
    assert refusal(project) == "CommandError: CHANNELS_WORKER_THREADS must be a whole number, not 'two'."


def test_another_layer(project: Project, layer: RedisChannelLayer, redis_url: str, layer_on: LayerOn) -> None:
    second = layer_on([redis_url], prefix="second:", stats_prefix="second-meta:")
    second.send("thumbnails", {})
    with runworker(project, "--layer", "second"):
        # Consumers send on the layer "default" unless they say otherwise.
        assert answer(layer) == {"thumbnail": True}


def test_verbosity_2_logs_each_message(project: Project, layer: RedisChannelLayer) -> None:
    for verbosity in (1, 2):
        with runworker(project, "-v", verbosity, log=f"{verbosity}.txt") as workers:
            layer.send("thumbnails", {})
            assert answer(layer) == {"thumbnail": True}
        assert bool(re.search(r"DEBUG +thumbnails", workers.program.log)) == (verbosity == 2)


def test_reload(project: Project, layer: RedisChannelLayer) -> None:
    with runworker(project, "--reload") as workers:
        consumers = project.folder / "myproject" / "consumers.py"
        project.write({"myproject/consumers.py": (CONSUMERS % "new").replace("True", "VERSION")})
        moments = count(4_000_000_000)

        def runs_the_new_code() -> bool:
            # Django sees no change that came before its first look at the files.
            if len(workers.pids) == 1:
                os.utime(consumers, (moment := next(moments), moment))
            layer.send("thumbnails", {})
            return {"thumbnail": "new"} in [each.content for each in layer.receive_batch(["answers"], 1, 1.0)]

        workers.program.wait(runs_the_new_code)


def test_idle_programs_do_nothing(project: Project, site: Site, redis_url: str) -> None:
    with (
        runworker(project, "--threads", 4) as workers,
        site.connect() as client,
        redis.Redis.from_url(redis_url) as looker,
    ):
        looks = count(1)

        def done() -> list[int]:
            """The commands that Redis has carried out, and how often each of the threads has gone to sleep."""
            commands: int = looker.info("stats")["total_commands_processed"]
            sleeps = [
                int(*re.findall(r"\bvoluntary_ctxt_switches:\s+(\d+)", status.read_text()))
                for process in (workers.program.process, site.server.process)
                for status in sorted(Path(f"/proc/{process.pid}/task").glob("*/status"))
            ]
            return [commands - next(looks), *sleeps]

        client.send("hello")
        client.recv()
        # Those that wait look now and then whether Redis still has its data, and both processes beat,
        # by a script of some twenty commands. To poll would take thousands.
        deadline = time.monotonic() + DEADLINE
        rate = float("inf")
        while rate > 100 and time.monotonic() < deadline:
            begun, before = time.monotonic(), sum(done())
            time.sleep(2)
            rate = (sum(done()) - before) / (time.monotonic() - begun)
        assert rate <= 100


# What cannot be.


REFUSE_ALL = """
import sys
import django
from django.core.management import CommandError, call_command

django.setup()
for options in sys.argv[1:]:
    try:
        call_command("runworker", *options.split())
    except CommandError as error:
        print(error)
"""


def test_invalid_options_are_one_line(project: Project) -> None:
    known = "it has: 'default', 'second', 'memory'."
    assert refusal(project, "--layer", "third") == f"CommandError: CHANNEL_LAYERS has no 'third'; {known}"
    project.write({"myproject/gone.py": "routing = {'slow': 'myproject.consumers.gone'}"})
    settings = project.folder / "myproject" / "settings.py"
    settings.write_text(
        f"{settings.read_text()}CHANNEL_LAYERS['gone'] = LAYER | {{'ROUTING': 'myproject.gone.routing'}}\n"
    )
    project.environment["DJANGO_SETTINGS_MODULE"] = "myproject.settings"
    refusals = {
        "--layer memory": "Set its BACKEND to channels_classic.layers.RedisChannelLayer",
        "--threads 0": "--threads must be 1 or more, not 0.",
        "--processes -1": "--processes must be 1 or more, not -1.",
        "--reload --processes 2": "--reload is for a single process",
        "--reload --max-messages 5": "--reload is for development",
        "--max-memory lots": "--max-memory must be a size with its unit",
        "--only-channels nothing*": "leave none of the channels",
        "--layer gone --processes 2": "myproject.consumers.gone",
    }
    (project.folder / "refuse_all_manage.py").write_text(REFUSE_ALL)
    done = project.python("refuse_all_manage.py", *refusals)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(text in line for text, line in zip(refusals.values(), lines, strict=True)), lines
    assert lines[0].startswith("CHANNEL_LAYERS['memory'] is InMemoryChannelLayer, which works inside one")
    assert "CHANNEL_LAYERS['gone']['ROUTING']" in lines[-1]


def test_redis_that_is_not_there_yet(project: Project, layer_on: LayerOn) -> None:
    with RedisServer(port=free_port()) as redis:
        redis.stop()
        project.write({"myproject/settings.py": SETTINGS % {"url": redis.url}})
        with runworker(project) as workers:
            workers.program.wait("The channel layer cannot be reached; trying again.")
            redis.start()
            layer = layer_on([redis.url])
            layer.send("thumbnails", {})
            assert answer(layer) == {"thumbnail": True}
            assert "Traceback" not in workers.program.log


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_ends_it_when_what_runs_has_finished(
    project: Project, layer: RedisChannelLayer, number: signal.Signals, processes: int
) -> None:
    with runworker(project, "--processes", processes, processes=processes) as workers:
        for position in range(4):
            layer.send("slow", {"number": position, "folder": str(project.folder)})
        workers.program.wait(lambda: sum(started(project, position) for position in range(4)) == processes)
        running = {position for position in range(4) if started(project, position)}
        workers.tell(number)
        if processes == 1:
            assert workers.program.process.poll() is None
        (project.folder / "go").touch()
        assert workers.program.process.wait(DEADLINE) == 0
        assert "Traceback" not in workers.program.log
        assert not workers.living
    # What ran has finished, and what was not started (before the supervisor had told them) is there for others.
    finished, left = (
        [received.content["number"] for received in layer.receive_batch([channel], 10)]
        for channel in ("answers", "slow")
    )
    assert running <= set(finished)
    assert sorted(finished + left) == [0, 1, 2, 3]


def test_a_second_signal_does_not_wait(project: Project, layer: RedisChannelLayer) -> None:
    with runworker(project, "--processes", 2, processes=2) as workers:
        layer.send("slow", {"number": 1, "folder": str(project.folder)})
        workers.program.wait(lambda: started(project, 1))
        workers.tell(signal.SIGTERM)
        workers.program.wait(lambda: len(workers.living) == 1)
        workers.stop()
        assert "not waiting for the worker processes" in workers.program.log
        assert not workers.living


@contextmanager
def ending_without_redis(project: Project) -> Iterator[tuple[Workers, RedisServer]]:
    """A worker that is stopping, with an answer for a Redis that is away."""
    with RedisServer() as redis:
        project.write(
            {
                "myproject/settings.py": SETTINGS % {"url": redis.url},
                "myproject/consumers.py": "from worker import finish\nfinish.OUTAGE_SECONDS = 3600\n"
                + textwrap.dedent(CONSUMERS % "patient"),
            }
        )
        layer = RedisChannelLayer(hosts=[redis.url])
        with runworker(project) as workers:
            layer.send("slow", {"number": 1, "folder": str(project.folder)})
            layer.close()
            workers.program.wait(lambda: started(project, 1))
            redis.stop()
            workers.tell(signal.SIGTERM)
            (project.folder / "go").touch()
            workers.program.wait("The worker has to wait for the channel layer before it can end.")
            yield workers, redis


def test_sends_wait_for_redis_at_the_end(project: Project, layer_on: LayerOn) -> None:
    with ending_without_redis(project) as (workers, redis):
        redis.start()
        assert answer(layer_on([redis.url])) == {"number": 1}
        assert workers.program.process.wait(DEADLINE) == 0
        assert "Lost" not in workers.program.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_wait_for_redis(project: Project, number: signal.Signals) -> None:
    with ending_without_redis(project) as (workers, _):
        assert workers.stop(number) == 0
        assert "0 messages that it had not started, 1 that consumers had sent" in workers.program.log


# Several processes.


def test_a_process_that_dies_is_replaced(project: Project, site: Site) -> None:
    with runworker(project, "--processes", 2, processes=2) as workers, site.connect() as client:
        first, second = workers.pids
        assert set(children_of(workers.program.process.pid)) >= {first, second}
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        ended = "One worker process ended with status -9; another starts"
        workers.program.wait(lambda: workers.program.log.count(ended) == 2 and len(workers.living) == 2)
        client.send("hello")
        version, pid, _ = str(client.recv()).split()
        assert (version, int(pid) in workers.living) == ("old", True)
        assert workers.stop() == 0


def test_sighup_renews_the_code_and_no_client_notices(
    project: Project, site: Site, layer: RedisChannelLayer
) -> None:
    with runworker(project, "--processes", 2, processes=2) as workers, site.connect() as client:
        former = workers.pids
        client.send("one")
        assert str(client.recv()).startswith("old ")
        # One of the old processes has long to do.
        layer.send("slow", {"number": 1, "folder": str(project.folder)})
        workers.program.wait(lambda: started(project, 1))

        project.write({"myproject/consumers.py": CONSUMERS % "new"})
        workers.tell(signal.SIGHUP)
        # Meanwhile the client goes on: each frame is answered, by the old code or by the new one.
        versions = []
        while versions[-20:] != ["new"] * 20:
            client.send(f"frame {len(versions)}")
            version, _, frame, number = str(client.recv()).split()
            assert (frame, int(number)) == ("frame", len(versions))
            versions.append(version)
        assert "The worker processes are renewed." in workers.program.log
        workers.program.wait(lambda: len(set(former) & set(workers.living)) == 1)
        (project.folder / "go").touch()
        assert answer(layer) == {"number": 1}
        workers.program.wait(lambda: not set(former) & set(workers.living))
        assert len(workers.living) == 2

        # And once more, from a state that was renewed already.
        project.write({"myproject/consumers.py": CONSUMERS % "newest"})
        workers.tell(signal.SIGHUP)
        workers.program.wait(lambda: workers.program.log.count("The worker processes are renewed.") == 2)
        workers.program.wait(lambda: len(workers.living) == 2)
        client.send("last")
        assert str(client.recv()).startswith("newest ")
        assert workers.stop() == 0
        assert "Traceback" not in workers.program.log


def test_renewals_that_come_together_end_with_the_newest_code(project: Project, site: Site) -> None:
    with runworker(project, "--processes", 2, processes=2) as workers, site.connect() as client:
        workers.tell(signal.SIGHUP)
        workers.program.wait("Renewing 2 worker processes.")
        project.write({"myproject/consumers.py": CONSUMERS % "newest"})
        workers.tell(signal.SIGHUP)
        workers.program.wait(lambda: workers.program.log.count("The worker processes are renewed.") == 2)
        workers.program.wait(lambda: len(workers.living) == 2)
        client.send("hello")
        assert str(client.recv()).startswith("newest ")


def test_new_code_that_cannot_start_leaves_the_old_processes(project: Project, site: Site) -> None:
    with runworker(project, "--processes", 2, processes=2) as workers, site.connect() as client:
        former = set(workers.pids)
        project.write({"myproject/consumers.py": "def broken(:\n"})
        workers.tell(signal.SIGHUP)
        workers.program.wait("A new worker process could not start: the old ones stay.")
        assert "SyntaxError" in workers.program.log
        assert set(workers.living) == former
        client.send("hello")
        assert str(client.recv()).startswith("old ")

        project.write({"myproject/consumers.py": CONSUMERS % "mended"})
        workers.tell(signal.SIGHUP)
        workers.program.wait("The worker processes are renewed.")
        workers.program.wait(lambda: not former & set(workers.living))
        client.send("hello")
        assert str(client.recv()).startswith("mended ")
        assert workers.stop() == 0


def test_processes_do_not_outlive_their_supervisor(project: Project, layer: RedisChannelLayer) -> None:
    with runworker(project, "--processes", 2, processes=2) as workers:
        layer.send("slow", {"number": 1, "folder": str(project.folder)})
        workers.program.wait(lambda: started(project, 1))
        workers.stop(signal.SIGKILL)
        eventually(lambda: len(workers.living) == 1)
        (project.folder / "go").touch()
        assert answer(layer) == {"number": 1}
        eventually(lambda: not workers.living)
