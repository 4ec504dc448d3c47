"""``--monitor`` of real programs, under load and in faults: probes answer truly, and metrics can be parsed."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port
from tests.programs import children_of
from tests.project import DEADLINE, Project, Running
from tests.redis_server import RedisServer

INTERFACE = ("-m", "interface_server")
WORKER = ("-m", "worker", "--settings", "mysite.settings")

FILES = {
    "mysite/__init__.py": "",
    "mysite/settings.py": """
        SECRET_KEY = "for tests"
        INSTALLED_APPS = ["channels_classic"]
        CHANNEL_LAYERS = {{
            "default": {{
                "BACKEND": "channels_classic.layers.RedisChannelLayer",
                "ROUTING": "mysite.routing.routing",
                "CONFIG": {{"hosts": ["{url}"]}},
            }}
        }}
        """,
    "mysite/routing.py": """
        from channels_classic.routing import route

        routing = [
            route("websocket.connect", "mysite.consumers.join"),
            route("websocket.receive", "mysite.consumers.speak"),
        ]
        """,
    "mysite/consumers.py": """
        from channels_classic import Group

        def join(message):
            message.reply_channel.send({"accept": True})
            Group("all").add(message.reply_channel)

        def speak(message):
            if message["text"] == "fail":
                raise RuntimeError("a secret")
            Group("all").send({"text": message["text"]})
        """,
    "stuck.py": """
        import time

        async def application(scope, receive, send):
            if scope["type"] == "http":
                time.sleep(6)
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body"})
            else:
                raise RuntimeError("no lifespan")
        """,
}


class Monitored:
    """A program and its monitor."""

    def __init__(self, program: Running, monitor: int, port: int = 0) -> None:
        self.program = program
        self.monitor = monitor
        self.port = port

    def get(self, path: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.monitor}{path}"
        return httpx.get(url, timeout=DEADLINE, trust_env=False, verify=False)

    def says(self, path: str, status: int, text: str = "") -> bool:
        try:
            answer = self.get(path)
        except httpx.ConnectError:
            return False
        return answer.status_code == status and text in answer.text

    def wait(self, path: str, status: int, text: str = "") -> None:
        self.program.wait(lambda: self.says(path, status, text))

    def metrics(self) -> dict[tuple[str, ...], float]:
        """The samples, by name and values of labels."""
        families = list(text_string_to_metric_families(self.get("/metrics").text))
        assert families
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, *sample.labels.values()): sample.value for sample in samples}

    @contextmanager
    def socket(self) -> Iterator[ClientConnection]:
        with connect(
            f"ws://127.0.0.1:{self.port}/", compression=None, proxy=None, open_timeout=DEADLINE
        ) as client:
            yield client


class Site:
    """A project over a Redis of its own."""

    def __init__(self, folder: Path, stack: ExitStack, redis: RedisServer) -> None:
        self.redis = redis
        texts = {path: text.format(url=redis.url) if "{url}" in text else text for path, text in FILES.items()}
        self.project = Project(folder, texts)
        self._stack = stack
        self._number = 0

    def start(self, program: tuple[str, ...], *options: str, port: int = 0) -> Monitored:
        self._number += 1
        monitor = free_port()
        command = self.project.running(
            *options, "--monitor", str(monitor), program=program, log=f"log-{self._number}.txt"
        )
        return Monitored(self._stack.enter_context(command), monitor, port)

    def interface(self, *options: str) -> Monitored:
        port = free_port()
        return self.start(INTERFACE, "--redis", self.redis.url, "--port", str(port), *options, port=port)

    def worker(self, *options: str) -> Monitored:
        return self.start(WORKER, *options)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with RedisServer() as redis, ExitStack() as stack:
        yield Site(tmp_path, stack, redis)


def test_ready_when_a_worker_is_there_and_not_before(site: Site) -> None:
    interface = site.interface()
    interface.wait("/readyz", 503, "no worker is alive")
    assert interface.says("/livez", 200, "ok")
    worker = site.worker()
    worker.wait("/readyz", 200, "ok")
    interface.wait("/readyz", 200, "ok")
    assert interface.get("/").status_code == 404
    assert worker.program.end() == 0
    interface.wait("/readyz", 503, "no worker is alive")


def test_the_numbers_are_those_of_what_happened(site: Site) -> None:
    interface, worker = site.interface("--max-message-size", "1000"), site.worker()
    interface.wait("/readyz", 200)
    with interface.socket() as first, interface.socket() as second:
        for number in range(50):
            first.send(str(number))
        for client in (first, second):
            assert [client.recv(DEADLINE) for _ in range(50)] == [str(number) for number in range(50)]
        first.send("fail")
        interface.program.wait(
            lambda: worker.metrics()["channels_consumer_errors_total", "mysite.consumers.speak"]
        )
        numbers = interface.metrics()
        assert numbers["channels_sockets_open",] == 2
        assert numbers["channels_sockets_accepted_total",] == 2
        assert numbers["channels_messages_sent_total",] == 2 + 51
        assert numbers["channels_deliveries_total",] == 2 + 100
        assert numbers["channels_layer_round_trips_total",] > 0
        for kind in ("worker", "interface"):  # what is shown of the layer may be a second old
            interface.program.wait(lambda: interface.metrics().get(("channels_processes", kind)) == 1)  # noqa: B023
        second.send("x" * 2000)
        with pytest.raises(ConnectionClosed):
            second.recv(DEADLINE)
        interface.program.wait(lambda: ("channels_sockets_closed_total", "1009") in interface.metrics())
        assert interface.metrics()["channels_sockets_open",] == 1
    numbers = worker.metrics()
    assert numbers["channels_broadcasts_total",] == 50
    assert numbers["channels_consumer_seconds_count", "mysite.consumers.speak"] == 51
    buckets = [
        value
        for (name, *_), value in numbers.items()
        if name == "channels_consumer_seconds_bucket" and "mysite.consumers.speak" in _
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 51
    assert numbers["channels_consumer_seconds_sum", "mysite.consumers.speak"] > 0
    assert "a secret" not in worker.get("/status").text


def listens(port: int) -> bool:
    """Whether a client can connect. The monitor may answer a moment before."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()
    except ConnectionRefusedError:
        return False
    return True


def test_depth_and_age_of_a_channel_that_nobody_reads(site: Site) -> None:
    interface = site.interface()
    interface.program.wait(lambda: listens(interface.port))
    with socket.create_connection(("127.0.0.1", interface.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        # A look at the layer that takes too long leaves these out.
        interface.program.wait(lambda: interface.metrics().get(("channels_channel_depth", "http.request")) == 1)
        age = ("channels_channel_oldest_seconds", "http.request")
        interface.program.wait(lambda: interface.metrics().get(age, 0) > 0)


def test_without_redis_nothing_is_ready_and_metrics_go_on(site: Site) -> None:
    interface, worker = site.interface(), site.worker()
    interface.wait("/readyz", 200)

    def signalled(number: signal.Signals) -> None:
        assert site.redis.pid is not None
        os.kill(site.redis.pid, number)

    hanging = (lambda: signalled(signal.SIGSTOP), lambda: signalled(signal.SIGCONT))
    for fault, repair in (hanging, (site.redis.stop, site.redis.start)):
        fault()
        for program in (interface, worker):
            program.wait("/readyz", 503)
            assert program.says("/livez", 200)
            program.program.wait(lambda: program.metrics()["channels_layer_reachable",] == 0)  # noqa: B023
        repair()
        for program in (interface, worker):
            program.wait("/readyz", 200)
            program.program.wait(lambda: program.metrics()["channels_layer_reachable",] == 1)  # noqa: B023
    assert interface.metrics()["channels_layer_failures_total",] > 0
    assert interface.metrics()["channels_backoff_pauses_total",] > 0


def test_a_redis_that_takes_no_writes_gets_no_clients(site: Site) -> None:
    """It can still be looked at, so only those know who write to it."""
    interface, worker = site.interface(), site.worker()
    interface.wait("/readyz", 200)
    with site.redis.client() as administrator, interface.socket() as client:
        administrator.replicaof("127.0.0.1", free_port())
        client.send("hello")
        interface.wait("/readyz", 503, "messages of clients do not reach the channel layer")
        worker.wait("/readyz", 503, "the workers get no messages from the channel layer")
        for program in (interface, worker):
            assert program.says("/livez", 200)
            program.program.wait(lambda: program.metrics()["channels_layer_reachable",] == 1)  # noqa: B023
        administrator.replicaof("NO", "ONE")
        assert client.recv(DEADLINE) == "hello"
        for program in (interface, worker):
            program.wait("/readyz", 200)


def test_an_event_loop_that_is_stuck_is_not_alive(site: Site) -> None:
    interface = site.interface("--mount", "/stuck=stuck:application")
    interface.wait("/livez", 200)
    interface.program.wait(lambda: listens(interface.port))
    with pytest.raises(httpx.TimeoutException):
        httpx.get(f"http://127.0.0.1:{interface.port}/stuck", timeout=0.2, trust_env=False, verify=False)
    interface.wait("/livez", 503, "the event loop has not answered")
    interface.wait("/livez", 200)


def test_a_draining_process_is_not_ready(site: Site) -> None:
    interface, _ = site.interface("--drain", "3"), site.worker()
    interface.wait("/readyz", 200)
    with interface.socket(), interface.socket(), interface.socket():
        interface.program.process.send_signal(signal.SIGTERM)
        interface.wait("/readyz", 503, "it is about to stop")
        assert interface.says("/livez", 200)
    assert interface.program.process.wait(DEADLINE) == 0


@pytest.mark.parametrize("kind", ["interface", "worker"])
def test_the_processes_of_a_supervisor_are_one(site: Site, kind: str) -> None:
    """Their metrics are added up, even when one is killed, renewed or stopped. They are not ready while one is
    missing."""
    worker = site.worker("--processes", "2") if kind == "worker" else site.worker()
    interface = site.interface("--processes", "2") if kind == "interface" else site.interface()
    several = worker if kind == "worker" else interface
    metric = "channels_messages_received_total" if kind == "worker" else "channels_messages_sent_total"
    interface.wait("/readyz", 200)
    several.wait("/readyz", 200)

    def use(times: int) -> None:
        for _ in range(times):
            with interface.socket() as client:
                client.send("hello")
                client.recv(DEADLINE)

    use(8)
    several.program.wait(lambda: several.metrics()[metric,] == 24)
    children = [pid for pid in children_of(several.program.process.pid) if f"er {pid}" in several.program.log]
    assert len(children) == 2

    os.kill(children[0], signal.SIGSTOP)
    several.wait("/livez", 503, "has not answered")
    assert several.says("/readyz", 503)
    os.kill(children[0], signal.SIGCONT)
    several.wait("/readyz", 200)

    assert several.metrics()[metric,] == 24
    os.kill(children[0], signal.SIGKILL)
    several.program.wait("another starts")
    several.wait("/readyz", 200)
    assert several.metrics()[metric,] == 24

    several.program.process.send_signal(signal.SIGHUP)
    several.program.wait("processes are renewed")
    several.wait("/readyz", 200)
    assert several.metrics()[metric,] >= 24
    use(1)
    several.program.wait(lambda: several.metrics()[metric,] >= 27)


def test_where_it_cannot_listen(site: Site) -> None:
    for program, options in ((INTERFACE, ("--redis", site.redis.url, "--port", "0")), (WORKER, ())):
        for processes in ("1", "2"):
            done = site.project.python(
                *program, *options, "--processes", processes, "--monitor", "/nowhere/at/all"
            )
            assert done.returncode
            assert "--monitor /nowhere/at/all: cannot listen there: No such file or directory." in done.stderr
            assert "Traceback" not in done.stderr


def test_a_socket_in_the_file_system(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "monitor"
    options = ("--redis", site.redis.url, "--port", "0", "--monitor", str(path))
    with site.project.running(*options, program=INTERFACE) as program:
        program.wait(path.exists)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=DEADLINE) as client:
            program.wait(lambda: client.get("http://monitor/livez").status_code == 200)
            assert client.head("http://monitor/livez").content == b""
    assert not path.exists()


def test_runserver(tmp_path: Path) -> None:
    files = {
        **FILES,
        "mysite/settings.py": """
            SECRET_KEY = "for tests"
            DEBUG = True
            INSTALLED_APPS = ["channels_classic"]
            ROOT_URLCONF = "mysite.routing"
            CHANNEL_LAYERS = {
                "default": {
                    "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
                    "ROUTING": "mysite.routing.routing",
                }
            }
            """,
        "manage.py": """
            import os, sys
            os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
            from django.core.management import execute_from_command_line
            execute_from_command_line(sys.argv)
            """,
    }
    monitor = free_port()
    with Project(tmp_path, files, sys.executable).served("--skip-checks", "--monitor", str(monitor)) as site:
        monitored = Monitored(site.server, monitor, site.port)
        monitored.wait("/readyz", 200, "ok")
        with monitored.socket() as client:
            client.send("hello")
            assert client.recv(DEADLINE) == "hello"
            numbers = monitored.metrics()
        assert numbers["channels_sockets_open",] == 1
        assert numbers["channels_consumer_seconds_count", "mysite.consumers.speak"] == 1
