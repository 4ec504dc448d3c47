"""The other recipes: each is valid by the checker of its format, and has only commands that exist."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from interface_server.program import serving
from interface_server.program.cli import main as interface
from interface_server.transport.server import ServerSettings
from tests.interface_server.hosted import eventually
from tests.ports import free_port
from tests.project import DEADLINE, REPOSITORY, Project
from worker.cli import main as worker

DEPLOY = REPOSITORY / "deploy"
COMPOSE = REPOSITORY / "docker-compose.yml"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# Each format's own checker.


def test_the_dockerfile() -> None:
    assert run(Path(sys.executable).with_name("hadolint"), REPOSITORY / "Dockerfile") == ""


def test_the_compose_file() -> None:
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_manifests() -> None:
    documents = [each for file in MANIFESTS for each in yaml.safe_load_all(file.read_text())]
    kinds = []
    for document in documents:
        kinds.append(document["kind"])
        if document["kind"] != "Kustomization":  # a file for kubectl itself
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    assert kinds.count("Deployment") == 3
    (kustomization,) = [each for each in documents if each["kind"] == "Kustomization"]
    assert sorted(kustomization["resources"]) == [file.name for file in MANIFESTS if file.stem != "kustomization"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("No systemd-analyze on the PATH.")
    # It wants the program to be there, in the place that the unit names.
    text = unit.read_text().replace("/srv/mysite/venv/bin/", f"{shutil.which('true')} ")
    (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name], capture_output=True, text=True, timeout=DEADLINE
    )
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []


def test_the_file_for_fly(tmp_path: Path, redis_url: str) -> None:
    """Its commands run with its environment, and answer its checks; only the ports are others."""
    settings = tomllib.loads((DEPLOY / "platforms" / "fly.toml").read_text())
    assert settings["http_service"]["processes"] == ["interface"]
    assert set(settings["processes"]) == set(settings["checks"]) == {"interface", "worker"}
    project = Project(tmp_path, {path: text.replace("REDIS", redis_url) for path, text in SITE.items()})
    monitors: dict[str, int] = {}
    with ExitStack() as stack:
        for name, command in settings["processes"].items():
            monitors[name] = free_port()
            check = settings["checks"][name]
            assert check["port"] == settings["metrics"][0]["port"] == 9101
            environment = {
                variable: value.replace("9101", str(monitors[name])) for variable, value in settings["env"].items()
            }
            assert environment["CHANNELS_INTERFACE_PORT"] == str(settings["http_service"]["internal_port"])
            environment |= {
                "CHANNELS_INTERFACE_PORT": str(free_port()),
                "CHANNELS_INTERFACE_REDIS": redis_url,
                "CHANNELS_INTERFACE_PREFIX": "fly:",
            }
            project.environment.update(environment)
            program, *options = shlex.split(command)
            module = {"channels-interface": "interface_server", "channels-worker": "worker"}[program]
            stack.enter_context(project.running(*options, program=["-m", module], log=f"{name}.txt"))
        for name, port in monitors.items():
            eventually(lambda: answers(port, settings["checks"][name]["path"]))  # noqa: B023
            assert answers(port, settings["metrics"][0]["path"])


def test_the_file_for_render(tmp_path: Path, redis_url: str) -> None:
    """Its commands run in a shell, and the interface server answers the check when a worker is there."""
    settings = yaml.safe_load((DEPLOY / "platforms" / "render.yaml").read_text())
    interface, worker = settings["services"][:2]
    assert [interface["type"], worker["type"]] == ["web", "worker"]
    port = free_port()
    project = Project(tmp_path, {path: text.replace("REDIS", redis_url) for path, text in SITE.items()})
    programs = Path(sys.executable).parent
    project.environment.update(PATH=f"{programs}:{os.environ['PATH']}", REDIS_URL=redis_url, PORT=str(port))

    def start(command: str, log: str) -> AbstractContextManager[object]:
        # The prefix keeps other tests out. The example has no database to migrate.
        command = command.replace("--redis", "--prefix fly: --redis").replace("python manage.py migrate && ", "")
        program = "import os, sys; os.execvp('sh', ['sh', *sys.argv[1:]])"
        return project.running("-c", command, program=["-c", program], log=log)

    def is_healthy() -> bool:
        return answers(port, interface["healthCheckPath"])

    with start(interface["startCommand"], "interface.txt") as running:
        running.wait("listens on")
        assert not is_healthy()
        with start(worker["startCommand"], "worker.txt"):
            eventually(is_healthy)


SITE = {
    "mysite/__init__.py": "",
    "mysite/settings.py": """
        SECRET_KEY = "for tests"
        INSTALLED_APPS = ["channels_classic"]
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_classic.layers.RedisChannelLayer",
                "ROUTING": [],
                "CONFIG": {"hosts": ["REDIS"], "prefix": "fly:"},
            }
        }
        """,
}


def answers(port: int, path: str) -> bool:
    """Whether a monitor answers with 200."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


# What they have in common.


def commands() -> Iterator[tuple[str, str]]:
    """Every command line of ours in a recipe, with the file."""
    for file in [REPOSITORY / "Dockerfile", COMPOSE, *sorted(DEPLOY.rglob("*"))]:
        if not file.is_file() or file.suffix in (".md", ".pyc"):
            continue
        text = file.read_text()
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        for line in lines:
            if found := re.search(r"(channels-(?:interface|worker)(?: -.*)?)$", line):
                # Of a command in quotes, the last one is not its own.
                yield file.name, found[1].removesuffix('"') if found[1].count('"') % 2 else found[1]
            elif found := re.search(r'= "(channels-(?:interface|worker))"$', line):
                yield file.name, found[1]


@pytest.mark.parametrize(("file", "command"), list(commands()))
def test_the_commands(file: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    name, *arguments = shlex.split(command.replace("$PORT", "8000"))
    {"channels-interface": interface, "channels-worker": worker}[name].make_context(name, arguments)


def test_all_recipes_have_commands() -> None:
    files = {file for file, _ in commands()}
    assert files >= {"Procfile", "fly.toml", "render.yaml", *(unit.name for unit in UNITS)}


def images() -> Iterator[str]:
    for service in yaml.safe_load(COMPOSE.read_text())["services"].values():
        if "image" in service:
            yield service["image"]
    yield from re.findall(r"^FROM ([\w.-]+:\S+)", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    yield from re.findall(r"image: (\S+:\S+)", (DEPLOY / "kubernetes" / "redis.yaml").read_text())


def test_images_are_pinned() -> None:
    assert len(list(images())) == 5
    for image in images():
        assert re.fullmatch(r"[\w.-]+:\d+\.\d+\.\d+-[\w-]+", image)


def test_nothing_runs_as_root() -> None:
    users = re.findall(r"^USER (.+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["10001:10001"]
    for manifest in ("redis", "interface", "worker"):
        deployment = next(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{manifest}.yaml").read_text()))
        assert deployment["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def number(text: str, option: str, default: float) -> float:
    found = re.search(rf"{option} (\d+)", text)
    return float(found[1]) if found else default


def interface_needs(drain: float) -> float:
    return serving.stop_timeout(ServerSettings(drain=drain))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_wait_longer_than_the_programs(unit: Path) -> None:
    text = unit.read_text()
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    is_worker = "worker" in unit.stem
    needed = number(text, "--stop-timeout", 30) if is_worker else interface_needs(number(text, "--drain", 0))
    assert float(stop) > needed


@pytest.mark.parametrize("name", ["interface", "worker"])
def test_containers_wait_longer_than_the_programs(name: str) -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    (stop,) = re.findall(r'"--stop-timeout", "(\d+)"', dockerfile)
    (drain,) = re.findall(r"CHANNELS_INTERFACE_DRAIN=(\d+)", dockerfile)
    needed = float(stop) if name == "worker" else interface_needs(float(drain))
    service: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"][name]
    assert float(service["stop_grace_period"].removesuffix("s")) > needed
    manifest = next(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{name}.yaml").read_text()))
    before_stop = 5 if name == "interface" else 0
    assert manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed + before_stop
