"""``--tracing`` of real programs, whose spans go to a file."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.ports import free_port
from tests.project import DEADLINE, MANAGE, Project
from tests.redis_server import RedisServer

FILES = {
    "manage.py": MANAGE.replace("myproject", "mysite"),
    "mysite/__init__.py": "",
    "mysite/settings.py": """
        SECRET_KEY = "for tests"
        DEBUG = True
        INSTALLED_APPS = ["channels_classic"]
        CHANNEL_LAYERS = {{
            "default": {{
                "BACKEND": "channels_classic.layers.RedisChannelLayer",
                "ROUTING": "mysite.routing.routing",
                "CONFIG": {{"hosts": ["{url}"]}},
            }}
        }}
        """,
    "mysite/tracing.py": """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        def line(span):
            return f"{span.context.trace_id:032x} {span.name}\\n"

        exporter = ConsoleSpanExporter(out=open("spans.txt", "a"), formatter=line)
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=600_000))
        trace.set_tracer_provider(provider)
        """,
    "mysite/routing.py": """
        from channels_classic import route

        def accept(message):
            message.reply_channel.send({"accept": True})

        def speak(message):
            message.reply_channel.send({"text": message["text"]})

        routing = [route("websocket.connect", accept), route("websocket.receive", speak)]
        """,
    "mysite/asgi.py": """
        import os

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

        from channels_classic.asgi import get_channel_layer

        channel_layer = get_channel_layer()
        """,
}

TRACED = {
    "mysite/settings.py": f"from mysite import tracing\n{FILES['mysite/settings.py'].replace('        ', '')}"
}
WORKER = ("-m", "worker", "--settings", "mysite.settings", "--tracing")
INTERFACE = ("-m", "interface_server", "mysite.asgi:channel_layer", "--tracing")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


def project(folder: Path, redis: RedisServer, files: dict[str, str]) -> Project:
    texts = {path: text.format(url=redis.url) if "{url}" in text else text for path, text in files.items()}
    return Project(folder, texts)


FRAME = ["deliver", "mysite.routing.speak", "queue websocket.receive", "send reply", "websocket.receive"]
"""The spans of a frame and its answer, sorted."""


def spans_of_frame(folder: Path) -> list[str]:
    """The names of the spans in the trace of the only frame, sorted."""
    spans = [line.split(" ", 1) for line in (folder / "spans.txt").read_text().splitlines()]
    (trace,) = [trace for trace, name in spans if name == "websocket.receive"]
    return sorted(name for of, name in spans if of == trace)


def exchange_frame(port: int) -> None:
    """Send a frame, and receive its answer."""
    with connect(f"ws://127.0.0.1:{port}/", compression=None, proxy=None, open_timeout=DEADLINE) as client:
        client.send("hello")
        assert client.recv(DEADLINE) == "hello"


def test_a_frame_through_both_programs(tmp_path: Path, redis: RedisServer) -> None:
    site = project(tmp_path, redis, FILES | TRACED)
    port, options = free_port(), ("--processes", "2")
    interface = site.running("--port", str(port), *options, program=INTERFACE, log="1.txt")
    worker = site.running(*options, program=WORKER, log="2.txt")
    with interface as server, worker as workers:
        server.wait("The channel layer answers")
        workers.wait("thread(s)")
        exchange_frame(port)
        for program in (server, workers):
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(DEADLINE) == 0, program.log
    assert spans_of_frame(tmp_path) == FRAME


def test_a_frame_through_runserver(tmp_path: Path, redis: RedisServer) -> None:
    site = project(tmp_path, redis, FILES | TRACED)
    with site.served("--tracing") as served:
        exchange_frame(served.port)
    assert spans_of_frame(tmp_path) == FRAME


def test_without_a_provider_it_says_so_and_works(tmp_path: Path, redis: RedisServer) -> None:
    site = project(tmp_path, redis, FILES)
    port = free_port()
    interface = site.running("--port", str(port), program=INTERFACE, log="1.txt")
    with interface as server, site.running(program=WORKER, log="2.txt") as workers:
        server.wait("The channel layer answers")
        workers.wait("thread(s)")
        exchange_frame(port)
        for program in (server, workers):
            assert program.log.count("--tracing records nothing") == 1


@pytest.mark.parametrize("program", [INTERFACE, WORKER, ("manage.py", "runserver", "--tracing", "--noreload")])
def test_without_opentelemetry_it_says_what_to_install(
    tmp_path: Path, redis: RedisServer, program: tuple[str, ...]
) -> None:
    site = project(tmp_path, redis, {**FILES, "opentelemetry/__init__.py": ""})
    done = site.python(*program, *([f"127.0.0.1:{free_port()}"] if "runserver" in program else []))
    assert done.returncode
    assert "pip install 'channels-classic[tracing]'" in done.stderr
    assert "Traceback" not in done.stderr
