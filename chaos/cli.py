"""The command line of the show."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from chaos import ledger, report
from chaos.acts import Act, acts
from chaos.crowd import Crowd
from chaos.programs import StageError
from chaos.stage import Stage, running_stage
from chaos.verdict import Count, Played, judge

PAGES_A_SECOND = 20
LAST_SECONDS = 16.0
"""Seconds to wait for the last answers when the crowd has fallen silent, and for the last goodbyes when it has
left."""


@click.command()
@click.option("--sockets", default=500, show_default=True, help="Number of sockets that chat.")
@click.option("--pause", default=2.0, show_default=True, help="Seconds between frames of a socket, on average.")
@click.option("--calm", default=4.0, show_default=True, help="Seconds between two acts.")
@click.option("--interfaces", default=3, show_default=True, help="Number of interface servers.")
@click.option(
    "--workers", default=2, show_default=True, help="Number of worker programs, each with two processes."
)
@click.option("--small", is_flag=True, help="Fewer acts.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new folder for logs, chaos.txt (the page) and chaos.svg (the picture).  [default: a temporary one]",
)
def main(
    sockets: int, pause: float, calm: float, interfaces: int, workers: int, small: bool, output: Path | None
) -> None:
    """Stop, kill and remove parts of a cluster under load, and count the consequences.

    The exit status is 1 if a promise was broken.
    """
    folder = (output or Path(tempfile.mkdtemp(prefix="chaos-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise click.UsageError(f"--output {folder} has something in it. Give a new or an empty folder.")
    click.echo(f"Logs and results: {folder}")
    try:
        with running_stage(folder, interfaces, workers) as stage:
            played, counts, crowd = asyncio.run(show(stage, acts(small), sockets, pause, calm))
    except StageError as error:
        raise click.ClickException(str(error)) from None
    page = report.text(played, counts)
    (folder / "chaos.txt").write_text(page)
    click.echo(page)
    try:
        report.draw(folder / "chaos.svg", played, crowd.visits)
    except ImportError:
        click.echo("There is no picture, because matplotlib is not installed.")
    sys.exit(any(count.broken for count in counts))


async def show(
    stage: Stage, programme: Sequence[Act], sockets: int, pause: float, calm: float
) -> tuple[list[Played], list[Count], Crowd]:
    """Play the acts while the crowd chats.

    Returns:
        The acts that were played, the counts of each, and the crowd with its records.
    """
    crowd = Crowd(stage.ports, sockets, pause, PAGES_A_SECOND)
    await crowd.everybody_there()
    times: list[tuple[float, float]] = []
    for act in programme:
        click.echo(f"  {act.title} …")
        began = time.monotonic()
        await act.play(stage)
        times.append((began, time.monotonic()))
        await asyncio.sleep(calm)
        # The next act must not have to answer for frames that still wait because of this one.
        await _until(crowd.has_caught_up)
    crowd.fall_silent()
    await _until(crowd.has_all_answers)
    await crowd.leave()
    await _until(lambda: _goodbyes(stage) >= {visit.name for visit in crowd.visits})
    over = [*(began for began, _ in times[1:]), time.monotonic()]
    played = [
        Played(act, began, ended, end) for act, (began, ended), end in zip(programme, times, over, strict=True)
    ]
    return played, judge(played, crowd.visits, crowd.pages, crowd.refusals, ledger.read(stage.ledger)), crowd


async def _until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, but not for ever."""
    deadline = time.monotonic() + LAST_SECONDS
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.5)


def _goodbyes(stage: Stage) -> set[str]:
    return {entry.name for entry in ledger.read(stage.ledger) if entry.what == "disconnect"}
