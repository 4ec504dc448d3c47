"""Ports for the servers that tests start: no two runs of the tests are given the same ones."""

from __future__ import annotations

import functools
import itertools
import random
import socket
from collections.abc import Iterator

PORTS = (10_000, 20_000)
"""The 10,000 ports above these are left to the buses of Redis clusters, each 10,000 above the port of its node."""

PORTS_OF_A_PROCESS = 100
_holders: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 that is free, and that nothing else on this machine takes before the test does."""
    for port in _own_ports():
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("There is no end of ports.")


@functools.cache
def _own_ports() -> Iterator[int]:
    """The ports of this process, one after the other, and again from the first.

    They are a block that no other run of the tests has, because this process holds the first port of the block
    for as long as it lives. They lie below those that the system gives to outgoing connections. So a port that is
    free when a test asks for it is still free when the program that the test starts listens on it.
    """
    starts = range(*PORTS, PORTS_OF_A_PROCESS)
    for start in random.SystemRandom().sample(starts, len(starts)):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", start))
        except OSError:
            holder.close()
            continue
        _holders.append(holder)
        return itertools.cycle(range(start + 1, start + PORTS_OF_A_PROCESS))
    raise RuntimeError(f"Every block of ports between {PORTS[0]} and {PORTS[1]} is in use.")
