"""The loads: what the client does to a stack, and what is measured meanwhile."""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Protocol

import uvloop

from benchmarks.clients.http import HttpLoad
from benchmarks.clients.recorder import Recorder
from benchmarks.clients.websocket import BroadcastLoad, EchoLoad, SocketLoad
from benchmarks.layers import measure_layer
from benchmarks.plan import Plan
from benchmarks.processes import Servers, StackError, machine_cpu_seconds, running
from benchmarks.redis_server import RedisServer
from benchmarks.results import Measurement, middle_and_tail
from benchmarks.stacks import BROADCAST, ECHO, HTTP, IDLE, LAYER, SIZES, Stack

SETTLING = 2.0
"""Seconds between the last handshake and the measurement of idle sockets."""


class Client(Protocol):
    """The methods of a client that loads use."""

    async def open(self) -> None:
        """Connect."""

    def begin(self) -> None:
        """Send the first messages."""

    async def finish(self) -> None:
        """Receive the last answers and disconnect."""


ClientFactory = Callable[[Stack, int, int, Recorder], Client]
"""Makes the client of a load from the stack, its port, the size of a frame and the recorder."""


@dataclass(frozen=True)
class Load:
    """A load.

    :param name: its name on the command line.
    :param title: its heading in the tables.
    :param kind: which stacks take it: see :data:`benchmarks.stacks.EVERYTHING`.
    :param unit: what is counted.
    :param run: measures one stack under it.
    """

    name: str
    title: str
    kind: str
    unit: str
    run: Callable[[Stack, RedisServer, Plan], Measurement]


@dataclass(frozen=True)
class Usage:
    """The CPU time used until a certain moment, in seconds. ``machine`` is that of all programs."""

    at: float
    servers: float
    redis: float
    client: float
    machine: float

    @classmethod
    def now(cls, servers: Servers, redis: RedisServer) -> Usage:
        """Read all counters."""
        return cls(
            perf_counter(), servers.cpu_seconds(), redis.cpu_seconds(), process_time(), machine_cpu_seconds()
        )

    def others_since(self, before: Usage) -> float:
        """The share of the machine that other programs have used since ``before``."""
        ours = self.servers - before.servers + self.redis - before.redis + self.client - before.client
        available = (self.at - before.at) * (os.cpu_count() or 1)
        return max(0.0, self.machine - before.machine - ours) / available


def _traffic(kind: str, make: ClientFactory) -> Callable[[Stack, RedisServer, Plan], Measurement]:
    async def measure(stack: Stack, servers: Servers, redis: RedisServer, plan: Plan) -> Measurement:
        recorder = Recorder()
        client = make(stack, servers.port, plan.size, recorder)
        await client.open()
        if recorder.failure is None:
            client.begin()
            await recorder.last(plan.warm_up)
        recorder.restart()
        before = Usage.now(servers, redis)
        await recorder.last(plan.seconds)
        after, samples = Usage.now(servers, redis), recorder.restart()
        memory = servers.memory()
        await client.finish()
        if recorder.failure or not samples:
            servers.check_alive()
            raise StackError(recorder.failure or f"nothing arrived within {plan.seconds:g} s")
        messages = len(samples)
        p50, p99 = middle_and_tail(samples)
        return Measurement(
            rate=messages / (after.at - before.at),
            p50=p50,
            p99=p99,
            server_cpu=(after.servers - before.servers) / messages,
            redis_cpu=(after.redis - before.redis) / messages,
            client_cpu=(after.client - before.client) / messages,
            memory=memory,
            others=after.others_since(before),
        )

    return _served(kind, measure)


def _idle(sockets: int) -> Callable[[Stack, RedisServer, Plan], Measurement]:
    async def measure(stack: Stack, servers: Servers, redis: RedisServer, plan: Plan) -> Measurement:
        recorder = Recorder()
        client = SocketLoad(servers.port, stack.echo_path, sockets, plan.size, recorder)
        empty = servers.memory()
        await client.open()
        await recorder.last(SETTLING)
        memory = servers.memory() - empty
        before = Usage.now(servers, redis)
        await recorder.last(plan.idle_seconds)
        after = Usage.now(servers, redis)
        await client.finish()
        if recorder.failure:
            raise StackError(recorder.failure)
        elapsed = after.at - before.at
        return Measurement(
            server_cpu=(after.servers - before.servers) / elapsed,
            redis_cpu=(after.redis - before.redis) / elapsed,
            memory=memory / sockets,
            others=after.others_since(before),
        )

    return _served(IDLE, measure)


def _served(
    kind: str,
    measure: Callable[[Stack, Servers, RedisServer, Plan], Awaitable[Measurement]],
) -> Callable[[Stack, RedisServer, Plan], Measurement]:
    def run(stack: Stack, redis: RedisServer, plan: Plan) -> Measurement:
        async def measured() -> Measurement:
            gc.collect()
            gc.disable()
            try:
                return await measure(stack, servers, redis, plan)
            finally:
                gc.enable()

        with running(stack, redis.url, kind) as servers:
            return uvloop.run(measured())

    return run


def _layer(load: str) -> Callable[[Stack, RedisServer, Plan], Measurement]:
    return lambda stack, redis, plan: measure_layer(stack, redis.url, load, plan.seconds, plan.size)


def _http(connections: int) -> Load:
    return Load(
        f"http-{connections}",
        f"HTTP through a Django view, {_count(connections, 'connection')}",
        HTTP,
        "requests",
        _traffic(HTTP, lambda stack, port, size, recorder: HttpLoad(port, "/hello", connections, recorder)),
    )


def _echo(sockets: int) -> Load:
    return Load(
        f"echo-{sockets}",
        f"WebSocket echo, {_count(sockets, 'socket')}",
        ECHO,
        "echoes",
        _traffic(
            ECHO, lambda stack, port, size, recorder: EchoLoad(port, stack.echo_path, sockets, size, recorder)
        ),
    )


def _echo_of_size(sockets: int, name: str, size: int) -> Load:
    return Load(
        f"echo-{sockets}-{name}",
        f"WebSocket echo, {_count(sockets, 'socket')}, {size:,} bytes",
        SIZES,
        "echoes",
        _traffic(SIZES, lambda stack, port, _, recorder: EchoLoad(port, stack.echo_path, sockets, size, recorder)),
    )


def _broadcast(sockets: int) -> Load:
    return Load(
        f"broadcast-{sockets}",
        f"Broadcast to {sockets:,} sockets",
        BROADCAST,
        "deliveries",
        _traffic(
            BROADCAST,
            lambda stack, port, size, recorder: BroadcastLoad(port, "/broadcast", sockets, size, recorder),
        ),
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


LOADS: tuple[Load, ...] = (
    _http(1),
    _http(50),
    _echo(1),
    _echo(50),
    _echo_of_size(50, "1k", 1024),
    _echo_of_size(50, "16k", 16 * 1024),
    _broadcast(200),
    _broadcast(2000),
    Load("layer-send", "The layer alone: send", LAYER, "sends", _layer("send")),
    Load("layer-receive", "The layer alone: receive", LAYER, "receives", _layer("receive")),
    Load("layer-loop", "The layer alone: send, then receive", LAYER, "messages", _layer("send-receive")),
    *(
        Load(
            f"group-{members}",
            f"The layer alone: group send to {members:,} members",
            LAYER,
            "group sends",
            _layer(f"group-{members}"),
        )
        for members in (10, 1000, 10000)
    ),
    Load("idle-2000", "2,000 idle sockets", IDLE, "sockets", _idle(2000)),
)
"""Every load, in the order of the tables."""
