"""Interface servers of a test's own, with the test as the worker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.interface_server.backend import Backend
from tests.interface_server.program.served import MODULE, Serve, Served
from tests.programs import running


@pytest.fixture
def serve(tmp_path: Path, redis_url: str) -> Iterator[Serve]:
    """Starts a server with these options, on a free port and over Redis unless told otherwise."""
    with ExitStack() as stack:

        def serve(
            *options: object,
            layer: tuple[object, ...] = ("--redis", redis_url),
            port: tuple[str, ...] = ("--port", "0"),
            command: list[Any] = MODULE,
            processes: int = 1,
            **keywords: Any,
        ) -> Served:
            command = [*command, *layer, *port, *options]
            served = Served(stack.enter_context(running(command, tmp_path, **keywords)))
            served.program.wait(lambda: len(served.pids) >= processes)
            return served

        yield serve


@pytest.fixture
def backend(redis_url: str) -> Iterator[Backend]:
    with Backend(redis_url) as backend:
        yield backend


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its private key, which has the password "secret"."""
    folder = tmp_path_factory.mktemp("tls")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-days",
        "2",
        "-subj",
        "/CN=here",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    files = ["-keyout", "key.pem", "-out", "certificate.pem", "-passout", "pass:secret"]
    try:
        subprocess.run([*command, *files], cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("There is no openssl to make a certificate with.")
    return folder / "certificate.pem", folder / "key.pem"
