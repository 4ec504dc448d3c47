"""Runs the loads: round by round, load by load, each stack in turn with new processes."""

from __future__ import annotations

import platform
import sys
import traceback
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import psutil

from benchmarks.environments import SetupError
from benchmarks.loads import Load
from benchmarks.plan import Plan
from benchmarks.processes import StackError
from benchmarks.redis_server import RedisServer, running_redis
from benchmarks.results import Circumstances, Measurement, Results
from benchmarks.stacks import Stack


def run(loads: Sequence[Load], stacks: Sequence[Stack], plan: Plan, rounds: int) -> tuple[Results, Circumstances]:
    """Measure every load against every stack that takes it, in several rounds.

    The stacks take turns within a load, and every second round goes through them backwards, so that a machine that
    becomes slower or faster favours none.

    :param loads: what to measure.
    :param stacks: what to measure it on.
    :param plan: lengths and sizes.
    :param rounds: how often; the medians are reported.
    """
    results = Results()
    broken = set_up(stacks)
    with running_redis() as redis:
        for number in range(1, rounds + 1):
            for load in loads:
                takers = [stack for stack in stacks if load.kind in stack.loads]
                for stack in takers if number % 2 else reversed(takers):
                    reason = broken.get(stack.name)
                    if reason is None:
                        measurement = _measure(load, stack, redis, plan)
                    else:
                        measurement = Measurement(failure=reason)
                    results.add(load.name, stack.name, measurement)
                    say(f"round {number}/{rounds}  {load.name:15} {stack.name:22} {_in_short(measurement)}")
        circumstances = Circumstances(
            machine(), date.today(), redis.version(), plan, rounds, versions(stacks, broken)
        )
    return results, circumstances


def set_up(stacks: Iterable[Stack]) -> dict[str, str]:
    """Make the environments. Returns why some cannot be made, by the name of the stack."""
    broken: dict[str, str] = {}
    for stack in stacks:
        if stack.reference:
            continue
        try:
            stack.environment.ensure()
        except SetupError as error:
            broken[stack.name] = str(error)
            say(f"{stack.name} is left out: {error}")
    return broken


def versions(stacks: Iterable[Stack], broken: Iterable[str]) -> dict[str, str]:
    """The packages of each environment, by its name."""
    sharing: dict[str, list[Stack]] = {}
    for stack in stacks:
        if stack.name not in broken:
            sharing.setdefault(stack.environment.name, []).append(stack)
    described = {}
    for name, group in sharing.items():
        environment = group[0].environment
        packages = dict.fromkeys(package for stack in group for package in stack.packages)
        installed = environment.versions(*packages)
        words = [f"Python {environment.python_version()}"]
        words += [f"{package} {version}" for package, version in installed.items()]
        described[name] = ", ".join(words)
    return described


def machine() -> str:
    """A text with the processor, cores, memory and kernel of the machine."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        model = models[0].split(":", 1)[1].strip() if models else model
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def say(words: str) -> None:
    """Print the progress, apart from the table."""
    print(words, file=sys.stderr, flush=True)


def _measure(load: Load, stack: Stack, redis: RedisServer, plan: Plan) -> Measurement:
    redis.empty()
    try:
        return load.run(stack, redis, plan)
    except StackError as error:
        return Measurement(failure=str(error))
    except Exception as error:
        traceback.print_exc()
        return Measurement(failure=repr(error))


def _in_short(measurement: Measurement) -> str:
    if measurement.failure:
        return f"failed: {measurement.failure}"
    if measurement.rate is None:
        return f"{100 * (measurement.server_cpu or 0) + 100 * (measurement.redis_cpu or 0):.2f} % of a core"
    return f"{measurement.rate:,.0f}/s  p50 {1000 * (measurement.p50 or 0):.2f} ms"
