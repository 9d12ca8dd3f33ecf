"""The dashboard asks for metrics that there are."""

import json
import re
from pathlib import Path

from geumgo.edge.metrics import HELP

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs" / "operate" / "grafana-dashboard.json").read_text())


def test_every_panel_asks_for_metrics_that_are_served():
    asked = {
        name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bgeumgo_\w+", target["expr"])
    }
    assert asked <= set(HELP)
    assert len(asked) >= 6


def test_panels_are_told_apart_and_none_lies_on_another():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
