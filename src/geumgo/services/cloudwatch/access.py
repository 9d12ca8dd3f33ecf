"""What each operation of CloudWatch asks of the gate. None of them knows resources.

Source: "Actions, resources, and condition keys for Amazon CloudWatch", Service Authorization Reference.
"""

from collections.abc import Callable, Mapping
from typing import Final

from geumgo.access.demand import Demand, Demands
from geumgo.context import Context, Params
from geumgo.room import Access


def _needs(action: str) -> Callable[[Context, Params], Demands]:
    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"cloudwatch:{action}"),)

    return demands


ACCESS: Final[Mapping[str, Access]] = {
    "GetMetricData": Access(_needs("GetMetricData"), ("StartTime", "EndTime", "ScanBy", "MaxDatapoints")),
    "GetMetricStatistics": Access(
        _needs("GetMetricStatistics"), ("Namespace", "MetricName", "StartTime", "EndTime", "Period", "Statistics")
    ),
    "ListMetrics": Access(_needs("ListMetrics"), ("Namespace", "MetricName", "RecentlyActive")),
}
