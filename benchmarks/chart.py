"""The chart of a run: the rates under four loads, with a bar for each stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.loads import Load
from benchmarks.report import rows
from benchmarks.results import Results
from benchmarks.stacks import Stack

CHARTED = ("http-50", "echo-50", "broadcast-200", "broadcast-2000")
"""The loads that are shown."""

OURS, THEIRS = "#0b6e4f", "#b8bec4"


def draw(path: Path, loads: Sequence[Load], stacks: Sequence[Stack], results: Results) -> bool:
    """Write the chart as SVG.

    :param path: the file.
    :returns: whether there was something to draw.
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "channels-classic", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot

    peers = [stack for stack in stacks if not stack.reference]
    panels = []
    for load in loads:
        bars = [(row.stack, row.measurement.rate) for row in rows(load, peers, results) if row.measurement.rate]
        if load.name in CHARTED and bars:
            panels.append((load, bars[::-1]))
    if not panels:
        return False
    heights = [len(bars) + 1 for _, bars in panels]
    figure, axes = pyplot.subplots(
        len(panels),
        figsize=(9, 0.32 * sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for axis, (load, bars) in zip(axes[:, 0], panels, strict=True):
        drawn = axis.barh(
            [stack.title for stack, _ in bars],
            [rate for _, rate in bars],
            color=[OURS if stack is stacks[0] else THEIRS for stack, _ in bars],
        )
        axis.bar_label(drawn, [f"{rate:,.0f}" for _, rate in bars], padding=4, fontsize=9)
        axis.set_title(f"{load.title}: {load.unit} a second", loc="left", fontsize=10, fontweight="bold")
        axis.margins(x=0.12)
        axis.xaxis.set_visible(False)
        axis.tick_params(axis="y", length=0, labelsize=9)
        axis.spines[:].set_visible(False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return True
