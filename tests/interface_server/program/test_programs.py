"""``channels-interface`` and ``python -m interface_server``: what they serve, and their options."""

from __future__ import annotations

import errno
import json
import re
import signal
import socket
import ssl
import stat
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import unix_connect

from interface_server.program.cli import main
from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually
from tests.interface_server.program.served import SCRIPT, Serve, in_a_thread, refused
from tests.ports import free_port
from tests.programs import completed
from tests.project import DEADLINE
from tests.redis_server import RedisServer

WITHOUT_DJANGO = """\
import sys

class NoDjango:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("django", "worker"):
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, NoDjango())
from interface_server.program.cli import main
main()
"""


# What it serves, and where.


def test_redis_is_all_it_needs(serve: Serve, backend: Backend) -> None:
    served = serve(command=[sys.executable, "-c", WITHOUT_DJANGO])
    answer = served.get("/a%20b?c=1").json()
    assert (answer["method"], answer["path"], answer["query_string"]) == ("GET", "/a b", "c=1")
    with served.connect() as client:
        client.send("hello")
        assert client.recv(DEADLINE) == "hello"
    assert served.url.startswith("http://127.0.0.1:")
    assert "channel layer RedisChannelLayer" in served.program.log


def test_the_layer_of_a_project(serve: Serve, backend: Backend, tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "myproject").mkdir()
    (tmp_path / "myproject" / "settings.py").write_text(
        "CHANNEL_LAYERS = {'default': {'BACKEND': 'channels_classic.layers.RedisChannelLayer',\n"
        f"    'CONFIG': {{'hosts': [{redis_url!r}]}}, 'ROUTING': {{}}}}}}\n"
    )
    (tmp_path / "myproject" / "asgi.py").write_text(
        "import os\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'myproject.settings')\n"
        "from channels_classic.asgi import get_channel_layer\n"
        "channel_layer = get_channel_layer()\n"
    )
    assert serve(layer=("myproject.asgi:channel_layer",), command=[SCRIPT]).get("/").json()["path"] == "/"


def test_options_of_the_layer(serve: Serve, redis_url: str) -> None:
    key = Fernet.generate_key().decode()
    served = serve("--prefix", "other:", "--capacity", 1, "--encryption-key", key)
    with Backend(redis_url, prefix="other:", symmetric_encryption_keys=[key]):
        assert served.get("/").status_code == 200


def test_a_unix_socket(serve: Serve, backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "interface.socket"
    served = serve("--unix-socket", path, port=(), log="first.txt")
    assert served.url == f"unix:{path}"
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=DEADLINE) as client:
        answer = client.get("http://localhost/here").json()
    assert (answer["path"], answer["client"]) == ("/here", None)
    with unix_connect(str(path), "ws://localhost/", compression=None) as websocket:
        websocket.send("hello")
        assert websocket.recv(DEADLINE) == "hello"

    # One that listens is left alone, what a killed one left behind is taken over.
    code, text = refused(tmp_path, "--redis", "redis://127.0.0.1", "-u", path)
    assert (code, text) == (1, f"Error: Cannot listen on {path}: another server listens there.\n")
    served.stop(signal.SIGKILL)
    assert stat.S_ISSOCK(path.stat().st_mode)
    second = serve("--unix-socket", path, port=(), log="second.txt")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=DEADLINE) as client:
        assert client.get("http://localhost/again").json()["path"] == "/again"

    # The socket of a server that starts while another one finishes stays when that one has ended.
    with (
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=DEADLINE) as client,
        in_a_thread(lambda: client.get("http://localhost/later/")) as response,
    ):
        backend.wait_for("http.request", lambda content: content["path"] == "/later/")
        second.program.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(path))
        third = serve("--unix-socket", path, port=(), log="third.txt")
        backend.go.set()
        assert response().text == "at last"
    assert second.program.process.wait(DEADLINE) == 0
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=DEADLINE) as client:
        assert client.get("http://localhost/third").json()["path"] == "/third"
    assert third.stop() == 0
    assert not path.exists()


def is_refused(path: Path) -> bool:
    """Whether nobody listens on a unix socket any more."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == errno.ECONNREFUSED


def test_a_file_is_no_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("precious")
    code, text = refused(tmp_path, "--redis", "redis://127.0.0.1", "-u", path)
    assert (code, text) == (1, f"Error: Cannot listen on {path}: there is something else of that name.\n")
    assert path.read_text() == "precious"


def test_a_socket_that_the_parent_opened(serve: Serve, backend: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = sock.fileno()
        served = serve("--fd", fd, port=(), pass_fds=[fd])
        assert served.url == f"http://127.0.0.1:{sock.getsockname()[1]}"
        assert served.get("/").json()["path"] == "/"


def test_ipv6(serve: Serve, backend: Backend) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("This machine has no IPv6.")
    served = serve("--bind", "::1")
    assert served.url.startswith("http://[::1]:")
    assert served.get("/").status_code == 200


# Options of what it does.


def test_timeouts(serve: Serve, backend: Backend) -> None:
    served = serve("--http-timeout", "0.2", "--websocket-handshake-timeout", "0.2", "--websocket-timeout", "0.3")
    assert served.get("/silent/").status_code == 503
    with pytest.raises(InvalidStatus) as refusal:
        served.connect("/silent/")
    assert refusal.value.response.status_code == 403
    with served.connect() as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(DEADLINE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000
    assert "No answer to GET /silent/ within 0.2 s" in served.program.log
    assert "Nobody accepted the WebSocket /silent/ within 0.2 s" in served.program.log


def test_a_client_that_answers_no_ping_is_given_up(serve: Serve, backend: Backend) -> None:
    served = serve("--ping-interval", "0.1", "--ping-timeout", "0.2")
    host, port = served.url.removeprefix("http://").split(":")
    with served.connect("/alive/") as alive, socket.create_connection((host, int(port)), DEADLINE) as dead:
        dead.sendall(
            b"GET /dead/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        backend.wait_for("websocket.disconnect", lambda content: content["path"] == "/dead/")
        alive.send("still here")
        assert alive.recv(DEADLINE) == "still here"


def test_limits_and_subprotocols(serve: Serve, backend: Backend) -> None:
    protocols = ("--ws-protocol", "chat", "--ws-protocol", "news")
    served = serve(*protocols, "--max-message-size", "10", "--root-path", "/app/")
    with served.connect(subprotocols=["other", "news"]) as client:
        assert client.subprotocol == "news"
        client.send("x" * 10)
        assert client.recv(DEADLINE) == "x" * 10
        client.send("x" * 11)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    assert served.get("/app/page").json()["root_path"] == "/app"


def test_trusted_proxies(serve: Serve, backend: Backend) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    for number, (options, address, scheme) in enumerate(
        [
            ([], "127.0.0.1", "http"),
            (["--proxy-headers"], "203.0.113.7", "https"),
            (["--proxy-headers", "--trusted-proxies", "10.0.0.1"], "127.0.0.1", "http"),
        ]
    ):
        answer = serve(*options, log=f"{number}.txt").get("/", headers=headers).json()
        assert (answer["client"][0], answer["scheme"]) == (address, scheme)


def test_tls(serve: Serve, backend: Backend, certificate: tuple[Path, Path]) -> None:
    file, key = certificate
    tls = ("--ssl-certfile", file, "--ssl-keyfile", key, "--ssl-keyfile-password", "secret")
    context = ssl.create_default_context(cafile=str(file))
    served = serve(*tls, "--processes", 2, processes=2)
    assert served.url.startswith("https://")
    assert served.get("/", verify=context).json()["scheme"] == "https"
    with served.connect(ssl=context) as client:
        client.send("hello")
        assert client.recv(DEADLINE) == "hello"
    assert backend.wait_for("websocket.connect")["scheme"] == "wss"

    served = serve(*tls, "--ssl-ca-certs", file, log="clients.txt")
    with pytest.raises(httpx.TransportError):
        served.get("/", verify=context)
    context.load_cert_chain(file, key, "secret")
    assert served.get("/", verify=context).status_code == 200


def test_access_logs(serve: Serve, backend: Backend, tmp_path: Path) -> None:
    served = serve("--access-log", tmp_path / "access.log")
    served.get("/page?a=1&session_key=abc")
    with served.connect("/socket"):
        pass
    log = tmp_path / "access.log"
    eventually(lambda: "DISCONNECTED" in log.read_text())
    events = re.sub(r"(?m)^127\.0\.0\.1 - - \[\d.*?\] ", "", log.read_text()).splitlines()
    for event, pattern in zip(
        events,
        [
            r'"GET /page\?a=1&session_key=\*\*\* HTTP/1\.1" 200 \d+ \d+\.\d{3} [0-9a-f]{10}',
            r'"WebSocket CONNECTING /socket" - - (?P<client>[0-9a-f]{10})',
            r'"WebSocket CONNECTED /socket" - - [0-9a-f]{10}',
            r'"WebSocket DISCONNECTED /socket" 1000 \d+\.\d{3} [0-9a-f]{10}',
        ],
        strict=True,
    ):
        assert re.fullmatch(pattern, event), event
    assert len({event.split()[-1] for event in events}) == 2

    served = serve("--access-log", "-", log="standard.txt", variables={"PYTHONUNBUFFERED": ""})
    served.get("/page")
    served.program.wait('"GET /page HTTP/1.1" 200')


def test_the_access_log_as_json(serve: Serve, backend: Backend, tmp_path: Path) -> None:
    served = serve("--access-log", tmp_path / "access.log", "--access-log-json")
    served.get("/page?token=abc")
    (line,) = eventually(lambda: (tmp_path / "access.log").read_text().splitlines())
    fields = json.loads(line)
    assert (fields["event"], fields["method"], fields["path"]) == ("http", "GET", "/page?token=***")
    assert (fields["status"], fields["address"]) == (200, "127.0.0.1")
    assert fields["seconds"] >= 0


def test_a_configuration_for_its_log(serve: Serve, backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "log.json"
    configuration = {
        "version": 1,
        "formatters": {"json": {"()": "channels_classic.log_context.JsonFormatter"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(tmp_path / "own.log"), "formatter": "json"},
            "console": {"class": "logging.StreamHandler"},
        },
        "root": {"handlers": ["file", "console"], "level": "INFO"},
    }
    file.write_text(json.dumps(configuration))
    served = serve("--log-config", file)
    assert served.get("/").status_code == 200
    lines = [json.loads(line) for line in (tmp_path / "own.log").read_text().splitlines()]
    assert "listens on" in lines[0]["message"]
    assert lines[0]["logger"] == "django.channels"


def test_verbosity(serve: Serve, backend: Backend) -> None:
    quiet, loud = serve(log="quiet.txt"), serve("-vv", log="loud.txt")
    for served in (quiet, loud):
        assert served.get("/").status_code == 200
        assert served.stop() == 0
    assert len(quiet.program.log.splitlines()) == 2
    assert "The server stops" in loud.program.log


def test_every_option_by_the_environment(serve: Serve, backend: Backend, redis_url: str, tmp_path: Path) -> None:
    served = serve(
        layer=(),
        port=(),
        command=[SCRIPT],
        processes=2,
        variables={
            "CHANNELS_INTERFACE_REDIS": redis_url,
            "CHANNELS_INTERFACE_PORT": "0",
            "CHANNELS_INTERFACE_PROCESSES": "2",
            "CHANNELS_INTERFACE_HTTP_TIMEOUT": "0.2",
            "CHANNELS_INTERFACE_WS_PROTOCOL": "chat news",
            "CHANNELS_INTERFACE_PROXY_HEADERS": "1",
            "CHANNELS_INTERFACE_ACCESS_LOG": str(tmp_path / "access.log"),
            "CHANNELS_INTERFACE_VERBOSE": "2",
        },
    )

    def answer() -> dict[str, Any] | None:
        response = served.get("/", headers={"X-Forwarded-For": "203.0.113.7"})
        return response.json() if response.status_code == 200 else None

    assert eventually(answer)["client"][0] == "203.0.113.7"  # a busy machine may need longer than 0.2 s
    assert served.get("/silent/").status_code == 503
    with served.connect(subprotocols=["news"]) as client:
        assert client.subprotocol == "news"
    assert len((tmp_path / "access.log").read_text().splitlines()) >= 4


def test_every_option_has_its_help_and_its_variable(tmp_path: Path) -> None:
    text = completed([SCRIPT, "--help"], tmp_path).stdout
    assert "myproject.asgi:channel_layer" in text
    for parameter in main.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
            assert max(parameter.opts, key=len) in text


# Redis comes and goes.


def test_redis_that_is_not_there_yet(serve: Serve, tmp_path: Path) -> None:
    with RedisServer(port=free_port()) as redis:
        redis.stop()
        served = serve("--http-timeout", "5", layer=("--redis", redis.url))
        served.program.wait("The channel layer cannot be reached; trying again.")
        assert [served.get("/").status_code for _ in range(3)] == [503, 503, 503]
        with pytest.raises(InvalidStatus) as refusal:
            served.connect()
        assert refusal.value.response.status_code == 503
        log = served.program.log
        assert f"127.0.0.1:{redis.port}" in log
        assert "Traceback" not in log
        assert log.count("The channel layer cannot be reached; trying again.") == 1

        redis.start()
        with Backend(redis.url):
            eventually(lambda: served.get("/").status_code == 200)
            with served.connect() as client:
                client.send("hello")
                assert client.recv(DEADLINE) == "hello"
        served.program.wait("The channel layer is back.")
        served.program.wait("The channel layer answers.")
        assert served.stop() == 0
        assert "Traceback" not in served.program.log
