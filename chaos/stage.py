"""The stage: a Redis with a replica under three sentinels, interface servers, and workers."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from chaos.ledger import FOLDER_VARIABLE
from chaos.programs import START_SECONDS, Program, StageError, free_port

ROOT = Path(__file__).parent.parent
SERVICE = "chaos"
READY = "channels:"
"""The text of the line that a worker process logs when it begins to receive."""

PROCESSES, THREADS = 2, 2
"""The number of processes of each worker program."""

DOWN_AFTER = 1.5
"""Seconds without an answer after which a sentinel takes a Redis server for dead."""


class RedisPair:
    """A master and a replica, and the sentinels that choose between them.

    They write enough to disk that a restart of the master keeps its data.

    Arguments:
        folder: the folder for their files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._executable = _redis_executable()
        self._ports = {"redis-1": free_port(), "redis-2": free_port()}
        self._servers: dict[str, Program] = {}
        self.sentinel_ports = [free_port() for _ in range(3)]
        self.sentinels: list[Program] = []

    def start(self) -> None:
        """Start everything, and wait until the sentinels know the replica."""
        for name in self._ports:
            self.start_server(name)
        self.client("redis-2").replicaof("127.0.0.1", str(self._ports["redis-1"]))
        for number, port in enumerate(self.sentinel_ports, 1):
            path = self._folder / f"sentinel-{number}.conf"
            path.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {self._folder}\n"
                f"sentinel monitor {SERVICE} 127.0.0.1 {self._ports['redis-1']} 2\n"
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER * 1000:.0f}\n"
                f"sentinel failover-timeout {SERVICE} 10000\n"
            )
            self.sentinels.append(
                Program(f"sentinel-{number}", [self._executable, path, "--sentinel"], self._folder)
            )
        for program, port in zip(self.sentinels, self.sentinel_ports, strict=True):
            sentinel = _client(port)
            program.wait_until(lambda sentinel=sentinel: _is_ready(sentinel), "it knew master and replica")

    def start_server(self, name: str) -> None:
        """Start one of the two servers with its data on disk, and wait until it answers."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        options = ["--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"]
        command = [self._executable, "--port", self._ports[name], *options]
        self._servers[name] = Program(name, command, self._folder)
        client = self.client(name)
        self._servers[name].wait_until(lambda: _answers(client), "it answered")

    @property
    def master(self) -> str:
        """The name of the master, by the sentinels."""
        for port in self.sentinel_ports:
            with suppress(redis.RedisError):
                address = _client(port).sentinel_get_master_addr_by_name(SERVICE)
                return next(name for name, port in self._ports.items() if port == int(address[1]))
        raise StageError("No sentinel answers.")

    def wait_for_another_master(self, name: str) -> None:
        """Wait until the sentinels have another master than the one with this name.

        Raises:
            StageError: it took too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while self.master == name:
            if time.monotonic() > deadline:
                raise StageError(f"The sentinels chose no other master within {START_SECONDS:g} s.")
            time.sleep(0.1)

    def program(self, name: str) -> Program:
        """The process of one of the two servers."""
        return self._servers[name]

    def client(self, name: str) -> redis.Redis:
        """A connection to one of the two servers."""
        return _client(self._ports[name])

    def end(self) -> None:
        """End everything at once."""
        for program in [*self.sentinels, *self._servers.values()]:
            program.kill()


class Stage:
    """All programs of the show.

    Arguments:
        folder: the folder for logs and data.
        interfaces: the number of interface servers.
        workers: the number of worker programs.
    """

    def __init__(self, folder: Path, interfaces: int, workers: int) -> None:
        self._folder = folder
        self.ledger = folder / "ledger"
        self.ledger.mkdir()
        self.redis = RedisPair(folder)
        self._variables = {
            "DJANGO_SETTINGS_MODULE": "chaos.site.settings",
            "PYTHONPATH": str(ROOT),
            "CHAOS_SENTINELS": json.dumps([["127.0.0.1", port] for port in self.redis.sentinel_ports]),
            FOLDER_VARIABLE: str(self.ledger),
        }
        self.ports = [free_port() for _ in range(interfaces)]
        self.interfaces: list[Program] = []
        self.workers: list[Program] = []
        self._worker_count = workers
        self._started = 0

    def start(self) -> None:
        """Start everything, and wait until it is ready."""
        self.redis.start()
        self.interfaces = [self.new_interface(port) for port in self.ports]
        self.workers = [self.new_worker() for _ in range(self._worker_count)]
        for program in self.interfaces:
            wait_for_interface(program)
        for program in self.workers:
            wait_for_worker(program)

    def new_interface(self, port: int) -> Program:
        """Start an interface server on a port. ``wait_for_interface`` waits until it is ready."""
        command = [sys.executable, "-m", "interface_server", "chaos.site.layer:channel_layer", "--port", port]
        return self._program("interface", command)

    def new_worker(self) -> Program:
        """Start a supervisor with its worker processes. ``wait_for_worker`` waits until they are ready."""
        command = [sys.executable, "-m", "worker", "--processes", PROCESSES, "--threads", THREADS]
        return self._program("worker", command)

    def end(self) -> None:
        """End everything at once."""
        for program in [*self.interfaces, *self.workers]:
            program.kill()
        self.redis.end()

    def _program(self, kind: str, command: list[object]) -> Program:
        self._started += 1
        return Program(f"{kind}-{self._started}", command, self._folder, self._variables)


def wait_for_interface(program: Program) -> None:
    """Wait until an interface server listens."""
    program.wait_for_lines("listens", 1)


def wait_for_worker(program: Program) -> None:
    """Wait until all processes of a worker program receive."""
    program.wait_for_lines(READY, PROCESSES)


def last_worker_process(program: Program) -> int:
    """The id of the worker process that a worker program has started last."""
    return int(re.findall(r"Worker (\d+),", program.log)[-1])


@contextmanager
def running_stage(folder: Path, interfaces: int, workers: int) -> Iterator[Stage]:
    """Run a stage until the end of the block."""
    stage = Stage(folder, interfaces, workers)
    try:
        stage.start()
        yield stage
    finally:
        stage.end()


def _redis_executable() -> str:
    beside = Path(sys.executable).with_name("redis-server")
    found = shutil.which("redis-server") or (str(beside) if beside.exists() else None)
    if found is None:
        raise StageError("There is no redis-server: install Redis, or use `make chaos`, which brings one along.")
    return found


def _client(port: int) -> redis.Redis:
    return redis.Redis(port=port, decode_responses=True, socket_timeout=2)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _is_ready(sentinel: redis.Redis) -> bool:
    try:
        state = sentinel.sentinel_master(SERVICE)
    except redis.RedisError:
        return False
    return int(state["num-slaves"]) == 1 and int(state["num-other-sentinels"]) == 2
