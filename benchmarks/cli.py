"""The command line of the suite."""

from __future__ import annotations

import fnmatch
import resource
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

import click

from benchmarks import chart, report, runner
from benchmarks.environments import ROOT
from benchmarks.loads import LOADS, Load
from benchmarks.plan import Plan
from benchmarks.processes import StackError
from benchmarks.stacks import OWN, STACKS, Stack

OUTPUT = ROOT / "docs" / "performance-results.md"

Named = TypeVar("Named", Load, Stack)


def _choose(available: tuple[Named, ...], patterns: str | None, what: str) -> list[Named]:
    if patterns is None:
        return list(available)
    chosen: list[Named] = []
    for pattern in (part.strip() for part in patterns.split(",")):
        found = [one for one in available if fnmatch.fnmatchcase(one.name, pattern)]
        if not found:
            names = ", ".join(one.name for one in available)
            raise click.BadParameter(f"{pattern!r} is none of the {what}: {names}")
        chosen += [one for one in found if one not in chosen]
    return [one for one in available if one in chosen]


def _list(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        for heading, entries in (("Loads", LOADS), ("Stacks", STACKS)):
            click.echo(f"{heading}:")
            for entry in entries:
                click.echo(f"  {entry.name:22} {entry.title}")
        context.exit()


@click.command()
@click.option("--loads", metavar="NAMES", help="Only these loads: names or globs, with commas between.")
@click.option("--stacks", metavar="NAMES", help="Only these stacks: names or globs, with commas between.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Measured time of a run.",
)
@click.option("--warm-up", type=click.FloatRange(min=0), default=1.5, show_default=True, help="Seconds before it.")
@click.option(
    "--idle-seconds",
    type=click.FloatRange(min=0.1),
    default=20.0,
    show_default=True,
    help="Measured time of idle sockets; their keep-alive pings come every 20 s.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Rounds over all stacks; the medians are reported.",
)
@click.option("--size", type=click.IntRange(min=8), default=64, show_default=True, help="Bytes in a text frame.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file for the Markdown report; the chart goes beside it.  [default: "
    "docs/performance-results.md for a run of everything, otherwise none]",
)
@click.option(
    "--quick", is_flag=True, help="Run one round of one second per load, to check that everything works."
)
@click.option(
    "--own",
    is_flag=True,
    help="Run two short rounds of this project alone, in about five minutes, for everyday use.",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="List the loads and the stacks.",
)
def bench(
    loads: str | None,
    stacks: str | None,
    seconds: float,
    warm_up: float,
    idle_seconds: float,
    rounds: int,
    size: int,
    output: Path | None,
    quick: bool,
    own: bool,
) -> None:
    """Measure channels-classic and its peers in turn, under the same loads, on this machine.

    Each stack serves with its default settings, and with one worker process unless its name says more. All share
    one Redis. Nothing listens beyond 127.0.0.1. A full run takes more than an hour. Leave the machine alone
    meanwhile.
    """
    chosen_loads = _choose(LOADS, loads, "loads")
    chosen_stacks = _choose(OWN if own else STACKS, stacks, "stacks")
    plan = Plan(seconds, warm_up, idle_seconds, size)
    if quick:
        plan, rounds = Plan(1.0, 0.5, 2.0, size), 1
    elif own:
        plan, rounds = Plan(1.5, 0.5, 5.0, size), 2
    _raise_file_limit()
    signal.signal(signal.SIGTERM, _stop)
    try:
        results, circumstances = runner.run(chosen_loads, chosen_stacks, plan, rounds)
    except StackError as error:
        raise click.ClickException(str(error)) from None
    click.echo(report.terminal(chosen_loads, chosen_stacks, results))
    if output is None and not (quick or own or loads or stacks):
        output = OUTPUT
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        picture = output.with_suffix(".svg")
        drawn = chart.draw(picture, chosen_loads, chosen_stacks, results)
        text = report.markdown(chosen_loads, chosen_stacks, results, circumstances, picture if drawn else None)
        output.write_text(text)
        click.echo(f"\nWritten: {output}" + (f" and {picture}" if drawn else ""), err=True)


def _raise_file_limit() -> None:
    """Raise the limit of open files, because every socket is one, here and in the servers."""
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """End on SIGTERM as on Ctrl-C, with all started processes."""
    sys.exit(128 + number)
