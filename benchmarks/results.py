"""The results: a measurement for each load, stack and round, and the medians over the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from benchmarks.clients.recorder import percentile

if TYPE_CHECKING:
    from benchmarks.plan import Plan


@dataclass(frozen=True)
class Measurement:
    """One run of one load against one stack, or the reason why there is none.

    Times are in seconds, memory in bytes. CPU times are for one message; of idle sockets they are shares of a
    core.

    :param rate: messages a second: requests, echoes, deliveries, sends.
    :param p50: the median latency.
    :param p99: the latency that one message in a hundred exceeds.
    :param server_cpu: what the processes of the stack used.
    :param redis_cpu: what Redis used.
    :param client_cpu: what the client used.
    :param memory: what the processes of the stack keep resident; of idle sockets, for one socket.
    :param others: the share of the machine that programs with no part in it took.
    :param failure: why the stack could not be measured.
    """

    rate: float | None = None
    p50: float | None = None
    p99: float | None = None
    server_cpu: float | None = None
    redis_cpu: float | None = None
    client_cpu: float | None = None
    memory: float | None = None
    others: float | None = None
    failure: str | None = None

    @property
    def cpu(self) -> float | None:
        """What the processes of the stack and Redis used together."""
        if self.server_cpu is None:
            return None
        return self.server_cpu + (self.redis_cpu or 0.0)


FIGURES = ("rate", "p50", "p99", "server_cpu", "redis_cpu", "client_cpu", "memory", "others")


def middle_and_tail(samples: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile of all samples, exact."""
    ordered = sorted(samples)
    return percentile(ordered, 0.5), percentile(ordered, 0.99)


def median(measurements: Iterable[Measurement]) -> Measurement:
    """The median of each figure over the successful rounds, or the failure if there are none."""
    rounds = list(measurements)
    good = [measurement for measurement in rounds if measurement.failure is None]
    if not good:
        return rounds[0]
    figures: dict[str, Any] = {}
    for name in FIGURES:
        values = [value for measurement in good if (value := getattr(measurement, name)) is not None]
        if values:
            figures[name] = statistics.median(values)
    return Measurement(**figures)


@dataclass(frozen=True)
class Circumstances:
    """The machine, the time and the versions of a run, for the report.

    :param machine: processor, cores, memory, kernel.
    :param day: the day of the run.
    :param redis: the version of Redis.
    :param plan: lengths and sizes.
    :param rounds: how many rounds.
    :param versions: what each environment consists of, by its name.
    """

    machine: str
    day: date
    redis: str
    plan: Plan
    rounds: int
    versions: dict[str, str]


@dataclass
class Results:
    """All measurements of one run of the suite, by the names of load and stack."""

    measurements: dict[tuple[str, str], list[Measurement]] = field(default_factory=dict)

    def add(self, load: str, stack: str, measurement: Measurement) -> None:
        """Note one more round."""
        self.measurements.setdefault((load, stack), []).append(measurement)

    def of(self, load: str, stack: str) -> Measurement | None:
        """The median for a load and a stack, or ``None`` where it was not measured."""
        rounds = self.measurements.get((load, stack))
        return median(rounds) if rounds else None

    def spread(self, load: str, stack: str) -> tuple[float, float] | None:
        """The lowest and the highest rate of all rounds. ``None`` if fewer than two rounds have one."""
        rounds = self.measurements.get((load, stack), [])
        rates = [measurement.rate for measurement in rounds if measurement.rate is not None]
        return (min(rates), max(rates)) if len(rates) > 1 else None

    def failures(self, load: str, stack: str) -> tuple[int, int]:
        """The number of rounds that failed, and of all rounds."""
        rounds = self.measurements.get((load, stack), [])
        return sum(measurement.failure is not None for measurement in rounds), len(rounds)

    def others(self) -> float | None:
        """The median share of the machine that other programs used, or ``None`` if it is unknown."""
        shares = [
            measurement.others
            for rounds in self.measurements.values()
            for measurement in rounds
            if measurement.others is not None
        ]
        return statistics.median(shares) if shares else None
