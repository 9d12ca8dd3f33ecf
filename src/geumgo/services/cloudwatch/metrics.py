"""ListMetrics, GetMetricData, GetMetricStatistics, and the job by which other services hand over what they have measured."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from geumgo.context import Context, Params, Work, as_datetime
from geumgo.paging import NotOurs, Position, make_token, read_token
from geumgo.room import job, reads
from geumgo.services.cloudwatch import domain, store
from geumgo.services.cloudwatch.domain import METRICS, STATISTICS, Bucket
from geumgo.services.cloudwatch.errors import (
    InvalidNextToken,
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
    ValidationError,
)

KEEP: Final = "cloudwatch.keep_datapoint"
MOST_QUERIES: Final = 500
MOST_DATAPOINTS: Final = 100_800  # of one GetMetricData. Source: MaxDatapoints, API reference
MOST_STATISTICS: Final = 1_440  # datapoints of one GetMetricStatistics. Source: its API reference
_MOST_POINTS: Final = 20_000  # rows that one query reads: 455 days of hours are 10,920
_LONGEST_TEXT: Final = 255


@job(KEEP)
def keep_datapoint(work: Work, payload: Params) -> None:
    """The value of a metric at a moment is kept; what is older than 455 days goes."""
    metric = payload["metric"]
    assert metric in METRICS, f"nobody knows the metric {metric}"
    with work.finishing() as tx:
        store.keep(tx, work.place, metric, payload["at_ms"], payload["value"])
        store.prune(tx, work.place, metric, work.clock.now_ms() - domain.KEPT_MS)


@reads
def list_metrics(ctx: Context, params: Params) -> Params:
    """Source: ListMetrics, API reference. There are never more than fit into one answer, so no token was ever given."""
    if "NextToken" in params:
        raise InvalidParameterValue("The value for NextToken is not one that ListMetrics gave.")
    recently: str | None = params.get("RecentlyActive")
    since_ms = ctx.clock.now_ms() - (domain.RECENT_MS if recently else domain.LISTED_MS)
    found = []
    for known, metric in METRICS.items():
        filters = params.get("Namespace"), params.get("MetricName"), params.get("Dimensions", [])
        if not domain.matches(metric, *filters):
            continue
        newest_ms = store.newest_ms(ctx.tx, ctx.place, known)
        if newest_ms is not None and newest_ms >= since_ms:
            shown = [{"Name": name, "Value": value} for name, value in metric.dimensions]
            found.append({"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": shown})
    return {"Metrics": found}


@reads
def get_metric_data(ctx: Context, params: Params) -> Params:
    """The statistic that each query asks for. Metric math and other accounts are not served.

    Source: GetMetricData, API reference.
    """
    queries: Sequence[Mapping[str, Any]] = params["MetricDataQueries"]
    _refuse_queries(queries)
    from_ms, to_ms = _span(params, ValidationError)
    limit = params.get("MaxDatapoints", MOST_DATAPOINTS)
    if not 1 <= limit <= MOST_DATAPOINTS:
        raise ValidationError(f"The value for MaxDatapoints must be between 1 and {MOST_DATAPOINTS}.")
    oldest_first = params.get("ScanBy", "TimestampDescending") == "TimestampAscending"
    asked = {"queries": [_asked(query) for query in queries], "span": [from_ms, to_ms], "up": oldest_first}
    at, skip = _position(ctx, asked, params.get("NextToken"))
    results: list[dict[str, Any]] = []
    for place, query in enumerate(queries[at:], at):
        if not query.get("ReturnData", True):
            continue
        stat = query["MetricStat"]
        found = _buckets(ctx, stat["Metric"], stat["Period"], stat.get("Unit"), from_ms, to_ms)
        ordered = (found if oldest_first else found[::-1])[skip:]
        result = _result(query, ordered[:limit])
        results.append(result)
        if len(ordered) > limit:
            result["StatusCode"] = "PartialData"
            token = make_token(ctx, "cloudwatch", "GetMetricData", asked, (place, skip + limit))
            return {"MetricDataResults": results, "Messages": [], "NextToken": token}
        limit, skip = limit - len(ordered), 0
        if limit == 0 and place + 1 < len(queries):
            token = make_token(ctx, "cloudwatch", "GetMetricData", asked, (place + 1, 0))
            return {"MetricDataResults": results, "Messages": [], "NextToken": token}
    return {"MetricDataResults": results, "Messages": []}


def _asked(query: Mapping[str, Any]) -> list[Any]:
    stat = query["MetricStat"]
    return [query["Id"], stat["Metric"], stat["Period"], stat["Stat"], query.get("ReturnData", True)]


def _position(ctx: Context, asked: Mapping[str, Any], token: str | None) -> tuple[int, int]:
    try:
        position: Position | None = read_token(ctx, "cloudwatch", "GetMetricData", asked, token)
    except NotOurs:
        raise InvalidNextToken("The NextToken is invalid.") from None
    return (0, 0) if position is None else (int(position[0]), int(position[1]))


def _refuse_queries(queries: Sequence[Mapping[str, Any]]) -> None:
    """Raises ValidationError."""
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise ValidationError(f"The collection MetricDataQueries must have a size between 1 and {MOST_QUERIES}.")
    if len({query["Id"] for query in queries}) != len(queries):
        raise ValidationError("The values for parameter Id in MetricDataQueries must be unique.")
    for query in queries:
        if "Expression" in query:
            raise ValidationError(f"Expressions are not served here: the query {query['Id'][:_LONGEST_TEXT]} has one.")
        stat = query.get("MetricStat")
        if stat is None:
            raise ValidationError(f"The query {query['Id'][:_LONGEST_TEXT]} must have a MetricStat.")
        if "AccountId" in query:
            raise ValidationError("Metrics of other accounts are not served here.")
        if stat["Stat"] not in STATISTICS:
            raise ValidationError(f"The value {stat['Stat'][:_LONGEST_TEXT]} for parameter Stat is not supported.")
        why = domain.refused_period(stat["Period"])
        if why:
            raise ValidationError(why)
        if "Namespace" not in stat["Metric"] or "MetricName" not in stat["Metric"]:
            raise ValidationError("A metric must have a Namespace and a MetricName.")


def _span(params: Params, refusal: type[Exception]) -> tuple[int, int]:
    """From when (inclusive) to when (exclusive), in Unix milliseconds."""
    start: datetime = params["StartTime"]
    end: datetime = params["EndTime"]
    if start >= end:
        raise refusal("The parameter StartTime must be less than the parameter EndTime.")
    return int(start.timestamp() * 1_000), int(end.timestamp() * 1_000)


def _buckets(
    ctx: Context, metric: Mapping[str, Any], period_s: int, unit: str | None, from_ms: int, to_ms: int
) -> list[Bucket]:
    """Nothing for a metric that nobody measures, or in another unit. Source: GetMetricData, API reference."""
    known = domain.named(metric["Namespace"], metric["MetricName"], metric.get("Dimensions", []))
    if known is None or unit not in (None, METRICS[known].unit):
        return []
    points = store.points(ctx.tx, ctx.place, known, from_ms=from_ms, to_ms=to_ms, limit=_MOST_POINTS)
    return domain.buckets(points, period_s)


def _result(query: Mapping[str, Any], found: Sequence[Bucket]) -> dict[str, Any]:
    stat = query["MetricStat"]
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or stat["Metric"]["MetricName"],
        "Timestamps": [as_datetime(bucket.at_ms) for bucket in found],
        "Values": [STATISTICS[stat["Stat"]](bucket.values) for bucket in found],
        "StatusCode": "Complete",
    }


@reads
def get_metric_statistics(ctx: Context, params: Params) -> Params:
    """Datapoints in no order, as on AWS (here: oldest first). Source: GetMetricStatistics, API reference."""
    statistics: Sequence[str] = params.get("Statistics", [])
    if not statistics and "ExtendedStatistics" not in params:
        raise MissingParameter("At least one of the parameters Statistics and ExtendedStatistics must be given.")
    if "ExtendedStatistics" in params:
        raise InvalidParameterValue("Percentiles are not served here; ask for Statistics.")
    why = domain.refused_period(params["Period"])
    if why:
        raise InvalidParameterValue(why)
    from_ms, to_ms = _span(params, InvalidParameterValue)
    if (to_ms - from_ms) / 1_000 / params["Period"] > MOST_STATISTICS:
        raise InvalidParameterCombination(
            f"You have requested more datapoints than the limit of {MOST_STATISTICS}. You may reduce the datapoints requested by "
            "increasing Period, or decreasing the time range."
        )
    found = _buckets(ctx, params, params["Period"], params.get("Unit"), from_ms, to_ms)
    points = [
        {"Timestamp": as_datetime(bucket.at_ms), **domain.datapoint(bucket, list(dict.fromkeys(statistics)), "Count")}
        for bucket in found
    ]
    return {"Label": params["MetricName"], "Datapoints": points}
