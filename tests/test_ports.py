"""The ports that tests are given."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from tests.ports import PORTS_OF_A_PROCESS, free_port
from tests.programs import completed


def test_a_free_port_can_be_bound_and_is_not_given_twice_in_a_row() -> None:
    first, second = free_port(), free_port()
    assert first != second
    for port in (first, second):
        socket.create_server(("127.0.0.1", port)).close()


def test_no_other_process_is_given_the_ports_of_this_one(tmp_path: Path) -> None:
    program = "from tests.ports import free_port\nfor _ in range(3): print(free_port())"
    done = completed([sys.executable, "-c", program], tmp_path)
    theirs = {int(port) for port in done.stdout.split()}
    assert len(theirs) == 3
    mine = {free_port() for _ in range(PORTS_OF_A_PROCESS)}
    assert not theirs & mine


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert taken.getsockname()[1] not in {free_port() for _ in range(PORTS_OF_A_PROCESS)}
