"""Draws the dashboard as a picture, with data from a Prometheus server. It needs matplotlib.

python deploy/grafana/draw.py http://127.0.0.1:9090 dashboard.png
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

DASHBOARD = Path(__file__).with_name("channels-classic.json")
COLUMNS = 24
"""The width of a dashboard in Grafana."""


def targets() -> Iterator[tuple[str, str]]:
    """The expression and the legend of every line of the dashboard."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from ((target["expr"], target["legendFormat"]) for target in panel["targets"])


def ask(prometheus: str, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Ask a Prometheus server for series."""
    with urlopen(f"{prometheus}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:  # noqa: S310
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return result


def at_interval(expression: str, seconds: float) -> str:
    """An expression with Grafana's variable for the interval filled in."""
    return expression.replace("$__rate_interval", f"{math.ceil(seconds)}s")


def label(legend: str, series: dict[str, Any]) -> str:
    """The legend of a series."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: series["metric"].get(found[1], ""), legend)


def draw(prometheus: str, file: str, seconds: float, step: float, interval: float) -> None:
    """Draw the last ``seconds``, with a point for each ``step``, and rates over ``interval``."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams.update({"font.family": "sans-serif", "font.size": 8, "axes.spines.top": False})
    from matplotlib import pyplot

    end = time.time()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = pyplot.figure(figsize=(14, height * 0.34))
    for panel in panels:
        axes = figure.add_axes(inside(panel["gridPos"], height))
        unit = panel["fieldConfig"]["defaults"]["unit"]
        axes.set_title(panel["title"] + {"ops": ", a second", "s": ", seconds"}.get(unit, ""), loc="left")
        for target in panel["targets"]:
            expression = at_interval(target["expr"], interval)
            for series in ask(
                prometheus, "query_range", query=expression, start=end - seconds, end=end, step=step
            ):
                points = [(float(at) - end + seconds, float(value)) for at, value in series["values"]]
                axes.plot(*zip(*points, strict=True), label=label(target["legendFormat"], series), linewidth=1.2)
        axes.set_xlim(0, seconds)
        # Room for the legend.
        highest = max(
            (value for line in axes.lines for value in line.get_ydata() if math.isfinite(value)), default=0
        )
        axes.set_ylim(0, 1.5 * highest or 1)
        axes.grid(alpha=0.25)
        if axes.lines:
            axes.legend(loc="upper left", frameon=False, fontsize=7)
    figure.savefig(file, dpi=90, metadata={"Software": None})
    pyplot.close(figure)


def inside(place: dict[str, int], height: int) -> tuple[float, float, float, float]:
    """The place of a panel's axes as fractions of the picture: left, bottom, width, height."""
    left, top, width, rows = (place[name] for name in "xywh")
    return (left + 1) / COLUMNS, 1 - (top + rows - 0.8) / height, (width - 1.2) / COLUMNS, (rows - 1.8) / height


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prometheus", help="its URL")
    parser.add_argument("file", help="of the picture")
    parser.add_argument(
        "--seconds", type=float, default=3600, help="how long ago it begins (default: %(default)s)"
    )
    parser.add_argument("--step", type=float, default=15, help="seconds between points (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=60, help="of rates, in seconds (default: %(default)s)")
    given = parser.parse_args()
    draw(given.prometheus.rstrip("/"), given.file, given.seconds, given.step, given.interval)
