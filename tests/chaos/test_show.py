"""The small show, as ``make chaos ARGS=--small`` plays it."""

import subprocess
import sys

import pytest

from tests.programs import environment_with
from tests.redis_server import redis_server_or_skip


@pytest.mark.timeout(280)
def test_every_promise_is_kept(tmp_path):
    redis_server_or_skip()
    options = ["--small", "--interfaces", "2", "--sockets", "20", "--pause", "1", "--calm", "2"]
    options += ["--output", str(tmp_path / "show")]
    command = [sys.executable, "-m", "chaos", *options]
    show = subprocess.run(command, env=environment_with(), capture_output=True, text=True, timeout=250)
    assert show.returncode == 0, show.stdout + show.stderr
    assert "Every promise was kept." in show.stdout
    assert (tmp_path / "show" / "chaos.svg").exists()
