"""The alert rules that operators copy."""

import re
from pathlib import Path

from geumgo.edge.metrics import HELP

ALERTS = Path(__file__).parents[2] / "docs" / "operate" / "alerts.yml"


def test_alerts_name_only_metrics_that_are_served():
    named = set(re.findall(r"\bgeumgo_\w+", ALERTS.read_text("utf-8")))
    assert named
    assert {name.removesuffix("_bucket") for name in named} <= set(HELP)
