"""Invalid options give one line that names the option and the remedy, and no secret."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.interface_server.program.served import refused

CASES = [
    ([], 1, "either MODULE:LAYER, for example myproject.asgi:channel_layer, or --redis"),
    (["a:b", "--redis", "redis://x"], 1, "either MODULE:LAYER"),
    (["nothing"], 1, "The channel layer must be given as MODULE:LAYER, not 'nothing'."),
    (["nothing:layer"], 1, "No module named 'nothing'"),
    (["os:layer"], 1, "module 'os' has no attribute 'layer'. Write channel_layer = get_channel_layer()"),
    (["os:sep"], 1, "os:sep should be a channel layer, but is of type str. Write channel_layer = "),
    (["broken:layer"], 1, "Cannot import the channel layer 'broken:layer': RuntimeError: not today"),
    (["memory:layer"], 1, "memory:layer is InMemoryChannelLayer, which works inside one process only"),
    (["--redis", "127.0.0.1:6379"], 1, "127.0.0.1:6379"),
    (["--redis", "redis://x", "--encryption-key", ""], 1, "key"),
    (["--redis", "redis://x", "--port", "http"], 2, "'http' is not a valid integer"),
    (["--redis", "redis://x", "--port", "70000"], 2, "70000 is not in the range"),
    (["--redis", "redis://x", "--bind", "192.0.2.1"], 1, "Cannot listen on 192.0.2.1:8000: "),
    (["--redis", "redis://x", "--bind", "nowhere.invalid"], 1, "Cannot listen on nowhere.invalid:8000: "),
    (["--redis", "redis://x", "--processes", "0"], 2, "0 is not in the range"),
    (["--redis", "redis://x", "--http-timeout", "soon"], 2, "'soon' is not a valid float"),
    (["--redis", "redis://x", "--http-timeout", "0"], 1, "--http-timeout must be above 0, not 0."),
    (["--redis", "redis://x", "--ping-timeout", "nan"], 1, "--ping-timeout must be above 0, not nan."),
    (["--redis", "redis://x", "--ping-interval", "-1"], 1, "--ping-interval must be above 0, or 0 for none"),
    (["--redis", "redis://x", "--fd", "77"], 1, "Cannot listen on --fd 77: Bad file descriptor."),
    (["--redis", "redis://x", "--fd", "1", "-u", "x"], 1, "--unix-socket and --fd exclude each other."),
    (["--redis", "redis://x", "-u", "/nowhere/x"], 1, "Cannot listen on /nowhere/x: No such file"),
    (["--redis", "redis://x", "--ssl-certfile", "/nowhere"], 2, "File '/nowhere' does not exist"),
    (["--redis", "redis://x", "--ssl-certfile", "memory.py"], 1, "both --ssl-certfile and --ssl-keyfile"),
    (
        ["--redis", "redis://x", "--ssl-certfile", "memory.py", "--ssl-keyfile", "memory.py"],
        1,
        "The certificate memory.py and the private key memory.py cannot be used",
    ),
    (["--redis", "redis://x", "--shutdown-timeout", "0"], 1, "--shutdown-timeout must be above 0, not 0."),
    (["--redis", "redis://x", "--trusted-proxies", "10.0.0.1/8"], 1, "--trusted-proxies: '10.0.0.1/8' should"),
    (["--redis", "redis://x", "--trusted-proxies", "unix,proxy"], 1, "--trusted-proxies: 'proxy' should be"),
    (["--redis", "redis://x", "--access-log", "/nowhere/log"], 1, "/nowhere/log: No such file or directory."),
    (["--redis", "redis://x", "--prot", "80"], 2, "--prot"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two layers that cannot serve."""
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "broken.py").write_text("raise RuntimeError('not today')\n")
    (folder / "memory.py").write_text(
        "from channels_classic.layers import InMemoryChannelLayer\nlayer = InMemoryChannelLayer()\n"
    )
    return folder


@pytest.mark.parametrize(("options", "code", "text"), CASES, ids=str)
def test_invalid_options_are_one_line(folder: Path, options: list[str], code: int, text: str) -> None:
    ended, printed = refused(folder, *options)
    assert ended == code
    *usage, message = printed.strip().splitlines()
    assert message.startswith("Error: ")
    assert "Traceback" not in printed
    assert text in message
    assert all(line.startswith(("Usage: ", "Try ")) or not line for line in usage)
    assert bool(usage) == (code == 2)


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = refused(tmp_path, "--redis", "redis://x", "--port", port)
    assert (code, text) == (1, f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use.\n")


def test_bad_values_in_the_environment(tmp_path: Path) -> None:
    code, text = refused(tmp_path, "--redis", "redis://x", CHANNELS_INTERFACE_PORT="many")
    assert code == 2
    assert "'many' is not a valid integer" in text


@pytest.mark.parametrize(
    "url",
    [
        "redis://someone:s3cr3t-word@x:notaport",
        "redis//:s3cr3t-word@host",
        "redis://:s3cr3t/-word@host",
        "http://a:s3cr3t-word@b/?password=s3cr3t-word",
        "s3cr3t-word@host",
        "redis://:s3cr3t-word@[::1",
    ],
)
def test_no_password_is_shown(tmp_path: Path, url: str) -> None:
    code, text = refused(tmp_path, "--redis", url, "--encryption-key", "s3cr3t-word")
    assert code == 1
    assert "s3cr3t" not in text
    assert "-word" not in text
    assert text.startswith("Error: --redis ")
    assert text.count("\n") == 1
    by_environment = refused(tmp_path, CHANNELS_INTERFACE_REDIS=url)[1]
    assert "s3cr3t" not in by_environment


def test_no_password_of_a_project_is_shown(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('cannot reach\\nredis://me:s3cr3t@host/0')\n")
    code, text = refused(tmp_path, "broken:layer")
    assert (code, text.count("\n")) == (1, 1)
    assert "redis://***@host/0" in text
