"""A real Redis Cluster for tests: three masters on this machine, each with a third of the slots."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.ports import free_port
from tests.redis_server import RedisServer

SLOTS = 16384
NODES = 3
START_SECONDS = 60


class RedisCluster:
    """A cluster whose nodes know each other, from ``start`` on."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.nodes: list[RedisServer] = []

    @property
    def hosts(self) -> list[str]:
        """The URLs of the nodes."""
        return [node.url for node in self.nodes]

    @property
    def tags(self) -> list[str]:
        """For each node a hash tag whose slot it has, with its braces."""
        return [next(tag for tag in _tags() if _slot(tag) in self._slots(node)) for node in range(NODES)]

    def prefixes(self, name: str = "") -> dict[str, Any]:
        """The keywords of a layer with a tag for each node.

        Arguments:
            name: tells layers apart that share the cluster.
        """
        return {
            "prefix": [f"{tag}{name}:" for tag in self.tags],
            "stats_prefix": [f"{tag}{name}meta:" for tag in self.tags],
        }

    def start(self) -> None:
        """Start the nodes and return when each serves."""
        for _ in range(NODES):
            self.nodes.append(start_node())
            self._stack.callback(self.nodes[-1].close)
        first, *others = self.nodes
        for number, node in enumerate(self.nodes):
            _ask(node, "CLUSTER", "ADDSLOTS", *self._slots(number))
        for node in others:
            _ask(node, "CLUSTER", "MEET", first.host, first.port)
        deadline = time.monotonic() + START_SECONDS
        while not all(b"cluster_state:ok" in _ask(node, "CLUSTER", "INFO") for node in self.nodes):
            assert time.monotonic() < deadline, self.nodes[0].log
            time.sleep(0.05)

    def _slots(self, node: int) -> range:
        return range(SLOTS * node // NODES, SLOTS * (node + 1) // NODES)

    def __enter__(self) -> RedisCluster:
        try:
            self.start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


def start_node() -> RedisServer:
    """A server in cluster mode, which runs.

    Its bus listens on the port 10,000 above that of its clients, which an outgoing connection of any program may
    have. Then it takes another port.
    """
    for attempts_left in reversed(range(10)):
        node = RedisServer(port=free_port(), cluster_enabled="yes")
        try:
            node.start()
        except pytest.fail.Exception:
            if not attempts_left:
                raise
        else:
            return node
    raise AssertionError("not reached")


def _tags() -> Iterator[str]:
    return (f"{{mysite-{number}}}" for number in itertools.count(1))


def _slot(tag: str) -> int:
    slot: int = key_slot(tag.encode())
    return slot


def _ask(node: RedisServer, *command: Any) -> Any:
    """The answer of a node, as it comes."""
    with redis.Redis.from_url(node.url) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)
