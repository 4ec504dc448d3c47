"""The table of a run, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Circumstances, Measurement, Results
from benchmarks.stacks import IDLE, Stack

if TYPE_CHECKING:
    from benchmarks.loads import Load

NOTHING = "–"  # noqa: RUF001
RATIO = "ratio"


@dataclass(frozen=True)
class Column:
    """One column of figures.

    :param title: its heading, with the unit.
    :param text: the figure of a measurement as text.
    """

    title: str
    text: Callable[[Measurement], str]


@dataclass(frozen=True)
class Row:
    """One stack under one load.

    :param stack: the stack.
    :param measurement: its medians, or its failure.
    :param ratio: how many times better the first stack is; ``None`` for itself and where one has no figure.
    :param spread: the lowest and the highest rate of a round.
    """

    stack: Stack
    measurement: Measurement
    ratio: float | None
    spread: tuple[float, float] | None = None


def _figure(name: str, scale: float, digits: int) -> Callable[[Measurement], str]:
    def text(measurement: Measurement) -> str:
        value = getattr(measurement, name)
        return NOTHING if value is None else f"{value * scale:,.{digits}f}"

    return text


TRAFFIC_COLUMNS = (
    Column("CPU µs", _figure("cpu", 1e6, 1)),
    Column("rate /s", _figure("rate", 1, 0)),
    Column("p50 ms", _figure("p50", 1e3, 2)),
    Column("p99 ms", _figure("p99", 1e3, 2)),
    Column("server CPU µs", _figure("server_cpu", 1e6, 1)),
    Column("Redis CPU µs", _figure("redis_cpu", 1e6, 1)),
    Column("client CPU µs", _figure("client_cpu", 1e6, 1)),
    Column("memory MiB", _figure("memory", 2**-20, 0)),
)
"""The columns of all loads but the idle one; CPU times are for one message."""

SPREAD = "lowest to highest"
"""The heading of the rates of single rounds, which stands behind the columns of all loads but the idle one."""

IDLE_COLUMNS = (
    Column("KiB a socket", _figure("memory", 2**-10, 1)),
    Column("servers CPU %", _figure("server_cpu", 100, 2)),
    Column("Redis CPU %", _figure("redis_cpu", 100, 2)),
    Column("together CPU %", lambda it: f"{100 * idle_cpu(it):.2f}" if not it.failure else NOTHING),
)
"""The columns of idle sockets."""


def columns(load: Load) -> tuple[Column, ...]:
    """The columns of a load."""
    return IDLE_COLUMNS if load.kind == IDLE else TRAFFIC_COLUMNS


def idle_cpu(measurement: Measurement) -> float:
    """The CPU use of servers and Redis together, as a share of a core."""
    return (measurement.server_cpu or 0.0) + (measurement.redis_cpu or 0.0)


def rows(load: Load, stacks: Sequence[Stack], results: Results) -> list[Row]:
    """The rows of a load: one for each stack, with only the best of the variants of one peer."""
    measured = [(stack, found) for stack in stacks if (found := results.of(load.name, stack.name)) is not None]
    best: dict[str, tuple[Stack, Measurement]] = {}
    for stack, measurement in measured:
        key = stack.family or stack.name
        if key not in best or _quality(load, measurement) > _quality(load, best[key][1]):
            best[key] = (stack, measurement)
    ours = results.of(load.name, stacks[0].name)
    return [
        Row(
            stack,
            measurement,
            None if stack is stacks[0] else _ratio(load, ours, measurement),
            results.spread(load.name, stack.name),
        )
        for stack, measurement in best.values()
    ]


def terminal(loads: Sequence[Load], stacks: Sequence[Stack], results: Results) -> str:
    """The table, aligned for a terminal. The ratios tell how many times better the first stack is."""
    lines = [cells for load in loads for cells in _section(load, stacks, results)]
    width = max(len(cells) for cells in lines)
    widths = [
        max((len(cells[place]) for cells in lines if 2 < len(cells) > place), default=0) for place in range(width)
    ]
    return "\n".join([*(_aligned(cells, widths) for cells in lines), "", _others(results)]).rstrip()


def _section(load: Load, stacks: Sequence[Stack], results: Results) -> Iterator[list[str]]:
    found = rows(load, stacks, results)
    if not found:
        return
    yield [""]
    yield [f"{load.title} ({load.unit})", *_titles(load)]
    for row in found:
        if row.measurement.failure:
            yield [f"  {row.stack.title}{_reservation(load, row, results)}", f"failed: {row.measurement.failure}"]
        else:
            yield [f"  {row.stack.title}{_reservation(load, row, results)}", *_figures(load, row)]


def _titles(load: Load) -> list[str]:
    """The headings of the figures of a load."""
    spread = [] if load.kind == IDLE else [SPREAD]
    return [*(column.title for column in columns(load)), *spread, RATIO]


def _figures(load: Load, row: Row) -> list[str]:
    """The figures of a row."""
    spread = (
        [] if load.kind == IDLE else [NOTHING if row.spread is None else "{:,.0f} to {:,.0f}".format(*row.spread)]
    )
    return [*(column.text(row.measurement) for column in columns(load)), *spread, _times(row)]


def _aligned(cells: list[str], widths: list[int]) -> str:
    if len(cells) <= 2:
        return "  ".join([cells[0].ljust(widths[0]), *cells[1:]]).rstrip()
    first, *others = cells
    texts = [first.ljust(widths[0])]
    texts += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=False)]
    return "  ".join(texts)


def markdown(
    loads: Sequence[Load],
    stacks: Sequence[Stack],
    results: Results,
    circumstances: Circumstances,
    chart: Path | None,
) -> str:
    """The whole report as Markdown, for the documentation.

    :param chart: the picture to show, beside the report; ``None`` for none.
    """
    plan = circumstances.plan
    parts = [
        f"Measured on {circumstances.day.isoformat()}: {circumstances.machine}; Redis {circumstances.redis}. "
        f"Interleaved rounds: {circumstances.rounds}, of {plan.seconds:g} s each after {plan.warm_up:g} s of "
        f"warm-up; the medians. Text frames have {plan.size} bytes; CPU times are for one message, and where "
        f"the layer is alone, the server is the process that uses it. The last column says how many "
        f"times better {stacks[0].title} is: in rate, and on idle sockets in CPU time. " + _others(results)
    ]
    if chart:
        parts.append(f"![Rates of all stacks under four loads]({chart.name})")
    parts += [_markdown_section(load, stacks, results) for load in loads]
    parts.append("### What was installed")
    parts.append("\n".join(f"- {title}: {words}" for title, words in circumstances.versions.items()))
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown_section(load: Load, stacks: Sequence[Stack], results: Results) -> str:
    found = rows(load, stacks, results)
    if not found:
        return ""
    titles = ["stack", *_titles(load)]
    lines = [f"### {load.title}", "", "| " + " | ".join(titles) + " |"]
    lines.append("| --- |" + " ---: |" * (len(titles) - 1))
    for row in found:
        if row.measurement.failure:
            cells = [f"failed: {row.measurement.failure}".replace("|", "/")]
            cells += [""] * (len(titles) - 2)
        else:
            cells = _figures(load, row)
        lines.append("| " + " | ".join([row.stack.title + _reservation(load, row, results), *cells]) + " |")
    return "\n".join(lines)


def _others(results: Results) -> str:
    share = results.others()
    return (
        "" if share is None else f"Other programs took {share:.0%} of the machine meanwhile (median of the runs)."
    )


def _times(row: Row) -> str:
    if row.ratio is None or row.stack.reference:
        return ""
    return f"{row.ratio:.1f} ×"  # noqa: RUF001


def _reservation(load: Load, row: Row, results: Results) -> str:
    failed, rounds = results.failures(load.name, row.stack.name)
    words = []
    if load.kind in row.stack.capacities:
        words.append(f"capacity {row.stack.capacities[load.kind]:,}")
    if failed and not row.measurement.failure:
        words.append(f"{failed} of {rounds} rounds failed")
    return f" ({', '.join(words)})" if words else ""


def _quality(load: Load, measurement: Measurement) -> float:
    if measurement.failure:
        return float("-inf")
    return -idle_cpu(measurement) if load.kind == IDLE else measurement.rate or 0.0


def _ratio(load: Load, ours: Measurement | None, theirs: Measurement) -> float | None:
    if ours is None or ours.failure or theirs.failure:
        return None
    if load.kind == IDLE:
        return idle_cpu(theirs) / idle_cpu(ours) if idle_cpu(ours) else None
    return ours.rate / theirs.rate if ours.rate and theirs.rate else None
