"""The report, as text and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from chaos.crowd import Visit
from chaos.verdict import Count, Played

COLUMNS = (
    ("sent", "sent"),
    ("run", "run"),
    ("answered", "answered"),
    ("in_doubt", "in doubt"),
    ("lost", "lost"),
    ("unanswered", "no answer"),
    ("twice", "twice"),
    ("out_of_order", "disorder"),
    ("closed", "closed"),
    ("dropped", "dropped"),
    ("longest", "longest s"),
    ("pages", "pages"),
    ("failed_pages", "failed"),
)
BUCKET = 0.25
"""Seconds per point of the picture."""


def text(played: Sequence[Played], counts: Sequence[Count]) -> str:
    """The report as text: figures for each act, and below them whether its promise was kept."""
    header = "  ".join(title.rjust(max(len(title), 6)) for _, title in COLUMNS)
    lines = [header, "-" * len(header)]
    for one, count in zip(played, counts, strict=True):
        lines += ["", f"{one.act.title} ({one.ended - one.began:.1f} s)", _figures(count)]
        lines.append(f"  Promised: {one.act.promise}")
        lines.append("  Kept." if not count.broken else f"  BROKEN: {'; '.join(count.broken)}.")
    lines += ["", _summary(counts)]
    return "\n".join(lines) + "\n"


def draw(path: Path, played: Sequence[Played], visits: Sequence[Visit]) -> None:
    """Draw an SVG of frames, answers and open sockets over the time of the show, with its acts."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9})
    from matplotlib import pyplot

    start, end = played[0].began, played[-1].over
    edges = [start + BUCKET * number for number in range(int((end - start) / BUCKET) + 1)]
    figure, (rates, waits, sockets) = pyplot.subplots(3, sharex=True, figsize=(11, 6.5), layout="constrained")
    sent = [time for visit in visits for time in visit.sent.values()]
    answered = [times[0] for visit in visits for times in visit.answers.values()]
    for times, label, colour in ((sent, "frames sent", "#b8bec4"), (answered, "answers", "#0b6e4f")):
        rates.plot(
            [edge - start for edge in edges],
            [rate / BUCKET for rate in _histogram(times, edges)],
            colour,
            label=label,
        )
    rates.set_ylabel("a second")
    rates.legend(loc="upper right", frameon=False)
    delays = [
        (visit.sent[number] - start, times[0] - visit.sent[number])
        for visit in visits
        for number, times in visit.answers.items()
    ]
    waits.scatter(*zip(*delays, strict=True), s=2, color="#0b6e4f", rasterized=True)
    waits.set_yscale("log")
    waits.set_ylabel("seconds to the answer")
    there = [sum(v.opened <= edge < (v.ended or end) for v in visits) for edge in edges]
    sockets.plot([edge - start for edge in edges], there, "#0b6e4f")
    sockets.set_ylim(bottom=0)
    sockets.set_ylabel("sockets open")
    sockets.set_xlabel("seconds")
    for number, one in enumerate(played, 1):
        for axis in (rates, waits, sockets):
            axis.axvspan(one.began - start, one.ended - start, color="#f2d7b6", alpha=0.5, linewidth=0, zorder=0)
        rates.annotate(str(number), (one.began - start, 1.02), xycoords=("data", "axes fraction"), weight="bold")
    titles = [f"{number}  {one.act.title}" for number, one in enumerate(played, 1)]
    thirds = [titles[start::3] for start in range(3)]
    figure.supxlabel("\n".join("        ".join(row) for row in zip_longest(*thirds, fillvalue="")), fontsize=8)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _figures(count: Count) -> str:
    cells = []
    for name, title in COLUMNS:
        value = getattr(count, name)
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        cells.append(shown.rjust(max(len(title), 6)))
    return "  ".join(cells)


def _summary(counts: Sequence[Count]) -> str:
    broken = sum(bool(count.broken) for count in counts)
    sent, run = sum(count.sent for count in counts), sum(count.run for count in counts)
    lost, twice = sum(count.lost for count in counts), sum(count.twice for count in counts)
    verdict = "Every promise was kept." if not broken else f"{broken} of {len(counts)} promises were broken."
    return f"{verdict} {sent} frames sent, {run} run, {lost} lost, {twice} twice."


def _histogram(times: Sequence[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * len(edges)
    for time in times:
        position = int((time - edges[0]) / BUCKET)
        if 0 <= position < len(counts):
            counts[position] += 1
    return counts
