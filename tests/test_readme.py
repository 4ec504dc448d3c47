"""The commands of the README work exactly as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.exceptions import InvalidMessage
from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text()
START_SECONDS = 60


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def connected(port: int, server: subprocess.Popen[bytes]) -> ClientConnection:
    """A WebSocket to a server that may still be starting."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return connect(f"ws://127.0.0.1:{port}/", open_timeout=60)
        except (OSError, InvalidMessage):
            if server.poll() is not None or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def test_the_echo_server(tmp_path: Path) -> None:
    (startproject,) = [line for line in "".join(blocks("sh")).splitlines() if line.startswith("django-admin")]
    without = ("DJANGO_SETTINGS_MODULE", "PYTHONPATH")
    environment = {key: value for key, value in os.environ.items() if key not in without}
    environment["PYTHONPATH"] = str(REPOSITORY)
    subprocess.run(
        [sys.executable, "-m", "django", *startproject.split()[1:]], cwd=tmp_path, env=environment, check=True
    )
    site = tmp_path / startproject.split()[-1]

    for block in blocks("python"):
        head, code = block.split("\n", 1)
        place = re.fullmatch(r"# ([\w/.]+)(, at its end)?", head)
        assert place, f"A block of the README does not begin with a comment that says where it goes: {head!r}"
        file = site / place[1]
        assert file.exists() == bool(place[2])
        with file.open("a") as text:
            text.write(code)

    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=site,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        with connected(port, server) as socket:
            socket.send("hello")
            assert socket.recv(timeout=60) == "hello"
    except (OSError, TimeoutError):
        pytest.fail(f"No echo:\n{log.read_text()}", pytrace=False)
    finally:
        server.terminate()
        server.wait(START_SECONDS)


def test_it_reads_the_same_wherever_it_is_shown() -> None:
    # The package index shows this file too, without the files beside it.
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([\w/-]+\.md|LICENSE)`", README))))
def test_the_files_that_it_names_are_there(path: str) -> None:
    assert (REPOSITORY / path).exists()


def test_the_commands_are_targets_of_make() -> None:
    targets = re.findall(r"^(\w+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE)
    assert set(named) <= set(targets)
    assert {"demo", "test"} <= set(named)
