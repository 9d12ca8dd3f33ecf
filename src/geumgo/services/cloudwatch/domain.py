"""Metrics and their statistics, as pure functions over plain values. Times are Unix milliseconds, periods seconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

HOUR_MS: Final = 3_600_000
KEPT_MS: Final = 455 * 24 * HOUR_MS
"""How long hourly datapoints are kept. Source: "Metrics retention", CloudWatch User Guide (455 days)."""
LISTED_MS: Final = 14 * 24 * HOUR_MS
"""Metrics without newer datapoints are not listed. Source: ListMetrics, API reference (two weeks)."""
RECENT_MS: Final = 3 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as CloudWatch names it. `unit` is that of its values."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str


METRICS: Final[Mapping[str, Metric]] = {
    "secrets": Metric(
        "AWS/SecretsManager",
        "ResourceCount",
        (("Class", "None"), ("Resource", "SecretCount"), ("Service", "Secrets Manager"), ("Type", "Resource")),
        "Count",
    )
}
"""What is measured here, by our own name for it. Source: "Monitoring with Amazon CloudWatch", Secrets Manager User Guide."""

Point = tuple[int, int]  # at_ms, value


@dataclass(frozen=True, slots=True)
class Bucket:
    """The datapoints of one period, which begins at `at_ms`."""

    at_ms: int
    values: Sequence[int]


STATISTICS: Final[Mapping[str, Callable[[Sequence[int]], float]]] = {
    "SampleCount": lambda values: float(len(values)),
    "Average": lambda values: sum(values) / len(values),
    "Sum": lambda values: float(sum(values)),
    "Minimum": lambda values: float(min(values)),
    "Maximum": lambda values: float(max(values)),
}


def named(namespace: str, name: str, dimensions: Sequence[Mapping[str, str]]) -> str | None:
    """Our name of the metric that has exactly these dimensions, or None: without all of them it is another metric."""
    asked = tuple(sorted((each["Name"], each["Value"]) for each in dimensions))
    for known, metric in METRICS.items():
        if (metric.namespace, metric.name, metric.dimensions) == (namespace, name, asked):
            return known
    return None


def matches(metric: Metric, namespace: str | None, name: str | None, dimensions: Sequence[Mapping[str, str]]) -> bool:
    """Whether a listing with these filters shows the metric. A dimension without a value matches any.

    Source: ListMetrics, API reference.
    """
    if namespace not in (None, metric.namespace) or name not in (None, metric.name):
        return False
    worn = dict(metric.dimensions)
    return all(each["Name"] in worn and each.get("Value") in (None, worn[each["Name"]]) for each in dimensions)


def buckets(points: Sequence[Point], period_s: int) -> list[Bucket]:
    """The datapoints by periods, which are counted from the beginning of 1970; those without one are left out. Oldest first."""
    found: dict[int, list[int]] = {}
    for at_ms, value in sorted(points):
        found.setdefault(at_ms - at_ms % (period_s * 1_000), []).append(value)
    return [Bucket(at_ms, values) for at_ms, values in found.items()]


def refused_period(period_s: int) -> str:
    """Why a period cannot be one; empty if it can. Source: Period, MetricStat, API reference."""
    if period_s in (1, 5, 10, 30) or (period_s > 0 and period_s % 60 == 0):
        return ""
    return "The value for Period must be 1, 5, 10, 30, or a multiple of 60."


def datapoint(bucket: Bucket, statistics: Sequence[str], unit: str) -> dict[str, Any]:
    return {**{name: STATISTICS[name](bucket.values) for name in statistics}, "Unit": unit}
