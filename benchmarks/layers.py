"""Runs the loads on the channel layer alone, each in a process with the Python of the stack."""

from __future__ import annotations

import json
import os
import subprocess

from benchmarks.environments import ROOT
from benchmarks.processes import StackError, site_environment
from benchmarks.results import Measurement, middle_and_tail
from benchmarks.stacks import Stack

PATIENCE = 120.0
"""Seconds on top of the measured ones, because ten thousand members take a while to join."""


def measure_layer(stack: Stack, redis_url: str, load: str, seconds: float, size: int) -> Measurement:
    """Run one load on the stack's layer.

    :param stack: whose layer.
    :param redis_url: the shared Redis.
    :param load: ``send``, ``receive``, ``send-receive`` or ``group-N``.
    :param seconds: how long.
    :param size: the length of the text in a message, in bytes.
    :raises StackError: the program ended badly, or not at all.
    """
    assert stack.layer is not None
    command = [
        stack.environment.executable(),
        str(ROOT / "benchmarks" / "layer_program.py"),
        stack.layer,
        redis_url,
        load,
        str(seconds),
        str(size),
    ]
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds + PATIENCE,
            env={**os.environ, **site_environment(stack, redis_url)},
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"not done within {seconds + PATIENCE:g} s") from None
    if finished.returncode:
        words = finished.stderr.strip().splitlines()
        raise StackError(words[-1][:300] if words else f"ended with code {finished.returncode}")
    answer = json.loads(finished.stdout.splitlines()[-1])
    p50, p99 = middle_and_tail(answer["latencies"])
    return Measurement(
        rate=answer["operations"] / answer["seconds"],
        p50=p50,
        p99=p99,
        server_cpu=answer["own_cpu"] / answer["operations"],
        redis_cpu=answer["redis_cpu"] / answer["operations"],
    )
