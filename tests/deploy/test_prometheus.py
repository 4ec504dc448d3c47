"""The dashboard and the alerts, asked of a real Prometheus that scrapes a system under load.

It is looked for on the PATH and in the variable PROMETHEUS; without one, the tests skip.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.ports import free_port
from tests.project import DEADLINE, REPOSITORY, Project, Running
from tests.redis_server import RedisServer

DRAW = REPOSITORY / "deploy" / "grafana" / "draw.py"
INTERVAL = 10
"""Seconds; of rates."""

FILES = {
    "mysite/__init__.py": "",
    "mysite/settings.py": """
        SECRET_KEY = "for tests"
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "mysite.urls"
        INSTALLED_APPS = ["channels_classic"]
        CHANNEL_LAYERS = {{
            "default": {{
                "BACKEND": "channels_classic.layers.RedisChannelLayer",
                "ROUTING": "mysite.routing.routing",
                "CONFIG": {{"hosts": ["{url}"]}},
            }}
        }}
        """,
    "mysite/urls.py": """
        from django.http import HttpResponse
        from django.urls import path

        urlpatterns = [path("", lambda request: HttpResponse("hello"))]
        """,
    "mysite/routing.py": """
        from channels_classic import Group, route

        def join(message):
            Group("all").add(message.reply_channel)

        def speak(message):
            if message["text"] == "fail":
                raise RuntimeError("a bug")
            Group("all").send({"text": message["text"]})

        routing = [route("websocket.connect", join), route("websocket.receive", speak)]
        """,
}


def load_draw() -> Any:
    spec = importlib.util.spec_from_file_location("draw", DRAW)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


draw = load_draw()


class Load:
    """An interface server, a worker, and clients that keep them busy."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        redis = stack.enter_context(RedisServer())
        texts = {path: text.format(url=redis.url) if "{url}" in text else text for path, text in FILES.items()}
        project = Project(folder, texts)
        self.monitors = [free_port(), free_port()]
        port = free_port()
        interface = ["--redis", redis.url, "--port", str(port), "--monitor", str(self.monitors[0])]
        worker = ["--settings", "mysite.settings", "--monitor", str(self.monitors[1])]
        server = stack.enter_context(project.running(*interface, program=["-m", "interface_server"], log="1.txt"))
        workers = stack.enter_context(project.running(*worker, program=["-m", "worker"], log="2.txt"))
        server.wait("The channel layer answers")
        workers.wait("thread(s)")
        self.url = f"127.0.0.1:{port}"

    def run(self) -> None:
        """A few sockets chat, fail and leave, and a page is opened."""
        with ExitStack() as stack:
            options: dict[str, Any] = {"compression": None, "proxy": None, "open_timeout": DEADLINE}
            clients = [stack.enter_context(connect(f"ws://{self.url}/", **options)) for _ in range(3)]
            clients[0].send("fail")
            for number, client in enumerate(clients):
                client.send(str(number))
            for client in clients:
                assert {client.recv(DEADLINE) for _ in clients} == set("012")
            assert httpx.get(f"http://{self.url}/", trust_env=False, timeout=DEADLINE).text == "hello"


class Prometheus:
    """It scrapes every second."""

    def __init__(self, executable: str, folder: Path, monitors: list[int], stack: ExitStack) -> None:
        self.executable, self.monitors = executable, monitors
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        targets = ", ".join(f'"127.0.0.1:{monitor}"' for monitor in monitors)
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: channels, static_configs: [{{targets: [{targets}]}}]}}]\n"
        )
        file = folder / "prometheus.txt"
        command = [
            executable,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        output = stack.enter_context(file.open("wb"))
        process = stack.enter_context(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT))
        stack.callback(process.terminate)
        self.program = Running(process, file)
        self.program.wait("Server is ready")

    def ask(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = draw.ask(self.url, "query", query=draw.at_interval(expression, INTERVAL))
        return found


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen a system under load."""
    executable = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
    if executable is None:
        pytest.skip("No prometheus: install the package prometheus, or name one in the variable PROMETHEUS.")
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        load = Load(folder, stack)
        prometheus = Prometheus(executable, folder, load.monitors, stack)
        load.run()

        def has_seen() -> bool:
            load.run()
            return bool(prometheus.ask("rate(channels_consumer_errors_total[$__rate_interval]) > 0"))

        prometheus.program.wait(has_seen)
        yield prometheus


def test_promtool_finds_nothing_wrong(prometheus: Prometheus) -> None:
    promtool = shutil.which("promtool") or str(Path(prometheus.executable).with_name("promtool"))
    if not Path(promtool).exists():
        pytest.skip("No promtool beside prometheus.")
    for monitor in prometheus.monitors:
        text = httpx.get(f"http://127.0.0.1:{monitor}/metrics", trust_env=False, timeout=DEADLINE).content
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=DEADLINE)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_every_scrape_succeeds(prometheus: Prometheus) -> None:
    assert [series["value"][1] for series in prometheus.ask("up")] == ["1", "1"]


@pytest.mark.parametrize(("expression", "legend"), list(draw.targets()))
def test_every_line_of_the_dashboard_is_answered(prometheus: Prometheus, expression: str, legend: str) -> None:
    found = prometheus.ask(expression)
    assert found
    labels = re.findall(r"\{\{(\w+)\}\}", legend)
    for series in found:
        assert set(labels) == set(series["metric"])
        assert draw.label(legend, series)
    # A quantile of a consumer that has not run lately is no number.
    assert any(math.isfinite(float(series["value"][1])) for series in found)


def alerts() -> list[str]:
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    return re.findall(r"^\| `(.*channels_.* [<>] \d+)` \|", page, re.MULTILINE)


def test_the_page_has_alerts() -> None:
    assert len(alerts()) > 3


@pytest.mark.parametrize("alert", alerts())
def test_no_alert_is_raised_while_all_is_well(prometheus: Prometheus, alert: str) -> None:
    assert prometheus.ask(alert) == []
    value = alert.rpartition(" ")[0].rpartition(" ")[0]
    if 'status="503"' not in value:  # there was none
        assert prometheus.ask(value)


def test_the_picture_is_drawn(prometheus: Prometheus, tmp_path: Path) -> None:
    file = tmp_path / "dashboard.png"
    draw.draw(prometheus.url, str(file), 20, 1, INTERVAL)
    assert file.stat().st_size > 20_000
