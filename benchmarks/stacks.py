"""The stacks to compare: what each installs, its processes, and the loads it takes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.environments import ROOT, Environment

HTTP, ECHO, SIZES, BROADCAST, LAYER, IDLE = "http", "echo", "sizes", "broadcast", "layer", "idle"
EVERYTHING = frozenset({HTTP, ECHO, SIZES, BROADCAST, LAYER, IDLE})

SITES = ROOT / "benchmarks" / "sites"

CLASSIC = Environment("channels-classic", ("-e", str(ROOT)))
CHANNELS_1 = Environment(
    "channels-1",
    (
        "Django==1.11.29",
        "channels==1.1.8",
        "daphne==1.4.2",
        "asgi_redis==1.4.3",
        "asgiref==1.1.2",
        "redis==2.10.6",
        "msgpack-python==0.5.6",
        "Twisted==20.3.0",
        "autobahn==20.12.3",
    ),
    python="3.6",
    pip="21.3.1",
)
CHANNELS_1_TX = Environment(
    "channels-1-txredisapi",
    (*CHANNELS_1.requirements, "txredisapi==1.4.7"),
    python=CHANNELS_1.python,
    pip=CHANNELS_1.pip,
)
CHANNELS_4 = Environment(
    "channels-4",
    (
        "Django>=5.2",
        "channels>=4.3",
        "channels_redis>=4.3",
        "daphne>=4.2",
        "uvicorn[standard]>=0.35",
        # redis-py 8 gives sockets a timeout that ends the blocking reads of channels_redis 4.3's core layer.
        "redis>=5,<8",
    ),
)
BESIDE = Environment("channels-4-beside", (*CHANNELS_4.requirements, "-e", str(ROOT)))
GUNICORN = Environment("gunicorn", ("Django>=5.2", "gunicorn>=23"))
CLIENT = Environment(
    "client",
    (
        "click>=8.1",
        "httptools>=0.6",
        "matplotlib>=3.8",
        "picows>=1.9",
        "psutil>=6",
        "redis>=5",
        "uvloop>=0.20",
    ),
)
"""The packages that the clients, the report and the suite itself need."""

CORE_LAYER = "channels_redis.core.RedisChannelLayer"
PUBSUB_LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"
BESIDE_LAYER = "channels_classic.channels4.RedisChannelLayer"


@dataclass(frozen=True)
class Command:
    """One server process of a stack.

    :param name: what the process is, for its log: ``interface``, ``worker``, ``server``.
    :param line: the command line, run in the site's folder; ``{bin}``, ``{port}``, ``{redis}`` are filled in.
    """

    name: str
    line: str

    def arguments(self, **values: object) -> list[str]:
        """The command line as a list, filled in."""
        return [argument.format(**values) for argument in shlex.split(self.line)]


@dataclass(frozen=True)
class Stack:
    """One way to serve the same Django project.

    :param name: its name on the command line.
    :param title: its name in the tables.
    :param environment: what it is installed in.
    :param site: the folder under ``benchmarks/sites`` its processes start in.
    :param commands: its processes, in the order they start in.
    :param loads: the kinds of load it is measured under.
    :param echo_path: the path of its echoing WebSocket consumer.
    :param ready_path: a path that answers 200 once all processes serve; ``None`` if an open port is enough.
    :param layer: the dotted path of its channel layer, for the loads on the layer alone.
    :param capacities: by kind of load, the capacity of channels where the default one makes this stack lose what
        the load waits for; the report says so.
    :param family: stacks of one family are variants of the same peer: the better one is reported.
    :param packages: whose versions the report names.
    :param reference: it is there to show what the clients can reach, not as a peer.
    """

    name: str
    title: str
    environment: Environment
    site: str
    commands: tuple[Command, ...]
    loads: frozenset[str]
    echo_path: str = "/echo"
    ready_path: str | None = "/hello"
    layer: str | None = None
    capacities: Mapping[str, int] = field(default_factory=dict)
    family: str = ""
    packages: tuple[str, ...] = ()
    reference: bool = False


def _classic(
    name: str,
    title: str,
    loads: frozenset[str],
    echo_path: str = "/echo",
    interfaces: int = 1,
    workers: int = 1,
) -> Stack:
    return Stack(
        name,
        title,
        CLASSIC,
        "classic",
        (
            Command(
                "interface",
                "{bin}/python -m interface_server --redis {redis} --bind 127.0.0.1 --port {port}"
                f" --processes {interfaces}",
            ),
            Command("worker", f"{{bin}}/python manage.py runworker --processes {workers}"),
        ),
        loads,
        echo_path=echo_path,
        layer="channels_classic.layers.RedisChannelLayer",
        packages=("django", "channels-classic", "redis", "httptools", "uvloop", "websockets", "msgpack"),
    )


def _channels_1(name: str, title: str, environment: Environment) -> Stack:
    return Stack(
        name,
        title,
        environment,
        "channels_1",
        (
            Command("interface", "{bin}/daphne -v 0 -b 127.0.0.1 -p {port} bench_site.asgi:channel_layer"),
            Command("worker", "{bin}/python manage.py runworker"),
        ),
        EVERYTHING,
        layer="asgi_redis.RedisChannelLayer",
        capacities={BROADCAST: 10_000},
        family="channels-1",
        packages=("django", "channels", "daphne", "asgi-redis", "twisted", "autobahn", "redis", "txredisapi"),
    )


_CHANNELS_4_SERVERS = {
    "uvicorn": "{bin}/uvicorn --no-access-log --host 127.0.0.1 --port {port} bench_site.asgi:application",
    "daphne": "{bin}/daphne -v 0 -b 127.0.0.1 -p {port} bench_site.asgi:application",
}


def _channels_4(
    server: str, name: str, variant: str, layer: str, loads: frozenset[str], echo_path: str = "/echo"
) -> Stack:
    return Stack(
        f"{server}-{name}",
        f"Channels 4 on {server}, {variant}",
        CHANNELS_4,
        "channels_4",
        (Command("server", _CHANNELS_4_SERVERS[server]),),
        loads,
        echo_path=echo_path,
        layer=layer,
        packages=(
            "django",
            "channels",
            "channels-redis",
            "redis",
            "daphne",
            "uvicorn",
            "uvloop",
            "websockets",
        ),
    )


def _limit(kind: str, loads: frozenset[str], ready_path: str | None) -> Stack:
    return Stack(
        f"limit-{kind}",
        "the client's limit (a bare server)",
        CLIENT,
        "limit",
        (Command("server", f"{{bin}}/python server.py {kind} {{port}}"),),
        loads,
        ready_path=ready_path,
        packages=("uvloop", "httptools", "picows"),
        reference=True,
    )


STACKS: tuple[Stack, ...] = (
    _classic("classic", "channels-classic", EVERYTHING),
    _classic("classic-async", "channels-classic, async def consumer", frozenset({ECHO}), "/echo-async"),
    _classic("classic-2-workers", "channels-classic, 2 worker processes", frozenset({HTTP, ECHO}), workers=2),
    _classic("classic-4-workers", "channels-classic, 4 worker processes", frozenset({HTTP, ECHO}), workers=4),
    _classic(
        "classic-2-interfaces", "channels-classic, 2 interface processes", frozenset({HTTP, ECHO}), interfaces=2
    ),
    _channels_1("channels-1", "Channels 1.1.8, asgi_redis", CHANNELS_1),
    _channels_1("channels-1-tx", "Channels 1.1.8, asgi_redis, txredisapi", CHANNELS_1_TX),
    _channels_4("uvicorn", "pubsub", "pubsub layer", PUBSUB_LAYER, EVERYTHING),
    _channels_4("uvicorn", "core", "core layer", CORE_LAYER, EVERYTHING - {HTTP, SIZES}),
    _channels_4("uvicorn", "sync", "sync consumer", PUBSUB_LAYER, frozenset({ECHO}), "/echo-sync"),
    _channels_4("daphne", "pubsub", "pubsub layer", PUBSUB_LAYER, EVERYTHING - {LAYER, SIZES}),
    _channels_4("daphne", "core", "core layer", CORE_LAYER, EVERYTHING - {HTTP, LAYER, SIZES}),
    _channels_4("daphne", "sync", "sync consumer", PUBSUB_LAYER, frozenset({ECHO}), "/echo-sync"),
    Stack(
        "beside",
        "Channels 4, the layer of channels-classic",
        BESIDE,
        "channels_4",
        (),
        frozenset({LAYER}),
        layer=BESIDE_LAYER,
        packages=("channels", "channels-classic", "redis"),
    ),
    Stack(
        "gunicorn",
        "gunicorn gthread, 4 threads",
        GUNICORN,
        "plain",
        (
            Command(
                "server",
                "{bin}/gunicorn --worker-class gthread --workers 1 --threads 4"
                " --bind 127.0.0.1:{port} bench_site.wsgi:application",
            ),
        ),
        frozenset({HTTP}),
        packages=("django", "gunicorn"),
    ),
    _limit("http", frozenset({HTTP}), "/hello"),
    _limit("websocket", frozenset({ECHO, SIZES, BROADCAST, IDLE}), None),
)
"""All stacks, in the order of the tables. The others are compared with the first one."""

OWN = tuple(stack for stack in STACKS if stack.environment is CLASSIC)
"""Those of this project."""
