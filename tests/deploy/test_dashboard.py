"""The dashboard for Grafana uses metrics and labels that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

from channels_classic.monitoring.metrics import FAMILIES

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "channels-classic.json"
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def test_every_expression_fits_the_metrics() -> None:
    names = {name + suffix: family for name, family in FAMILIES.items() for suffix in SUFFIXES[family.kind]}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = set()
    for target in (target for panel in panels for target in panel["targets"]):
        (name,) = re.findall(r"channels_\w+", target["expr"])
        family = names[name]
        shown.add(name)
        labels = {*family.labels, "le", "instance"}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
        for grouping in re.findall(r"by \(([^)]*)\)", target["expr"]):
            assert set(grouping.split(", ")) <= labels
        assert ("rate(" in target["expr"]) == (family.kind != "gauge")
    assert len(shown) > 20


def test_the_panels_do_not_lie_on_each_other() -> None:
    places = [panel["gridPos"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    fields = [
        (column, row)
        for place in places
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(fields) == len(set(fields))
    assert max(column for column, _ in fields) < 24
