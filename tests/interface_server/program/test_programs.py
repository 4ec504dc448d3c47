"""``channels-interface`` and ``python -m interface_server``: real processes, Redis, and the test as the worker."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect

from interface_server.program.cli import main
from tests.interface_server.backend import Backend
from tests.interface_server.hosted import eventually
from tests.programs import children_of, completed, is_alive, running
from tests.project import DEADLINE, Running
from tests.redis_server import RedisServer, free_port

MODULE = [sys.executable, "-m", "interface_server"]
SCRIPT = Path(sys.executable).with_name("channels-interface")

LISTENS = re.compile(r"Interface server (\d+) listens on (\S+), channel layer (\w+)\.")

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


class Served:
    """An interface server in a process of its own, and clients for it."""

    def __init__(self, program: Running) -> None:
        self.program = program

    @property
    def pids(self) -> list[int]:
        """The processes that have said where they listen, in that order."""
        return [int(pid) for pid, _, _ in LISTENS.findall(self.program.log)]

    @property
    def url(self) -> str:
        found = LISTENS.search(self.program.log)
        assert found
        return found[2]

    def get(self, path: str = "/", **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=DEADLINE, trust_env=False, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, timeout=DEADLINE, trust_env=False, **options)

    def connect(self, path: str = "/", **options: Any) -> ClientConnection:
        options = {"compression": None, "proxy": None, "open_timeout": DEADLINE, **options}
        return connect(self.url.replace("http", "ws", 1) + path, **options)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.program.process.send_signal(number)
        return self.program.process.wait(DEADLINE)


Serve = Callable[..., Served]


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


def refused(folder: Path, *options: object, **variables: str) -> tuple[int, str]:
    """The status and the one message with which the program ends when it is given ``options``."""
    done = completed([*MODULE, *options], folder, variables)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


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
    assert second.stop() == 0
    assert not path.exists()


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


def test_what_clients_may_send_and_agree_on(serve: Serve, backend: Backend) -> None:
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


def test_whom_it_believes(serve: Serve, backend: Backend) -> None:
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


@pytest.fixture(scope="module")
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
    served.get("/page?a=1")
    with served.connect("/socket"):
        pass
    log = tmp_path / "access.log"
    eventually(lambda: "DISCONNECTED" in log.read_text())
    events = re.sub(r"(?m)^127\.0\.0\.1 - - \[\d.*?\] ", "", log.read_text()).splitlines()
    assert re.fullmatch(r'"GET /page\?a=1 HTTP/1\.1" 200 \d+', events[0])
    assert events[1:] == [
        '"WebSocket CONNECTING /socket" -',
        '"WebSocket CONNECTED /socket" -',
        '"WebSocket DISCONNECTED /socket" 1000',
    ]

    served = serve("--access-log", "-", log="standard.txt", variables={"PYTHONUNBUFFERED": ""})
    served.get("/page")
    served.program.wait('"GET /page HTTP/1.1" 200')


def test_how_much_it_says(serve: Serve, backend: Backend) -> None:
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
    assert served.get("/", headers={"X-Forwarded-For": "203.0.113.7"}).json()["client"][0] == "203.0.113.7"
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


# What cannot be.


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ([], 1, "either MODULE:LAYER, for example myproject.asgi:channel_layer, or --redis"),
        (["a:b", "--redis", "redis://x"], 1, "either MODULE:LAYER"),
        (["nothing"], 1, "The channel layer must be given as MODULE:LAYER, not 'nothing'."),
        (["nothing:layer"], 1, "No module named 'nothing'"),
        (["os:layer"], 1, "module 'os' has no attribute 'layer'"),
        (["os:sep"], 1, "os:sep should be a channel layer, but is of type str."),
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
        (["--redis", "redis://x", "--access-log", "/nowhere/log"], 1, "/nowhere/log: No such file or directory."),
        (["--redis", "redis://x", "--prot", "80"], 2, "--prot"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, options: list[str], code: int, text: str) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')\n")
    (tmp_path / "memory.py").write_text(
        "from channels_classic.layers import InMemoryChannelLayer\nlayer = InMemoryChannelLayer()\n"
    )
    ended, printed = refused(tmp_path, *options)
    assert ended == code
    *usage, message = printed.strip().splitlines()
    assert message.startswith("Error: ")
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


# Redis comes and goes.


def test_redis_that_is_not_there_yet(serve: Serve, tmp_path: Path) -> None:
    with RedisServer(port=free_port()) as redis:
        redis.stop()
        served = serve("--http-timeout", "5", layer=("--redis", redis.url))
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
        assert "The channel layer is back." in served.program.log
        assert served.stop() == 0
        assert "Traceback" not in served.program.log


# The end.


@contextmanager
def in_a_thread(function: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Runs ``function`` meanwhile; gives a function that waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()

    def result() -> Any:
        thread.join(DEADLINE)
        return results[0]

    yield result
    thread.join(DEADLINE)


def is_refused(served: Served) -> bool:
    host, port = served.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_ends_it_when_what_runs_is_complete(
    serve: Serve, backend: Backend, number: signal.Signals, processes: int
) -> None:
    served = serve("--processes", processes, processes=processes)
    with served.connect("/socket/") as client, in_a_thread(lambda: served.get("/later/")) as response:
        client.send("hello")
        assert client.recv(DEADLINE) == "hello"
        backend.wait_for("http.request")
        served.program.process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        if processes == 1:
            eventually(lambda: is_refused(served))
        assert served.program.process.poll() is None
        backend.go.set()
        assert response().text == "at last"
        assert served.program.process.wait(DEADLINE) == 0
    disconnect = backend.wait_for("websocket.disconnect")
    assert (disconnect["path"], disconnect["order"]) == ("/socket/", 2)
    backend.wait_for("http.disconnect")
    assert "Traceback" not in served.program.log
    assert not any(is_alive(pid) for pid in served.pids)


# Several processes.


def test_several_processes(serve: Serve, backend: Backend) -> None:
    served = serve("--processes", 2, "--access-log", "-", processes=2)
    first, second = served.pids
    assert set(children_of(served.program.process.pid)) >= {first, second}

    # Both serve: while one is stopped, the other one answers all.
    for stopped in (first, second):
        os.kill(stopped, signal.SIGSTOP)
        try:
            eventually(lambda: answers_at_once(served))
        finally:
            os.kill(stopped, signal.SIGCONT)

    os.kill(first, signal.SIGKILL)
    served.program.wait("another starts now")
    served.program.wait(lambda: len(served.pids) == 3)
    assert served.get("/").status_code == 200
    assert is_alive(second)
    os.kill(second, signal.SIGKILL)
    served.program.wait(lambda: len(served.pids) == 4)
    assert served.get("/").status_code == 200
    assert served.stop() == 0
    assert not any(is_alive(pid) for pid in served.pids)


def answers_at_once(served: Served) -> bool:
    """Whether a connection was taken by a process that runs."""
    try:
        return httpx.get(served.url, timeout=1, trust_env=False).status_code == 200
    except httpx.TimeoutException:
        return False


def test_sighup_renews_the_processes(serve: Serve, backend: Backend) -> None:
    served = serve("--processes", 2, processes=2)
    former = served.pids
    with in_a_thread(lambda: served.get("/later/")) as response, served.connect() as client:
        backend.wait_for("http.request")
        served.program.process.send_signal(signal.SIGHUP)
        served.program.wait("The interface server processes are renewed.")
        assert served.get("/").status_code == 200
        with pytest.raises(ConnectionClosed):
            client.recv(DEADLINE)
        backend.go.set()
        assert response().text == "at last"
    eventually(lambda: not any(is_alive(pid) for pid in former))
    assert len([pid for pid in served.pids if is_alive(pid)]) == 2
    assert served.stop() == 0


def test_processes_do_not_outlive_their_supervisor(serve: Serve) -> None:
    served = serve("--processes", 2, processes=2)
    served.stop(signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in served.pids))


def test_a_second_signal_does_not_wait(serve: Serve, backend: Backend) -> None:
    served = serve("--processes", 2, processes=2)

    def get() -> object:
        try:
            return served.get("/later/")
        except httpx.TransportError as error:
            return error

    with in_a_thread(get) as result:
        backend.wait_for("http.request")
        served.program.process.send_signal(signal.SIGTERM)
        eventually(lambda: len([pid for pid in served.pids if is_alive(pid)]) == 1)
        assert served.stop() == 0
        assert isinstance(result(), httpx.TransportError)
