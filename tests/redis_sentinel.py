"""Real sentinels for tests, and a master with a replica that three of them watch."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from channels_classic.layers import LayerUnavailable
from tests.ports import free_port
from tests.redis_server import NO_RETRY, RedisServer, redis_server_or_skip

PATIENCE = 60


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Wait for what other processes do in their own time, even if they do not answer yet."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if condition():
                return
        except (redis.RedisError, LayerUnavailable):
            pass
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class Sentinel:
    """One sentinel that watches masters.

    Arguments:
        folder: for its configuration, which it rewrites.
        masters: by the names it knows them by.
        quorum: how many sentinels have to miss a master.
    """

    def __init__(self, folder: Path, masters: dict[str, RedisServer], quorum: int = 1) -> None:
        self.port = free_port()
        self._masters = list(masters)
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {folder}"]
        for name, server in masters.items():
            lines += [
                f"sentinel monitor {name} {server.host} {server.port} {quorum}",
                f"sentinel down-after-milliseconds {name} 500",
                f"sentinel failover-timeout {name} 5000",
            ]
        self._configuration = folder / f"sentinel-{self.port}.conf"
        self._configuration.write_text("\n".join(lines) + "\n")
        self._log = folder / f"sentinel-{self.port}.log"

    def client(self) -> redis.Redis:
        """A new client; the caller closes it."""
        return redis.Redis(port=self.port, decode_responses=True, retry=NO_RETRY)

    def state(self, service: str) -> dict[str, Any]:
        """What it knows of a master."""
        with self.client() as client:
            state: dict[str, Any] = client.sentinel_masters()[service]
            return state

    def send_signal(self, number: int) -> None:
        """Stop it, or let it go on."""
        self._process.send_signal(number)

    def __enter__(self) -> Sentinel:
        with self._log.open("ab") as log:
            command = [redis_server_or_skip(), str(self._configuration), "--sentinel"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with self.client() as client:
                wait_until(lambda: len(client.sentinel_masters()) == len(self._masters), "the sentinel")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)


class Watched:
    """A master and a replica that are watched by three sentinels, two of which have to agree."""

    service = "service"

    def __init__(self, master: RedisServer, replica: RedisServer, sentinels: Sequence[Sentinel]) -> None:
        self.master = master
        self.replica = replica
        self.sentinels = sentinels

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """The sentinels, as the layer takes them."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    def stop_master(self) -> None:
        """Let the master hang, with all its connections open."""
        assert self.master.pid is not None
        os.kill(self.master.pid, signal.SIGSTOP)

    @contextmanager
    def in_trouble(self, sentinel: Sentinel | None) -> Iterator[None]:
        """While a sentinel hangs, if one is given, and whatever else is done to the site."""
        if sentinel is not None:
            sentinel.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if sentinel is not None:
                sentinel.send_signal(signal.SIGCONT)

    def fail_over(self) -> None:
        """Ask a sentinel to make the replica the master, though nothing is wrong."""
        with self.sentinels[0].client() as client:
            client.execute_command("SENTINEL", "FAILOVER", self.service)

    def has_switched(self) -> bool:
        """Whether a sentinel says that the replica is the master now."""
        return any(sentinel.state(self.service)["port"] == self.replica.port for sentinel in self.sentinels[:2])


@contextmanager
def watched() -> Iterator[Watched]:
    """A master, its replica and three sentinels that know each other."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sentinels-")))
        master, replica = (stack.enter_context(RedisServer(repl_diskless_sync_delay=0)) for _ in range(2))
        with replica.client() as client:
            client.replicaof(master.host, master.port)
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica")
        # Behind the replica: a sentinel asks the master for its replicas at once, and then every ten seconds.
        masters = {Watched.service: master}
        sentinels = [stack.enter_context(Sentinel(folder, masters, quorum=2)) for _ in range(3)]
        for sentinel in sentinels:
            wait_until(lambda: _knows_all(sentinel.state(Watched.service)), "the sentinels to know each other")  # noqa: B023
        yield Watched(master, replica, sentinels)


def _knows_all(state: dict[str, Any]) -> bool:
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)
