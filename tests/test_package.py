"""The distributions are complete, have correct metadata, and work when installed."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from channels_classic.version import __version__
from tests.ports import free_port
from tests.project import MANAGE, REPOSITORY, Project, Site

PACKAGES = ("channels_classic", "interface_server", "worker")
SETUP = configparser.ConfigParser()
SETUP.read(REPOSITORY / "setup.cfg")
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text()

# What is imported where it may be missing, and what asks for it there.
BY_REQUEST = {
    "channels": "the extra channels4",
    "cryptography": "the extra encryption",
    "opentelemetry": "the extra tracing",
    "pytest": "the plugin, which pytest itself imports",
}


def lines(section: str, option: str) -> list[str]:
    return SETUP[section][option].strip().splitlines()


REQUIREMENTS = {
    canonicalize_name(requirement.name): requirement
    for requirement in map(Requirement, lines("options", "install_requires"))
}


class Built(NamedTuple):
    """The two files that a release would upload."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source distribution, and the wheel that is built from it and not from the repository."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in REPOSITORY.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copy(file, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return Built(sdist, wheel)


def test_the_index_would_take_them(built: Built) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *built]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_has_every_file_of_the_packages_and_no_other(built: Built) -> None:
    here = {
        str(file.relative_to(REPOSITORY))
        for package in PACKAGES
        for file in (REPOSITORY / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(built.wheel) as wheel:
        there = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert there == here


def test_the_source_distribution_has_what_its_readers_ask_for(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "setup.cfg"} <= names


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with nothing but the wheel, which finds what the wheel requires in ours."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, built.wheel], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # The files of a folder that is named there are not obeyed, so an editable installation in ours is not seen.
    (site_packages / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


FILES = {
    "manage.py": MANAGE,
    "myproject/__init__.py": "",
    "myproject/urls.py": "urlpatterns = []",
    "myproject/routing.py": """\
        from channels_classic import Group

        def connect(message):
            Group("room").add(message.reply_channel)
            message.reply_channel.send({"accept": True})

        def receive(message):
            Group("room").send({"text": message["text"]})

        routing = {"websocket.connect": connect, "websocket.receive": receive}
    """,
    "myproject/settings.py": """\
        SECRET_KEY = "for tests"
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "myproject.urls"
        INSTALLED_APPS = [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "channels_classic",
        ]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_classic.layers.RedisChannelLayer",
                "CONFIG": {"hosts": ["%s"]},
                "ROUTING": "myproject.routing.routing",
            }
        }
    """,
}


def test_a_project_runs_on_the_wheel(installed: Path, tmp_path: Path, redis_url: str) -> None:
    project = Project(tmp_path, FILES, executable=str(installed / "python"))
    project.write({"myproject/settings.py": FILES["myproject/settings.py"] % redis_url})
    del project.environment["PYTHONPATH"]
    where = "import channels_classic, interface_server, worker, json; " + (
        "print(json.dumps([module.__file__ for module in (channels_classic, interface_server, worker)]))"
    )
    files = json.loads(project.python("-c", where).stdout)
    assert all(Path(file).is_relative_to(installed.parent) for file in files)
    assert "no issues" in project.manage("check")
    project.manage("migrate", "--verbosity=0")

    port = free_port()
    interface = [str(installed / "channels-interface"), "--redis", redis_url, "--port", str(port)]
    with (
        project.running("runworker", log="worker.txt") as worker,
        project.running(program=interface, log="interface.txt") as interface_server,
        Site(port, interface_server) as site,
    ):
        interface_server.wait(site.listens)
        with site.connect() as client:
            client.send("hello")
            assert client.recv() == "hello"
        assert worker.end() == 0


def test_the_commands_are_there(installed: Path) -> None:
    for program in ("channels-interface", "channels-worker"):
        done = subprocess.run([installed / program, "--help"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"Usage: {program}")


def imported(package: str) -> dict[str, set[str]]:
    """The top names that a package's modules import, with the modules that do."""
    found: dict[str, set[str]] = {}
    for file in (REPOSITORY / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(str(file.relative_to(REPOSITORY)))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_imported_is_required(package: str) -> None:
    distributions = importlib.metadata.packages_distributions()
    for name, modules in imported(package).items():
        if name in sys.stdlib_module_names or name in PACKAGES or name in BY_REQUEST:
            continue
        names = {canonicalize_name(distribution) for distribution in distributions.get(name, [name])}
        assert names & set(REQUIREMENTS), (
            f"{name} is imported by {sorted(modules)}, and setup.cfg does not require it."
        )


def test_what_is_required_is_imported() -> None:
    names = {name for package in PACKAGES for name in imported(package)}
    distributions = importlib.metadata.packages_distributions()
    used = {canonicalize_name(distribution) for name in names for distribution in distributions.get(name, [])}
    assert set(REQUIREMENTS) <= used


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    for name, requirement in REQUIREMENTS.items():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators == {">=", "<"}, name


def test_what_the_project_is_tested_with_is_what_it_allows() -> None:
    for name, requirement in REQUIREMENTS.items():
        assert importlib.metadata.version(name) in requirement.specifier


def test_the_metadata_are_for_users() -> None:
    assert SETUP.options("options.extras_require") == ["encryption", "channels4", "tracing"]


def test_every_requirement_has_its_line_on_the_page_about_dependencies() -> None:
    page = (REPOSITORY / "docs" / "dependencies.md").read_text().lower()
    groups = [
        entry for group in PYPROJECT["dependency-groups"].values() for entry in group if isinstance(entry, str)
    ]
    for requirement in [*REQUIREMENTS.values(), *map(Requirement, groups)]:
        assert re.search(rf"\b{re.escape(requirement.name.lower())}\b", page), requirement.name


# One statement about versions, wherever it is made.


def test_the_changelog_begins_with_this_version() -> None:
    heading = re.search(r"^## (\S+?),? ", CHANGELOG, re.MULTILINE)
    assert heading
    assert heading[1] == __version__


def test_everything_names_the_same_versions_of_python() -> None:
    classified = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])
    oldest, newest = classified[0], classified[-1]
    assert SETUP["options"]["python_requires"] == f">={oldest}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    for page in ("README.md", "docs/installation.md"):
        assert f"Python {oldest} to {newest}" in (REPOSITORY / page).read_text(), page
    assert f"Python {oldest} or later" in (REPOSITORY / "README.md").read_text()
    tox = (REPOSITORY / "tox.ini").read_text()
    assert set(re.findall(r"\b3\d\d\b", tox.replace("py", " "))) == {v.replace(".", "") for v in classified}


def test_everything_names_the_same_versions_of_django() -> None:
    classified = re.findall(r"Django :: (\d\.\d)", SETUP["metadata"]["classifiers"])
    oldest, newest = classified[0], classified[-1]
    following = f"{newest[:-1]}{int(newest[-1]) + 1}"
    assert REQUIREMENTS["django"].specifier == SpecifierSet(f">={oldest},<{following}")
    for page in ("README.md", "docs/installation.md"):
        assert f"Django {oldest} to {newest}" in (REPOSITORY / page).read_text(), page


def test_the_installed_version_is_this_one(built: Built) -> None:
    assert built.wheel.name == f"channels_classic-{__version__}-py3-none-any.whl"
    assert built.sdist.name == f"channels_classic-{__version__}.tar.gz"
