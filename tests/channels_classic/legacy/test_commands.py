"""Projects that extend ``runserver`` and ``runworker`` as they could in Channels 1."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from channels_classic.legacy.management.commands import runserver, runworker
from channels_classic.log import logger
from tests.project import LEGACY_MANAGE, Project
from tests.redis_server import RedisServer

SETTINGS = """\
import channels_classic.legacy
SECRET_KEY = "for tests"
DEBUG = True
INSTALLED_APPS = ["tools", "channels"]
ROOT_URLCONF = "tools.urls"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [("127.0.0.1", PORT)]},
        "ROUTING": "tools.routing.channel_routing",
    },
}
"""

ROUTING = """\
from channels.routing import route

def echo(message):
    message.reply_channel.send({"text": message.content["text"]})

channel_routing = [route("websocket.receive", echo)]
"""

RUNWORKER = """\
from channels.management.commands import runworker

class Command(runworker.Command):
    def consumer_called(self, channel, message):
        self.logger.warning("about to run %s for %s", channel, message["path"])
"""

REPLACED = """\
from channels.management.commands import runworker

class OwnWorker(runworker.Worker):
    def run(self):
        print("own worker", flush=True)
        super().run()

class OwnGroup(runworker.WorkerGroup):
    def run(self):
        print("own group of", len(self.threads), flush=True)
        super().run()

runworker.Worker = OwnWorker
runworker.WorkerGroup = OwnGroup
Command = runworker.Command
"""

RUNSERVER = """\
from channels.handler import AsgiHandler
from channels.management.commands import runserver
from django.http import HttpResponse

def hello(message):
    for chunk in AsgiHandler.encode_response(HttpResponse("hello from the consumer")):
        message.reply_channel.send(chunk)

class Command(runserver.Command):
    def get_consumer(self, *args, **options):
        return hello

    def log_action(self, protocol, action, details):
        if details["path"] != "/quiet":
            super().log_action(protocol, action, details)
"""

OWN_SERVER = """\
from channels.management.commands.runserver import Command as RunServer

class OwnServer:
    def __init__(self, channel_layer, endpoints, signal_handlers, http_timeout, root_path, **options):
        print("serve", type(channel_layer.channel_layer).__name__, *endpoints, signal_handlers, flush=True)
        print(http_timeout, repr(root_path), options.pop("websocket_handshake_timeout"), flush=True)
        options.pop("action_logger")("http", "complete", {
            "method": "GET", "path": "/\\x1b/", "status": 200, "time_taken": 0.5, "client": "1.2.3.4:5",
        })
        self.layer, self.options = channel_layer, options

    def run(self):
        reply = self.layer.new_channel("reply?")
        self.layer.send("websocket.receive", {"reply_channel": reply, "path": "/", "text": "hi"})
        content = None
        while content is None:
            channel, content = self.layer.receive([reply], block=True)
        print(self.options, content, flush=True)

class Command(RunServer):
    server_cls = OwnServer
"""


OWN_RUN = """\
from channels import channel_layers
from channels.management.commands import runserver
from channels.management.commands.runserver import Server, WorkerThread

class Command(runserver.Command):
    def inner_run(self, *args, **options):
        layer = channel_layers["default"]
        layer.router.check_default(http_consumer=self.get_consumer(*args, **options))
        for _ in range(2):
            WorkerThread(layer, self.logger).start()
        Server(
            channel_layer=layer,
            host=self.addr,
            port=int(self.port),
            signal_handlers=not options["use_reloader"],
            action_logger=self.log_action,
            http_timeout=60,
            ws_protocols=None,
        ).run()

    def log_action(self, protocol, action, details):
        self.stdout.write("%s %s" % (action, details["path"]))
"""


@pytest.fixture
def project(tmp_path: Path, redis_server: RedisServer, redis_url: str) -> Project:
    commands = "tools/management/commands"
    return Project(
        tmp_path,
        {
            "manage.py": LEGACY_MANAGE.replace("myproject.settings", "settings"),
            "settings.py": SETTINGS.replace("PORT", str(redis_server.port)),
            "tools/__init__.py": "",
            "tools/routing.py": ROUTING,
            "tools/urls.py": "urlpatterns = []",
            "tools/management/__init__.py": "",
            f"{commands}/__init__.py": "",
        },
    )


def test_a_worker_that_says_what_it_runs(project: Project) -> None:
    project.write({"tools/management/commands/runworker.py": RUNWORKER})
    with project.running("runworker", "-v", "2") as worker, project.served("--noworker") as site:
        with site.connect("/room") as client:
            client.send("hello")
            assert client.recv() == "hello"
        worker.wait("about to run websocket.receive for /room")
        assert worker.end() == 0
    done = project.python("manage.py", "runworker", "-v", "2", "--processes", "2", "--max-messages", "5")
    assert done.returncode == 1
    assert "--processes, --max-messages cannot be used here: the project overrides consumer_called" in done.stderr


@pytest.mark.parametrize(("options", "said"), [((), "own worker"), (("--threads", "3"), "own group of 3")])
def test_a_worker_of_the_project(project: Project, options: tuple[str, ...], said: str) -> None:
    project.write({"tools/management/commands/runworker.py": REPLACED})
    with project.running("runworker", *options) as worker, project.served("--noworker") as site:
        worker.wait(said)
        with site.connect() as client:
            client.send("hello")
            assert client.recv() == "hello"
        assert worker.end() == 0


def test_a_server_with_another_consumer_and_log(project: Project) -> None:
    project.write({"tools/management/commands/runserver.py": RUNSERVER})
    with project.served() as site:
        assert site.http.get("/quiet").text == "hello from the consumer"
        assert site.http.get("/said?a=b").text == "hello from the consumer"
        with site.connect("/room") as client:
            client.send("hello")
            assert client.recv() == "hello"
        site.server.wait("WebSocket DISCONNECT /room [127.0.0.1:")
        lines = [line.partition("] ")[2] for line in site.server.log.splitlines()]
    assert [line.partition(" [")[0] for line in lines if line.startswith(("HTTP", "WebSocket"))] == [
        "HTTP GET /said?a=b 200",
        "WebSocket HANDSHAKING /room",
        "WebSocket CONNECT /room",
        "WebSocket DISCONNECT /room",
    ]


def test_a_server_of_the_project(project: Project) -> None:
    project.write({"tools/management/commands/runserver.py": OWN_SERVER})
    said = project.manage("runserver", "--noreload", "127.0.0.1:8123")
    assert "serve RedisChannelLayer tcp:port=8123:interface=127.0.0.1 True" in said
    assert "60 '' 5" in said
    assert r"HTTP GET /\x1b/ 200 [0.50, 1.2.3.4:5]" in said
    assert "{'ws_protocols': None} {'text': 'hi'}" in said


def test_a_command_that_starts_threads_and_server_by_itself(project: Project) -> None:
    project.write({"tools/management/commands/runserver.py": OWN_RUN})
    with project.served() as site:
        assert site.http.get("/page").status_code == 200
        with site.connect("/room") as client:
            client.send("hello")
            assert client.recv() == "hello"
        for line in ("complete /page", "connecting /room", "connected /room", "disconnected /room"):
            site.server.wait(line)
    assert site.server.end() == 0


@pytest.mark.parametrize("status", [101, 204, 301, 304, 400, 404, 503])
def test_every_status_has_a_line(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(runserver.sys, "stderr", written)
    details = {"method": "GET", "path": "/", "status": status, "time_taken": 0.126, "client": None}
    command = runserver.Command()
    command.log_action("http", "complete", details)
    command.log_action("http", "begun", details)
    command.log_action("websocket", "wondering", details)
    assert written.getvalue().count("\n") == 1
    assert f"HTTP GET / {status} [0.13, None]" in written.getvalue()


@pytest.fixture
def logger_as_before() -> Iterator[None]:
    """What a command does to the logger of its process is undone."""
    handlers, level = [*logger.handlers], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.usefixtures("logger_as_before")
def test_a_layer_in_memory_has_no_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runworker, "Worker", None)
    with pytest.raises(CommandError, match="InMemoryChannelLayer, which works inside one process only"):
        call_command(runworker.Command())


@pytest.mark.usefixtures("logger_as_before")
def test_a_layer_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runworker, "Worker", None)
    with pytest.raises(CommandError, match="missing"):
        call_command(runworker.Command(), layer="missing")
    with pytest.raises(CommandError, match="--threads must be 1 or more"):
        call_command(runworker.Command(), threads="0")


@pytest.mark.usefixtures("logger_as_before")
def test_what_a_replaced_worker_is_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    from channels_classic.asgi import ChannelLayerWrapper, channel_layers
    from channels_classic.layers import InMemoryChannelLayer

    class Shared(InMemoryChannelLayer):
        """Of a project, which may reach other processes."""

    class Interrupted:
        made: list[Any] = []

        def __init__(self, **options: Any) -> None:
            self.made.append(options)

        def ready(self) -> None: ...

        def run(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(runworker, "Worker", Interrupted)
    layer = ChannelLayerWrapper(Shared(), "default", [])
    former = channel_layers.set("default", layer)
    try:
        call_command(runworker.Command())
        call_command(runworker.Command(), only_channels=["http.*"], verbosity=2)
    finally:
        channel_layers.set("default", former)
    plain, verbose = Interrupted.made
    assert plain == {"channel_layer": layer, "callback": None, "only_channels": None, "exclude_channels": None}
    assert verbose["only_channels"] == ["http.*"]
    verbose["callback"]("http.request", {})
